"""Label Studio may count several of its frames for one picture: the picture is what its labelled frames say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from handmade import annotation, grid, region
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Annotation, Region
from ml_backend.learning.frame_labels import UNTOUCHED_WEIGHT, FrameLabels, frame_labels
from ml_backend.video.timeline import FrameIndex, StudioFrame, StudioGrid, Timeline, studio_grid

LABELS = ("cat", "dog", "fox")
FILE_RATES = ("10", "12", "15", "20", "24", "25", "30000/1001", "30", "50", "60000/1001")
FRAMERATES = (23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 120.0)


def video(rate: Fraction, frames: int = 160) -> Timeline:
    return Timeline(np.arange(frames, dtype=np.int64), 1 / rate, frames / rate)


def answer(frame: int, *labels: str, asked_by: str = "") -> Region:
    """A suggestion that somebody answered, or a question of a model."""
    return region(frame, frame, *labels, name=f"kf-{asked_by}{frame}", origin="prediction-changed")


def known_of(on: StudioGrid, *made: Annotation, exclusive: bool = True) -> FrameLabels:
    return frame_labels(made, on, LABELS, exclusive=exclusive)


def one_showing_each(on: StudioGrid, which: str) -> list[int]:
    """Of each picture that Label Studio shows its first, middle or last showing, as Label Studio frames."""
    firsts = np.flatnonzero(np.diff(on.shown, prepend=-1))
    lasts = np.append(firsts[1:], len(on)) - 1
    return ({"first": firsts, "middle": (firsts + lasts) // 2, "last": lasts}[which] + 1).tolist()


def assert_known(on: StudioGrid, known: FrameLabels, answers: dict[int, str]) -> None:
    for frame, label in answers.items():
        row = known.values[on.index(StudioFrame(frame))].tolist()
        assert row == [int(name == label) for name in LABELS], f"Label Studio frame {frame}"
        assert known.weight[on.index(StudioFrame(frame))] == 1


@pytest.mark.parametrize("framerate", FRAMERATES)
@pytest.mark.parametrize("rate", FILE_RATES)
class TestEveryRate:
    @pytest.mark.parametrize("which", ["first", "middle", "last"])
    def test_every_answered_frame_is_known(self, rate: str, framerate: float, which: str) -> None:
        on = studio_grid(video(Fraction(rate)), framerate)
        asked = one_showing_each(on, which)[:: max(1, len(np.unique(on.shown)) // 40)]
        answers = {frame: LABELS[number % 3] for number, frame in enumerate(asked)}
        said = annotation(*(answer(frame, label) for frame, label in answers.items()))
        assert len(answers) >= 40
        for exclusive in (True, False):
            known = known_of(on, said, exclusive=exclusive)
            assert_known(on, known, answers)
            assert int(known.known[np.unique(on.shown)].sum()) == len(answers), "and nothing else that is shown"

    def test_so_is_every_answer_over_a_timeline_that_was_worked_on(self, rate: str, framerate: float) -> None:
        on = studio_grid(video(Fraction(rate)), framerate)
        answers = dict.fromkeys(one_showing_each(on, "middle")[20:30], "dog")
        said = annotation(
            region(1, len(on), "cat", name=f"cold-v3-1_1_{len(on)}", origin="prediction"),
            region(1, len(on) // 9, "fox"),
            *(answer(frame, label, asked_by="cold-v3-") for frame, label in answers.items()),
        )
        assert_known(on, known_of(on, said), answers)

    def test_a_whole_timeline_on_the_pictures_it_was_drawn_for_is_known_throughout(
        self, rate: str, framerate: float
    ) -> None:
        timeline = video(Fraction(rate))
        on = studio_grid(timeline, framerate)
        span = on.span(FrameIndex(40), FrameIndex(99))
        assert span is not None
        known = known_of(on, annotation(region(*span, "cat"), reviewed=True))
        seen = known.values[np.unique(on.shown)]
        assert (seen != -1).all()
        assert set(np.unique(on.shown)[seen[:, 0] == 1]) == set(np.unique(on.shown)) & set(range(40, 100))


class TestOnePictureShownThreeTimes:
    """A file of 10 pictures a second at a framerate of 30: frames 1 to 3 show picture 0, 4 to 6 picture 1, and so on."""

    on = studio_grid(video(Fraction(10), 4), 30.0)

    def drawn(self, *made: Annotation, exclusive: bool = True) -> str:
        letters = {(1, 0, 0): "c", (0, 1, 0): "d", (0, 0, 1): "f", (0, 0, 0): ".", (-1, -1, -1): "?"}
        known = known_of(self.on, *made, exclusive=exclusive)
        return "".join(letters.get(tuple(row), "~") for row in known.values.tolist())

    def test_two_answers_that_contradict_each_other_are_unknown(self) -> None:
        assert self.drawn(annotation(answer(4, "cat"), answer(6, "dog"))) == "????"
        assert self.drawn(annotation(answer(4, "cat"), answer(6, "cat"))) == "?c??"

    def test_so_are_a_label_and_none_of_these(self) -> None:
        nothing = replace(answer(6), nothing=True)
        assert self.drawn(annotation(answer(4, "cat"), nothing, reviewed=False)) == "????"
        assert self.drawn(annotation(nothing, reviewed=False)) == "?.??"

    def test_and_a_label_beside_one_that_the_project_lost(self) -> None:
        assert self.drawn(annotation(answer(4, "cat"), answer(6, "cow"))) == "????"

    def test_an_unanswered_suggestion_beside_an_answered_one_says_nothing(self) -> None:
        assert self.drawn(annotation(answer(4, "cat"), answer(5))) == "?c??"

    def test_a_reviewed_timeline_that_changes_within_a_picture_leaves_it_unknown(self) -> None:
        drawn = annotation(region(1, 4, "cat"), region(5, 12, "dog"), reviewed=True)
        assert self.drawn(drawn) == "c?dd", "not the label of the greater part"
        assert self.drawn(annotation(region(1, 4, "cat"), reviewed=True)) == "c?..", "a gap of it is a statement, too"

    def test_in_a_sparse_annotation_an_edge_within_a_picture_is_none(self) -> None:
        assert self.drawn(annotation(region(1, 4, "cat"), reviewed=False)) == "cc??"

    def test_an_answer_is_the_whole_answer_for_its_picture(self) -> None:
        assert self.drawn(annotation(answer(5, "cat"), reviewed=True)) == ".c.."
        over = annotation(
            region(1, 12, "cat", name="cold-v3-1_1_12", origin="prediction"), answer(5, "dog"), reviewed=True
        )
        for exclusive in (True, False):
            assert self.drawn(over, exclusive=exclusive) == "cdcc"

    def test_but_not_against_what_the_same_person_drew(self) -> None:
        assert self.drawn(annotation(region(1, 12, "cat"), answer(5, "dog"), reviewed=True)) == "c?cc"

    def test_an_unanswered_question_keeps_its_whole_picture_from_being_taken_over(self) -> None:
        blind = annotation(region(1, 12, "cat", name="cold-v3-1_1_12", origin="prediction"), answer(5))
        assert self.drawn(blind) == "c?cc"

    def test_a_person_outdoes_what_a_model_drew_of_the_same_picture(self) -> None:
        made = annotation(
            region(1, 4, "dog"), region(5, 12, "cat", name="cold-v3-1_5_12", origin="prediction"), number=2
        )
        assert self.drawn(made) == "ddcc"
        known = known_of(self.on, made)
        assert known.weight == pytest.approx([1, 1, UNTOUCHED_WEIGHT, UNTOUCHED_WEIGHT])

    def test_ground_truth_outranks_a_timeline_whichever_frame_of_the_picture_it_is_about(self) -> None:
        timeline = annotation(region(1, 12, "dog"), number=1)
        assert self.drawn(timeline, replace(annotation(answer(6, "cat"), number=2), ground_truth=True)) == "dcdd"

    def test_people_who_answered_different_frames_of_a_picture_vote_on_the_picture(self) -> None:
        said = [annotation(answer(4 + n, label), number=n) for n, label in enumerate(["cat", "dog", "dog"])]
        assert self.drawn(*said) == "?d??"
        assert known_of(self.on, *said).weight[1] == pytest.approx(2 / 3)
        assert self.drawn(*said[:2]) == "????"

    def test_where_several_labels_may_hold_a_range_says_nothing_of_the_others(self) -> None:
        known = known_of(self.on, annotation(region(4, 4, "cat"), region(6, 6, "dog")), exclusive=False)
        assert known.values[1].tolist() == [1, 1, -1]


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Of any rate, constant or not, in ticks of a millisecond, beginning before, at or after the browser's zero."""
    gaps = draw(st.lists(st.integers(1, 200), min_size=1, max_size=60))
    start = draw(st.integers(-300, 300))
    pts = start + np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
    end = max(int(pts[-1]) + draw(st.integers(1, 200)), 1)
    return Timeline(pts, Fraction(1, 1000), Fraction(end, 1000))


framerates = st.one_of(st.sampled_from(FRAMERATES), st.floats(1, 240))


@given(timelines(), framerates, st.data(), st.booleans())
def test_every_answer_on_a_frame_that_is_shown_is_known_afterwards(
    timeline: Timeline, framerate: float, data: st.DataObject, exclusive: bool
) -> None:
    on = studio_grid(timeline, framerate)
    frames = data.draw(st.lists(st.integers(1, len(on)), min_size=1, max_size=12, unique_by=lambda f: on.shown[f - 1]))
    answers = {frame: data.draw(st.sampled_from(LABELS)) for frame in frames}
    known = known_of(on, annotation(*(answer(*item) for item in answers.items())), exclusive=exclusive)
    assert_known(on, known, answers)


@given(timelines(), framerates, st.data())
def test_what_is_known_of_a_shown_picture_was_said_on_one_of_its_frames(
    timeline: Timeline, framerate: float, data: st.DataObject
) -> None:
    on = studio_grid(timeline, framerate)
    frames = data.draw(st.lists(st.integers(1, len(on)), min_size=1, max_size=12, unique=True))
    answers = {frame: data.draw(st.sampled_from(LABELS)) for frame in frames}
    known = known_of(on, annotation(*(answer(*item) for item in answers.items())))
    said: dict[int, set[str]] = {}
    for frame, label in answers.items():
        said.setdefault(int(on.shown[frame - 1]), set()).add(label)
    for picture in np.unique(on.shown).tolist():
        labels: Sequence[str] = [name for name, value in zip(LABELS, known.values[picture], strict=True) if value == 1]
        only = said.get(picture, set())
        assert set(labels) == (only if len(only) == 1 else set())


def test_a_grid_without_repeats_is_read_as_it_is() -> None:
    assert known_of(grid(4), annotation(answer(2, "cat"))).known.tolist() == [False, True, False, False]
