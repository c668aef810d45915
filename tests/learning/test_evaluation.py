"""Numbers that can be believed: measured on videos not seen, and silent where there are too few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.features.blocks import Samples
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.calibration import ENOUGH_FRAMES, Held, fitting_temperature
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.evaluation import cross_validated
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.metrics import (
    SegmentScores,
    calibration_error,
    confusion,
    macro_f1,
    per_label,
    reliability,
    segment_scores,
    segments,
)
from ml_backend.learning.probabilities import decided

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1], 30)
FIT = partial(fit_blitz, labels=LABELS, exclusive=True)


def reviewed(n: int, truth: np.ndarray = TRUTH, judged: bool = True, room: int | None = None) -> LabelledVideo:
    known = replace(labelled(truth, range(len(truth)), LABELS), dense=True, judged=judged)
    return LabelledVideo(n, video(truth, room=n if room is None else room, seed=n), known)


def one_hot(*classes: int) -> np.ndarray:
    return np.array([[int(c == 0), int(c == 1)] for c in classes], np.int8)


class TestEvaluate:
    def test_every_video_is_predicted_by_a_head_that_has_not_seen_it(self) -> None:
        seen: list[set[int]] = []

        def fit(videos):  # type: ignore[no-untyped-def]
            seen.append({v.task for v in videos})
            return FIT(videos)

        found = cross_validated([reviewed(n) for n in range(4)], LABELS, fit, exclusive=True).metrics()
        assert sorted(min({0, 1, 2, 3} - tasks) for tasks in seen) == [0, 1, 2, 3]
        assert found.macro_f1 > 0.97
        assert found.segment_f1 > 0.97
        assert found.boundary_error_frames < 1
        assert found.frames == 480
        assert "4 recordings" in found.judgement
        assert found.confusion.labels == ("cat", "dog", "none of the labels")
        assert sum(map(sum, found.confusion.counts)) == 480
        low, high = found.macro_f1_interval
        assert 0.9 < low <= found.macro_f1 <= high
        assert set(found.labels["cat"].as_json()) == {"precision", "recall", "f1", "support", "f1_interval"}
        assert sum(row.decisions for row in found.reliability) == 480

    def test_labels_that_mean_nothing_are_not_flattered(self) -> None:
        rng = np.random.default_rng(0)
        noise = []
        for n in range(4):
            known = labelled(rng.integers(0, 2, 120), range(120), LABELS)
            noise.append(LabelledVideo(n, video(TRUTH, room=n, seed=n), replace(known, dense=True, judged=True)))
        assert cross_validated(noise, LABELS, FIT, exclusive=True).metrics().macro_f1 < 0.65

    def test_the_same_recording_twice_is_never_on_both_sides(self) -> None:
        found = cross_validated([reviewed(0), reviewed(0)], LABELS, FIT, exclusive=True).metrics()
        assert found.videos == 1
        assert found.judgement.startswith("Not enough videos to judge")

    def test_nor_is_a_copy_whose_embeddings_are_others(self) -> None:
        """As at another size and bit rate: only the hashes of its pictures still say so."""
        first, other = reviewed(0), reviewed(1, room=9)
        rng = np.random.default_rng(0)
        hashes = rng.integers(0, 2**64, (2, 30), np.uint64)
        copied = hashes[0] ^ (np.uint64(1) << rng.integers(0, 64, 30, np.uint64))

        def looking(video: LabelledVideo, seen: np.ndarray) -> LabelledVideo:
            samples = Samples(np.arange(0, 120, 4), seen, *(np.ones(30, np.float32) for _ in fields(Samples)[2:]))
            return replace(video, features=replace(video.features, samples=samples))

        copy = cross_validated(
            [looking(first, hashes[0]), looking(other, copied)], LABELS, FIT, exclusive=True
        ).metrics()
        assert copy.videos == 1
        apart = cross_validated(
            [looking(first, hashes[0]), looking(other, hashes[1])], LABELS, FIT, exclusive=True
        ).metrics()
        assert apart.videos == 2

    def test_one_video_is_measured_on_blocks_and_says_so(self) -> None:
        found = cross_validated([reviewed(0)], LABELS, FIT, exclusive=True).metrics()
        assert found.scheme == "blocks of one video"
        assert found.judgement.startswith("Not enough videos to judge")
        assert found.macro_f1 > 0.9
        assert found.macro_f1_interval is None

    def test_what_is_asked_of_one_copy_is_not_learnt_from_another(self) -> None:
        copies = [replace(reviewed(0), task=n) for n in range(12)]
        taught: list[Sequence[LabelledVideo]] = []

        def fit(videos: Sequence[LabelledVideo]) -> Head:
            taught.append(videos)
            return FIT(videos)

        found = cross_validated(copies, LABELS, fit, exclusive=True).metrics()
        assert (found.scheme, found.frames) == ("blocks of one video", 12 * len(TRUTH))
        # However many copies there are: as many fits as blocks.
        assert len(taught) == 4
        for inside in taught:
            assert len({tuple(np.flatnonzero(one.labels.known)) for one in inside}) == 1
            assert len(inside) == 12

    def test_a_blind_submit_is_no_measure(self) -> None:
        found = cross_validated([reviewed(n, judged=False) for n in range(3)], LABELS, FIT, exclusive=True).metrics()
        assert found.frames == 0
        assert "Not measured" in found.judgement

    def test_answered_frames_of_sparse_videos_count(self) -> None:
        videos = [
            LabelledVideo(n, video(TRUTH, room=n, seed=n), labelled(TRUTH, [5, 40, 70, 100], LABELS)) for n in range(4)
        ]
        found = cross_validated(
            videos, LABELS, partial(fit_cold, labels=LABELS, exclusive=True), exclusive=True
        ).metrics()
        assert found.frames == 16
        assert found.macro_f1 > 0.9
        assert found.segment_f1 is None

    def test_progress_is_told(self) -> None:
        told: list[float] = []
        cross_validated([reviewed(n) for n in range(3)], LABELS, FIT, exclusive=True, progress=told.append).metrics()
        assert told == pytest.approx([0, 1 / 3, 2 / 3])


class TestMetrics:
    def test_precision_recall_and_f1_of_known_frames_only(self) -> None:
        answer, truth = one_hot(0, 0, 1, 1), one_hot(0, 1, 1, 0)
        truth[3] = -1
        assert per_label(answer, truth, LABELS)["cat"].as_json() == {
            "precision": 0.5,
            "recall": 1.0,
            "f1": 2 / 3,
            "support": 1,
        }

    def test_a_label_that_does_not_occur_is_left_out_of_the_mean(self) -> None:
        table = per_label(one_hot(0, 0), one_hot(0, 0), LABELS)
        assert table["dog"].f1 is None
        assert macro_f1(table) == 1

    def test_confusion_counts_none_of_the_labels_too(self) -> None:
        assert confusion(one_hot(0, 1, 2), one_hot(0, 0, 2)) == ((1, 1, 0), (0, 0, 0), (0, 0, 1))

    def test_none_wins_when_it_is_the_most_probable(self) -> None:
        assert decided(np.array([[0.3, 0.2], [0.4, 0.35]], np.float32), True).tolist() == [[0, 0], [1, 0]]

    def test_confidence_that_is_right_has_no_calibration_error(self) -> None:
        p = np.tile(np.array([[0.8, 0.2]], np.float32), (10, 1))
        assert calibration_error(p, one_hot(*[0] * 8, 1, 1), True) == pytest.approx(0, abs=1e-6)
        assert calibration_error(p, one_hot(*[0] * 10), True) == pytest.approx(0.2)

    def test_reliability_holds_each_confidence_against_how_often_it_is_right(self) -> None:
        sure, unsure = [[0.99, 0.01]] * 4, [[0.6, 0.4]] * 5
        table = reliability(np.array(sure + unsure, np.float32), one_hot(*[0] * 7, 1, 1), True)
        assert [(row.decisions, row.right) for row in table] == [(5, pytest.approx(0.6)), (4, 1)]
        assert [row.confidence for row in table] == pytest.approx([0.6, 0.99])
        assert all(row.low <= row.confidence <= row.high for row in table)

    def test_segments_are_runs_with_both_ends_included(self) -> None:
        assert segments(np.array([1, 1, 0, 1], np.int8)) == [(0, 1), (3, 3)]

    def test_segments_are_found_when_they_overlap_by_half(self) -> None:
        truth = one_hot(*[0] * 10, *[2] * 10)
        near = one_hot(*[0] * 8, *[2] * 12)
        assert segment_scores(near, truth) == SegmentScores(found=1, predicted=1, true=1, boundary_frames=(0, 2))
        assert segment_scores(one_hot(*[0] * 3, *[2] * 17), truth).found == 0


class TestTemperature:
    def held(self, confidence: float, right: int, wrong: int) -> Held:
        p = np.tile(np.array([[confidence, 1 - confidence]], np.float32), (right + wrong, 1))
        return Held(1, p, one_hot(*[0] * right, *[1] * wrong), False)

    def test_overconfidence_is_cooled_and_underconfidence_warmed(self) -> None:
        assert fitting_temperature([self.held(0.99, 80, 20)] * 2, True) > 2
        assert fitting_temperature([self.held(0.7, 99, 1)] * 2, True) < 0.5

    def test_below_fifty_frames_nothing_is_fitted(self) -> None:
        few = ENOUGH_FRAMES // 2 - 1
        assert fitting_temperature([self.held(0.99, few - 5, 5)] * 2, True) == 1

    def test_multi_label_answers_are_calibrated_one_by_one(self) -> None:
        assert fitting_temperature([self.held(0.99, 80, 20)] * 2, False) > 2
