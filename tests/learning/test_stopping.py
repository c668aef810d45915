"""When more labels hardly help, and how many errors a model leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml_backend.cards.measurements import Metrics, ReliabilityBin
from ml_backend.learning.agreement import cohen_kappa
from ml_backend.learning.metrics import reliability
from ml_backend.learning.probabilities import changes, doubt, frame_doubts
from ml_backend.learning.stopping import (
    STABLE,
    Evidence,
    Score,
    advise,
    correction,
    expected_errors,
)

AT_REST = Evidence(
    trained=True,
    lacking=(),
    scores=(Score(20, 0.90, (0.8, 0.95)), Score(40, 0.95, (0.92, 0.97)), Score(60, 0.955, (0.93, 0.98))),
    kappas=(0.8, 0.98, 0.99, 0.985),
)


class TestCohensKappa:
    def test_two_that_always_agree(self) -> None:
        assert cohen_kappa(np.diag([30, 10, 5])) == pytest.approx(1)

    def test_two_that_answer_independently(self) -> None:
        assert cohen_kappa(np.outer([3, 7], [2, 8])) == pytest.approx(0)

    def test_what_agrees_beyond_chance_counts(self) -> None:
        # 35 of 50 agree, .7; by chance .6 * .5 + .4 * .5 = .5 would.
        assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)

    def test_without_any_answer_there_is_none(self) -> None:
        assert cohen_kappa(np.zeros((2, 2), np.int64)) is None

    def test_one_class_only_is_agreement(self) -> None:
        assert cohen_kappa(np.array([[9, 0], [0, 0]])) == 1.0


class TestExpectedErrors:
    def test_a_frame_is_wrong_as_often_as_its_most_probable_label_is_not(self) -> None:
        p = np.array([[0.9, 0.05], [0.3, 0.6], [0.1, 0.2]], np.float32)
        # In the third frame none of the labels is the most probable answer, by .7.
        assert frame_doubts(p, True) == pytest.approx([0.1, 0.4, 0.3], abs=1e-6)

    def test_labels_that_may_overlap_must_all_be_right(self) -> None:
        p = np.array([[0.9, 0.2]], np.float32)
        assert frame_doubts(p, False) == pytest.approx([1 - 0.9 * 0.8])

    def test_of_many_frames_they_are_as_many_as_truly_come_wrong_when_confidence_is_honest(self) -> None:
        rng = np.random.default_rng(0)
        sure = rng.uniform(0.5, 1, 20_000).astype(np.float32)
        wrong = rng.random(20_000) > sure
        p = np.stack([sure, 1 - sure], axis=1)
        assert doubt(p, True) * 20_000 == pytest.approx(wrong.sum(), rel=0.03)

    def test_a_video_without_frames_has_none(self) -> None:
        assert doubt(np.empty((0, 3), np.float32), True) == 0.0

    def test_a_model_that_is_too_sure_is_corrected_by_what_it_got_wrong_on_held_out_videos(self) -> None:
        p = np.tile(np.array([[0.95, 0.05]], np.float32), (1000, 1))
        values = np.tile(np.array([[1, 0]], np.int8), (1000, 1))
        values[:200] = [0, 1]
        # It expects 50 errors and makes 200.
        factor = correction(Metrics(reliability=reliability(p, values, True)))
        assert factor == pytest.approx((200 + 5) / (50 + 5), rel=0.01)

    def test_a_few_held_out_frames_move_it_little(self) -> None:
        table = (ReliabilityBin(0.867, 0.933, decisions=10, confidence=0.9, right=0.8),)
        assert 1 < correction(Metrics(reliability=table)) < 1.25

    @pytest.mark.parametrize("measured", [Metrics(), Metrics(macro_f1=0.9), Metrics(judgement="Not measured.")])
    def test_without_held_out_videos_nothing_is_corrected(self, measured: Metrics) -> None:
        assert correction(measured) == 1.0

    def test_one_frame_more_goes_wrong_at_each_change_unless_whole_videos_were_held_out(self) -> None:
        assert expected_errors(0.1, 3, 200, Metrics()) == pytest.approx(20 + 3)
        assert expected_errors(0.1, 3, 200, Metrics(boundary_error_frames=1.2)) == pytest.approx(20)

    def test_there_are_never_more_of_them_than_frames(self) -> None:
        assert expected_errors(0.9, 50, 60, Metrics()) == 60

    def test_a_change_is_one_of_the_answer_whatever_the_probabilities_do(self) -> None:
        p = np.array([[0.9], [0.6], [0.4], [0.45], [0.8]], np.float32)
        assert changes(p, True) == 2
        assert changes(p, False) == 2
        assert changes(p[:1], True) == changes(p[:0], True) == 0


class TestAdvice:
    def test_answers_and_score_at_rest_leave_little_to_gain(self) -> None:
        told = advise(AT_REST)
        assert told.verdict == "little more to gain"
        assert told.kappa == pytest.approx((0.98 + 0.99 + 0.985) / 3)
        assert told.gain == pytest.approx(0.005)
        assert told.since_frames == 40

    def test_an_untrained_backbone_never_says_so(self) -> None:
        told = advise(replace(AT_REST, trained=False))
        assert told.verdict == "not known yet"
        assert "untrained" in told.why

    @pytest.mark.parametrize(
        ("scores", "because"),
        [
            ((), "not been measured"),
            ((*AT_REST.scores[:2], Score(60, 0.955, None)), "three recordings"),
            ((*AT_REST.scores[:2], Score(60, 0.955, (0.80, 0.99))), "between 0.800 and 0.990"),
            ((Score(50, 0.95, (0.93, 0.97)), Score(60, 0.955, (0.93, 0.98))), "too few versions"),
        ],
    )
    def test_without_a_held_out_score_to_compare_it_cannot_tell(self, scores: tuple[Score, ...], because: str) -> None:
        told = advise(replace(AT_REST, scores=scores))
        assert told.verdict == "not known yet"
        assert because in told.why

    def test_two_versions_that_agree_are_not_enough(self) -> None:
        assert advise(replace(AT_REST, kappas=(0.99, 0.99))).verdict == "not known yet"
        assert advise(replace(AT_REST, kappas=())).verdict == "not known yet"

    def test_answers_that_still_change_ask_for_more(self) -> None:
        told = advise(replace(AT_REST, kappas=(0.99, 0.99, STABLE - 0.1)))
        assert told.verdict == "go on"
        assert "differently" in told.why

    def test_a_score_that_rises_beyond_its_noise_asks_for_more(self) -> None:
        rising = (Score(20, 0.8, None), Score(60, 0.955, (0.93, 0.98)))
        told = advise(replace(AT_REST, scores=rising))
        assert told.verdict == "go on"
        assert "0.800" in told.why
        assert told.gain == pytest.approx(0.155)

    def test_a_label_without_examples_asks_for_more(self) -> None:
        told = advise(replace(AT_REST, lacking=("car",)))
        assert told.verdict == "go on"
        assert "“car”" in told.why
