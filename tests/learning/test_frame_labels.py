"""What annotations mean, frame by frame. Label Studio's frames are 1-based, frame indices 0-based."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from handmade import annotation, grid, region

from ml_backend.annotation import Annotation
from ml_backend.learning.frame_labels import UNTOUCHED_WEIGHT, FrameLabels, frame_labels, is_dense, is_exclusive
from ml_backend.video.timeline import StudioGrid

LABELS = ("cat", "dog")


def read(
    *annotations: Annotation,
    frames: int = 10,
    on: StudioGrid | None = None,
    default: str | None = None,
    exclusive: bool | None = None,
) -> FrameLabels:
    return frame_labels(annotations, on or grid(frames), LABELS, default, exclusive=exclusive)


def drawn(known: FrameLabels) -> str:
    """One letter a frame: c(at), d(og), b(oth), . none, ? unknown, ~ partly known."""
    letters = {(1, 0): "c", (0, 1): "d", (1, 1): "b", (0, 0): ".", (-1, -1): "?"}
    return "".join(letters.get((int(cat), int(dog)), "~") for cat, dog in known.values)


def model(start: int, end: int, *labels: str, touched: bool = False):  # type: ignore[no-untyped-def]
    return region(
        start, end, *labels, name=f"cold-v3-{start}", origin="prediction-changed" if touched else "prediction"
    )


def question(frame: int, *labels: str):  # type: ignore[no-untyped-def]
    return region(
        frame, frame, *labels, name=f"kf-cold-v3-{frame}", origin="prediction-changed" if labels else "prediction"
    )


def test_without_annotations_nothing_is_known() -> None:
    assert drawn(read()) == "??????????"


class TestSparse:
    def test_only_labelled_frames_are_known(self) -> None:
        known = read(annotation(region(3, 3, "cat", name="kf-1"), region(8, 8, "dog", name="kf-2")))
        assert drawn(known) == "??c????d??"
        assert not known.dense
        assert known.weight.tolist() == [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]

    def test_an_unanswered_suggestion_says_nothing(self) -> None:
        assert drawn(read(annotation(region(3, 3, "cat", name="kf-1"), region(5, 5, name="kf-2")))) == "??c???????"

    def test_a_suggestion_dragged_longer_counts_over_its_whole_range(self) -> None:
        assert drawn(read(annotation(region(3, 6, "cat", name="kf-1")))) == "??cccc????"

    def test_in_a_multi_label_project_a_range_says_nothing_of_other_labels(self) -> None:
        known = read(annotation(region(3, 6, "cat", name="kf-1")), exclusive=False)
        assert known.values[3].tolist() == [1, -1]

    def test_in_a_multi_label_project_an_answered_frame_is_answered_in_full(self) -> None:
        known = read(annotation(region(3, 3, "cat", name="kf-1")), exclusive=False)
        assert known.values[2].tolist() == [1, 0]

    def test_ranges_outside_the_video_and_backwards_are_cut_and_turned(self) -> None:
        assert (
            drawn(read(annotation(region(9, 99, "cat", name="kf-1"), region(2, 0, "dog", name="kf-2")))) == "dd??????cc"
        )


class TestDense:
    @pytest.mark.parametrize(
        ("made", "dense"),
        [
            (annotation(region(1, 9, "cat")), True),
            (annotation(region(1, 5, "cat")), False),
            (annotation(region(1, 5, "cat"), reviewed=True), True),
            (annotation(region(1, 10, "cat"), reviewed=False), False),
            (annotation(region(1, 10, "cat"), region(4, 4, name="kf-1")), False),
            (annotation(model(1, 2, "cat")), True),
            (annotation(region(1, 2, "cat", name="custom-my_model-v2-0")), True),
            (annotation(), False),
        ],
    )
    def test_the_rule(self, made: Annotation, dense: bool) -> None:
        assert is_dense(made, grid(10)) is dense

    def test_gaps_mean_none_of_the_labels(self) -> None:
        known = read(annotation(region(3, 5, "cat"), reviewed=True))
        assert drawn(known) == "..ccc....."
        assert known.dense
        assert known.judged

    def test_gaps_mean_the_default_label_where_the_project_has_one(self) -> None:
        assert drawn(read(annotation(region(3, 5, "cat"), reviewed=True), default="dog")) == "ddcccddddd"

    def test_a_default_label_that_the_project_lost_is_ignored(self) -> None:
        assert drawn(read(annotation(region(3, 5, "cat"), reviewed=True), default="cow")) == "..ccc....."

    def test_a_blind_submit_weighs_little_and_judges_nothing(self) -> None:
        known = read(annotation(model(1, 4, "cat"), model(5, 8, "dog")))
        assert drawn(known) == "ccccdddd.."
        assert known.dense
        assert not known.judged
        assert known.weight == pytest.approx(np.full(10, UNTOUCHED_WEIGHT))

    def test_what_was_worked_on_weighs_fully_and_the_rest_little(self) -> None:
        known = read(annotation(model(1, 4, "cat", touched=True), model(5, 8, "dog")))
        assert known.judged
        assert known.weight == pytest.approx([1] * 4 + [UNTOUCHED_WEIGHT] * 6)

    def test_a_dragged_edge_is_seen_by_comparing_with_what_was_pushed(self) -> None:
        pushed = {"cold-v3-1": model(1, 6, "cat")}
        known = frame_labels([annotation(model(1, 4, "cat"))], grid(10), LABELS, pushed=pushed)
        assert known.weight[0] == 1
        assert known.judged

    @pytest.mark.parametrize(
        ("name", "touched"),
        [
            ("cold-v3-2_1_6", True),
            ("cold-v3-2_1_4", False),
            ("custom-my_9_9-v2-12_1_6", True),
            ("custom-my_9_9-v2-12_1_4", False),
            ("custom-my_9_9-v2-12", False),  # made before ids told the range
            (f"cold-v3-2_1_{'9' * 5000}", False),  # made by nobody: Python reads no number of so many digits
        ],
    )
    def test_it_is_seen_by_the_range_in_its_id_when_the_prediction_is_gone(self, name: str, touched: bool) -> None:
        known = read(annotation(region(1, 4, "cat", name=name, origin="prediction")))
        assert known.judged is touched
        assert known.weight[0] == pytest.approx(1 if touched else UNTOUCHED_WEIGHT)

    def test_a_review_mark_makes_untouched_regions_count_fully(self) -> None:
        known = read(annotation(model(1, 4, "cat"), reviewed=True))
        assert known.judged
        assert known.weight.min() == 1


class TestQuestions:
    def test_an_answer_over_a_timeline_that_was_left_alone_is_all_that_is_known(self) -> None:
        known = read(annotation(model(1, 6, "cat"), question(3, "dog"), question(8)))
        assert drawn(known) == "??d???????"
        assert not known.dense
        assert not known.judged
        assert known.weight[2] == 1

    def test_an_answer_that_agrees_with_the_timeline_is_no_review_of_it(self) -> None:
        known = read(annotation(model(1, 10, "cat"), question(3, "cat")))
        assert drawn(known) == "??c???????"

    def test_an_unanswered_question_is_neither_a_label_nor_a_negative(self) -> None:
        known = read(annotation(model(1, 5, "cat"), question(3), question(8)))
        assert drawn(known) == "cc?cc..?.."
        assert known.dense
        assert not known.judged

    def test_not_even_the_default_label(self) -> None:
        assert drawn(read(annotation(model(1, 5, "cat"), question(8)), default="dog")) == "cccccdd?dd"

    def test_but_where_the_timeline_was_changed_or_all_was_reviewed_the_person_has_said_it(self) -> None:
        changed = annotation(model(1, 5, "cat", touched=True), question(3), question(8))
        assert drawn(read(changed)) == "ccccc..?.."
        assert drawn(read(annotation(model(1, 5, "cat"), question(3), question(8), reviewed=True))) == "ccccc....."

    def test_an_answer_wins_over_what_was_predicted_and_not_touched(self) -> None:
        known = read(annotation(model(1, 5, "cat"), model(7, 10, "dog", touched=True), question(3, "dog")))
        assert drawn(known) == "ccdcc.dddd"
        assert known.dense
        assert known.judged
        assert known.weight[2] == 1
        assert known.weight[1] == pytest.approx(UNTOUCHED_WEIGHT)

    def test_also_where_several_labels_may_hold(self) -> None:
        worked_on = annotation(model(1, 5, "cat"), model(7, 10, "dog", touched=True), question(3, "dog"))
        assert read(worked_on, exclusive=False).values[2].tolist() == [0, 1]

    def test_answered_with_a_label_that_the_project_lost_nothing_is_known_there(self) -> None:
        known = read(annotation(model(1, 5, "cat"), model(7, 10, "dog", touched=True), question(3, "cow")))
        assert drawn(known) == "cc?cc.dddd"

    def test_a_dragged_edge_makes_it_work_on_the_timeline(self) -> None:
        answered = annotation(model(1, 4, "cat"), question(8, "dog"))
        assert not is_dense(answered, grid(10), {"cold-v3-1": model(1, 4, "cat")})
        assert is_dense(answered, grid(10), {"cold-v3-1": model(1, 6, "cat")})

    def test_also_when_the_prediction_is_gone(self) -> None:
        dragged, left = (region(1, 4, "cat", name=f"cold-v3-1_1_{end}", origin="prediction") for end in (6, 4))
        assert is_dense(annotation(dragged, question(8, "dog")), grid(10))
        assert not is_dense(annotation(left, question(8, "dog")), grid(10))

    def test_a_region_drawn_by_hand_makes_it_work_on_the_timeline(self) -> None:
        assert is_dense(annotation(model(1, 4, "cat"), question(8, "dog"), region(6, 7, "dog")), grid(10))

    def test_over_an_empty_timeline_only_what_was_answered_is_known(self) -> None:
        assert drawn(read(annotation(question(3, "dog"), question(8)))) == "??d???????"
        assert drawn(read(annotation(question(3), question(8)))) == "??????????"

    def test_a_timeline_that_is_said_not_to_be_reviewed_is_not_taken_over(self) -> None:
        assert drawn(read(annotation(model(1, 5, "cat"), region(7, 8, "dog"), reviewed=False))) == "??????dd??"

    def test_answers_do_not_make_a_project_multi_label(self) -> None:
        assert is_exclusive([annotation(model(1, 5, "cat"), question(3, "dog"))])

    def test_none_of_these_is_an_answer_for_that_frame_alone(self) -> None:
        nothing = replace(question(4), nothing=True)
        answered = annotation(question(2, "cat"), nothing, reviewed=False)
        for exclusive in (True, False):
            assert drawn(read(answered, exclusive=exclusive)) == "?c?.??????"
        assert drawn(read(annotation(nothing, reviewed=False), default="cat")) == "???.??????", "whatever gaps mean"

    def test_none_of_these_is_one_voice_among_several(self) -> None:
        nothing = annotation(replace(question(4), nothing=True), number=1)
        cat = annotation(question(4, "cat"), number=2)
        assert drawn(read(nothing, cat)) == "??????????"
        assert drawn(read(nothing, cat, replace(nothing, id=3))) == "???.??????"


class TestPredictionsThatNobodyLookedAt:
    """Label Studio makes annotations of predictions, and people submit those of other models as they are."""

    pushed: ClassVar = {
        "cold-v3-1": model(1, 6, "cat"),
        "yolo-a": region(1, 10, "dog", name="yolo-a", origin="prediction"),
    }

    def read(self, *made: Annotation, dense: bool | None = None) -> FrameLabels:
        return frame_labels(made, grid(10), LABELS, pushed=self.pushed, dense=dense)

    @pytest.mark.parametrize("name", ["cold-v3-1", "cold-v3-2_1_6"])
    def test_a_timeline_that_was_copied_without_its_origin_is_a_blind_submit(self, name: str) -> None:
        copied = annotation(replace(region(1, 6, "cat", name=name), origin=None))
        for known in (self.read(copied), self.read(copied, dense=True)):
            assert known.weight == pytest.approx(np.full(10, UNTOUCHED_WEIGHT))
            assert not known.judged

    def test_its_questions_are_not_answered_by_copying_them(self) -> None:
        copied = annotation(
            replace(model(1, 6, "cat"), origin=None),
            replace(question(3), origin=None),
            replace(question(8), origin=None),
        )
        assert drawn(self.read(copied)) == "cc?ccc.?.."

    def test_another_models_timeline_that_was_submitted_as_it_is_says_nothing(self) -> None:
        blind = annotation(region(1, 10, "dog", name="9f-x", origin="prediction"))
        assert drawn(self.read(blind)) == "??????????"
        assert not self.read(blind).dense

    def test_also_when_it_was_copied(self) -> None:
        copied = annotation(replace(region(1, 10, "dog", name="yolo-a"), origin=None))
        assert drawn(self.read(copied)) == "??????????"

    def test_changed_it_is_a_persons_word(self) -> None:
        relabelled = annotation(region(1, 10, "cat", name="9f-x", origin="prediction-changed"))
        dragged = annotation(region(1, 9, "dog", name="yolo-a", origin="prediction"))
        assert drawn(self.read(relabelled)) == "cccccccccc"
        assert self.read(relabelled).weight.min() == 1
        assert drawn(self.read(dragged)) == "ddddddddd."
        assert self.read(dragged).judged

    def test_beside_what_was_changed_the_rest_of_it_stays_a_models_word(self) -> None:
        made = annotation(
            region(1, 5, "cat", name="9f-x", origin="prediction-changed"),
            region(6, 10, "dog", name="9f-y", origin="prediction"),
        )
        assert drawn(self.read(made)) == "cccccddddd"
        assert self.read(made).weight == pytest.approx([1] * 5 + [UNTOUCHED_WEIGHT] * 5)

    def test_imported_annotations_are_peoples(self) -> None:
        imported = annotation(replace(region(1, 10, "cat", name="import-1"), origin=None))
        assert drawn(self.read(imported)) == "cccccccccc"
        assert self.read(imported).judged

    def test_a_whole_video_that_is_marked_as_reviewed_counts_fully_whoever_drew_it(self) -> None:
        said = annotation(region(1, 5, "dog", name="9f-x", origin="prediction"), reviewed=True)
        assert drawn(self.read(said)) == "ddddd....."
        assert self.read(said).judged


class TestRegionsMarkedAsReviewed:
    def test_its_frames_were_looked_at_and_no_others(self) -> None:
        known = read(annotation(replace(model(1, 4, "cat"), reviewed=True), model(5, 8, "dog")))
        assert drawn(known) == "ccccdddd.."
        assert known.weight == pytest.approx([1] * 4 + [UNTOUCHED_WEIGHT] * 6)
        assert not known.judged

    def test_where_several_labels_may_hold_no_other_holds_there(self) -> None:
        known = read(annotation(replace(region(1, 4, "cat"), reviewed=True), region(7, 8, "cat")), exclusive=False)
        assert known.values[0].tolist() == [1, 0]
        assert known.values[6].tolist() == [1, -1]

    def test_another_models_region_becomes_a_persons_word(self) -> None:
        said = annotation(replace(region(1, 4, "cat", name="9f", origin="prediction"), reviewed=True))
        assert drawn(read(said)) == "cccc??????"

    def test_one_without_a_label_says_that_none_holds(self) -> None:
        assert drawn(read(annotation(replace(region(3, 3, name="kf-3"), reviewed=True, nothing=True)))) == "??.???????"


class TestSeveral:
    def test_the_majority_decides_and_its_share_is_the_weight(self) -> None:
        said = [annotation(region(3, 3, label, name="kf-1"), number=n) for n, label in enumerate(["cat", "cat", "dog"])]
        known = read(*said)
        assert drawn(known) == "??c???????"
        assert known.weight[2] == pytest.approx(2 / 3)

    def test_a_tie_is_unknown(self) -> None:
        said = [annotation(region(3, 3, label, name="kf-1"), number=n) for n, label in enumerate(["cat", "dog"])]
        assert drawn(read(*said)) == "??????????"

    def test_three_different_answers_are_unknown_rather_than_none(self) -> None:
        said = [
            annotation(region(1, 10, "cat"), number=1),
            annotation(region(1, 10, "dog"), number=2),
            annotation(region(1, 1, "cat"), number=3, reviewed=True),
        ]
        assert drawn(read(*said)) == "c?????????"

    def test_ground_truth_outranks_a_majority(self) -> None:
        said = [annotation(region(1, 10, "dog"), number=n) for n in (1, 2, 3)]
        truth = annotation(region(1, 10, "cat"), number=4, ground_truth=True)
        assert drawn(read(*said, truth)) == "cccccccccc"

    def test_a_dense_annotation_supersedes_the_sparse_one(self) -> None:
        sparse = annotation(region(3, 3, "cat", name="kf-1"), number=1)
        dense = annotation(region(1, 10, "dog"), number=2)
        assert drawn(read(sparse, dense)) == "dddddddddd"

    def test_but_a_blind_submit_does_not_overrule_an_answer(self) -> None:
        sparse = annotation(region(3, 3, "cat", name="kf-1"), number=1)
        blind = annotation(model(1, 10, "dog"), number=2)
        known = read(sparse, blind)
        assert drawn(known) == "ddcddddddd"
        assert known.weight[2] == 1

    def test_multi_label_votes_are_counted_label_by_label(self) -> None:
        said = [
            annotation(region(1, 10, "cat"), region(1, 10, "dog"), number=1),
            annotation(region(1, 10, "cat"), number=2),
            annotation(region(1, 10, "cat"), number=3),
        ]
        assert drawn(read(*said, exclusive=False)) == "cccccccccc"


class TestOverlaps:
    def test_regions_lying_on_each_other_make_a_project_multi_label(self) -> None:
        assert not is_exclusive([annotation(region(1, 10, "cat"), region(4, 5, "dog"))])
        assert not is_exclusive([annotation(region(1, 10, "cat", "dog"))])
        assert drawn(read(annotation(region(1, 10, "cat"), region(4, 5, "dog")))) == "cccbbccccc"

    def test_a_sloppy_boundary_does_not(self) -> None:
        sloppy = annotation(region(1, 50, "cat"), region(48, 100, "dog"))
        assert is_exclusive([sloppy])
        assert drawn(read(sloppy, frames=100))[44:53] == "ccc???ddd"

    def test_nor_does_one_picture_that_label_studio_counts_six_times(self) -> None:
        """Of a camera with ten pictures a second at a framerate of 60."""
        one_picture = annotation(region(1, 60, "cat"), region(55, 120, "dog"))
        assert is_exclusive([one_picture], 60)
        assert not is_exclusive([one_picture], 24)


class TestChangedLabels:
    def test_a_label_that_the_project_lost_is_reported_and_proves_nothing(self) -> None:
        known = read(annotation(region(1, 5, "cow"), region(6, 10, "cat"), reviewed=True))
        assert known.unknown_labels == ("cow",)
        assert drawn(known) == "?????ccccc"

    def test_other_labels_of_the_same_region_stay(self) -> None:
        assert drawn(read(annotation(region(1, 10, "cow", "cat")), exclusive=True)) == "cccccccccc"

    def test_selecting_labels_keeps_what_is_known_of_them(self) -> None:
        known = read(annotation(region(1, 10, "cat"))).select(("dog", "cow", "cat"))
        assert known.values[0].tolist() == [0, -1, 1]

    def test_resizing_cuts_the_end_or_leaves_it_unknown(self) -> None:
        known = read(annotation(region(1, 10, "cat")))
        assert drawn(known.resized(4)) == "cccc"
        assert drawn(known.resized(12)) == "cccccccccc??"


class TestGrid:
    def test_a_frame_between_two_that_agree_is_known(self) -> None:
        every_other = grid(9, shown=[0, 2, 4, 6, 8])
        assert drawn(read(annotation(region(1, 3, "cat"), region(4, 5, "dog")), on=every_other)) == "ccccc?ddd"

    def test_a_frame_beyond_the_last_one_shown_is_unknown(self) -> None:
        assert drawn(read(annotation(region(1, 3, "cat")), on=grid(6, shown=[0, 2, 4]))) == "ccccc?"

    def test_a_frame_shown_twice_takes_what_both_showings_agree_on(self) -> None:
        twice = grid(4, shown=[0, 0, 1, 1, 2, 2, 3, 3])
        assert drawn(read(annotation(region(1, 5, "cat"), region(6, 8, "dog")), on=twice)) == "cc?d"
