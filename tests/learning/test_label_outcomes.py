"""What became of each region: it taught frames, or there is a reason why not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from handmade import annotation, annotations, grid, grids, region
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Annotation, Region
from ml_backend.learning.frame_labels import frame_labels, is_exclusive
from ml_backend.learning.label_outcomes import Outcome, outcomes
from ml_backend.video.timeline import StudioGrid

LABELS = ("cat", "dog")


def became(*made: Annotation, on: StudioGrid | None = None, dense: bool | None = None) -> list[Outcome]:
    used, exclusive = on or grid(10), is_exclusive(made)
    known = frame_labels(made, used, LABELS, exclusive=exclusive, dense=dense)
    return list(outcomes(made, used, known, exclusive=exclusive, pushed={}, dense=dense))


def reasons(*made: Annotation) -> list[str]:
    return [outcome.reason for outcome in became(*made)]


def untouched(start: int, end: int, label: str) -> Region:
    return region(start, end, label, name=f"cold-v3-1_{start}_{end}", origin="prediction")


class TestOneAnnotation:
    def test_what_was_labelled_taught_its_frames(self) -> None:
        made = annotation(region(3, 6, "cat", name="kf-3"), region(9, 9, "dog", name="kf-9"))
        assert became(made) == [Outcome("taught", 4), Outcome("taught", 1)]

    def test_frames_are_those_of_the_file(self) -> None:
        three_each = grid(4, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
        assert became(annotation(region(5, 5, "cat", name="kf-5")), on=three_each) == [Outcome("taught", 1)]
        every_other = grid(9, [0, 2, 4, 6, 8])
        assert became(annotation(region(1, 3, "cat", name="kf-1")), on=every_other) == [Outcome("taught", 5)]

    @pytest.mark.parametrize(
        ("left", "outcome"),
        [
            (region(3, 3, name="kf-3"), Outcome("unanswered")),
            (region(3, 3, name="kf-cold-v3-3"), Outcome("unanswered")),
            (region(3, 5), Outcome("no label")),
            (region(3, 5, "cow", "ant"), Outcome("unknown label", labels=("ant", "cow"))),
            (region(11, 14, "cat", name="kf-11"), Outcome("outside")),
            (region(3, 5, "cat", name="of-yolo", origin="prediction"), Outcome("untouched")),
        ],
    )
    def test_what_taught_nothing_has_its_reason(self, left: Region, outcome: Outcome) -> None:
        assert became(annotation(left)) == [outcome]

    def test_a_timeline_that_was_left_alone_while_questions_were_answered(self) -> None:
        assert reasons(annotation(untouched(1, 6, "cat"), region(3, 3, "dog", name="kf-cold-v3-3"))) == [
            "untouched",
            "taught",
        ]

    def test_submitted_without_a_look_it_taught_a_little(self) -> None:
        assert became(annotation(untouched(1, 6, "cat"))) == [Outcome("taken over", 6)]
        assert became(annotation(untouched(1, 6, "cat"), reviewed=True)) == [Outcome("taught", 6)]

    def test_two_answers_to_one_picture_contradict_each_other(self) -> None:
        twice = grid(2, [0, 0, 1, 1])
        made = annotation(region(1, 1, "cat", name="kf-1"), region(2, 2, "dog", name="kf-2"))
        assert became(made, on=twice) == [Outcome("contradicts itself")] * 2

    def test_none_of_these_taught_its_frame(self) -> None:
        nothing = replace(region(4, 4, name="kf-companion-1"), nothing=True)
        assert became(annotation(nothing, reviewed=False)) == [Outcome("taught", 1)]


class TestSeveralAnnotations:
    def test_who_said_otherwise_is_named(self) -> None:
        said = [annotation(region(3, 3, label, name="kf-3"), number=n) for n, label in enumerate(["cat", "dog"], 11)]
        assert became(*said) == [Outcome("contradicted", by=(12,)), Outcome("contradicted", by=(11,))]

    def test_who_agrees_with_the_majority_taught_it_too(self) -> None:
        said = [annotation(region(3, 3, label, name="kf-3"), number=n) for n, label in enumerate(["cat", "cat", "dog"])]
        assert became(*said) == [Outcome("taught", 1), Outcome("taught", 1), Outcome("contradicted", by=(0, 1))]

    def test_a_whole_timeline_and_ground_truth_supersede(self) -> None:
        sparse = annotation(region(3, 3, "cat", name="kf-3"), number=1)
        dense = annotation(region(1, 10, "dog"), number=2)
        truth = annotation(region(1, 10, "cat"), number=3, ground_truth=True)
        assert became(sparse, dense)[0] == Outcome("timeline", by=(2,))
        assert [outcome.reason for outcome in became(dense, truth)] == ["ground truth", "taught"]
        assert became(dense, truth)[0].by == (3,)

    def test_a_region_that_was_confirmed_by_one_of_higher_standing_taught(self) -> None:
        sparse = annotation(region(3, 3, "cat", name="kf-3"), number=1)
        assert reasons(sparse, annotation(region(1, 10, "cat"), number=2)) == ["taught", "taught"]


@given(annotations(), grids(), st.sampled_from([None, True, False]))
def test_every_region_comes_to_one_thing(made: list[Annotation], on: StudioGrid, dense: bool | None) -> None:
    exclusive = is_exclusive(made)
    known = frame_labels(made, on, LABELS, exclusive=exclusive, dense=dense)
    found = list(outcomes(made, on, known, exclusive=exclusive, pushed={}, dense=dense))
    assert len(found) == sum(len(each.regions) for each in made)
    for outcome in found:
        assert (outcome.reason in ("taught", "taken over")) == (outcome.frames > 0)
        assert bool(outcome.by) == (outcome.reason in ("contradicted", "timeline", "ground truth"))
    taught = sum(outcome.frames for outcome in found)
    yes = (known.values == 1).any(axis=1)
    # Only gaps that a default label fills are known to have a label without a region.
    assert taught >= int(yes.sum())
