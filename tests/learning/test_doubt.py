"""What is shown is no surer than answers have been right, from the first labels on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.calibration import Doubt, fit_doubt
from ml_backend.learning.cold import LabelledVideo, fit_cold
from ml_backend.learning.expected_accuracy import Answers, Way, unseen
from ml_backend.learning.head import arrays_of, head_from
from ml_backend.learning.metrics import calibration_error
from ml_backend.learning.versions import load_version, save_version

LABELS = ("cat", "dog")
FRAMES = np.arange(5, 400, 20)


def learnt(truth: np.ndarray, shown: np.ndarray, frames: np.ndarray = FRAMES, seed: int = 0):  # type: ignore[no-untyped-def]
    """A head from these frames of a video that shows scenes `shown` and is labelled as `truth`, and what it shows."""
    features, known = video(shown, seed=seed), labelled(truth, frames.tolist(), LABELS)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS, exclusive=True)
    rest = np.setdiff1d(np.arange(len(truth)), frames)
    return head, head.probabilities(features, known)[rest], np.eye(2, dtype=np.int8)[truth[rest]]


def test_labels_that_have_nothing_to_do_with_the_picture_are_not_told_apart() -> None:
    errors, apart = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        head, shown, values = learnt(rng.integers(0, 2, 400), np.repeat(rng.integers(0, 3, 40), 10), seed=seed)
        errors.append(calibration_error(shown, values, True))
        apart.append(head.told_apart)
    assert np.mean(apart) <= 0.34
    assert np.mean([float(error or 0) for error in errors]) <= 0.15


def test_labels_that_are_seen_are_told_apart_and_shown_as_surely_as_they_are_right() -> None:
    truth = np.repeat([0, 1] * 10, 20)
    head, shown, values = learnt(truth, truth)
    assert head.told_apart
    assert float(calibration_error(shown, values, True) or 0) <= 0.1
    assert (shown.argmax(axis=1) == values.argmax(axis=1)).mean() > 0.98


def test_what_a_person_said_is_not_doubted() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    features, known = video(np.zeros(400, int)), labelled(truth, FRAMES.tolist(), LABELS)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS, exclusive=True)
    found = head.probabilities(features, known)
    assert (found[FRAMES, truth[FRAMES]] > 0.99).all()


def test_doubt_keeps_the_order_of_answers() -> None:
    shown = Doubt(2.0, 0.97).shown(np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), np.ones(2, bool))
    assert shown.argmax(axis=1).tolist() == [0, 1]
    assert shown.sum(axis=1) == pytest.approx(1)


def answers(right: int, wrong: int, classes: int = 2) -> Answers:
    """Held-out answers, each class about as often, that claim nearly certainty."""
    truth = (np.arange(right + wrong) % classes).astype(np.intp)
    said = np.where(np.arange(right + wrong) < right, truth, (truth + 1) % classes)
    logs = np.full((right + wrong, classes), 0.02 / max(classes - 1, 1), np.float32)
    logs[np.arange(len(said)), said] = 0.98
    return Answers(np.log(logs), truth, np.ones(len(truth), np.float32))


def found(held: Answers | None, way: Way, classes: int = 2, sure: float | None = None, **more: Any) -> Doubt:
    taught = 10 if held is None else len(held.truth)
    return fit_doubt(held, way, np.ones(classes, bool), taught=taught, videos=3, sure=sure, **more)


class TestFramesBetweenLabelledOnes:
    """What is held out takes its stretch of video with it, so it says little of frames whose stretch is labelled."""

    def test_a_head_that_is_sure_is_believed_though_half_of_what_is_held_out_of_four_labels_is_missed(self) -> None:
        assert found(answers(5, 5, 4), "parts", 4, sure=0.99).chance < 0.1

    def test_of_two_labels_as_many_are_a_sign_of_guesses(self) -> None:
        doubt = found(answers(5, 5), "parts", sure=0.93)
        assert doubt.chance > 0.8
        assert not doubt.told_apart

    def test_a_head_that_contradicts_itself_is_believed_less(self) -> None:
        assert found(answers(7, 3), "parts", sure=0.8).by_lot > found(answers(7, 3), "parts", sure=0.99).by_lot

    def test_labels_that_are_hard_to_see_are_not_called_guesses_when_there_are_many(self) -> None:
        doubt = found(answers(140, 60), "parts", sure=0.9)
        assert doubt.told_apart
        assert 0.9 * (1 - doubt.chance) + doubt.chance / 2 == pytest.approx(0.7, abs=0.05)

    def test_with_an_example_of_each_label_it_is_doubted_in_part(self) -> None:
        doubt = found(None, "parts", sure=0.95)
        assert 0.05 < doubt.chance < 0.97
        assert doubt.told_apart


class TestVideosWithoutLabels:
    def test_answers_are_as_sure_as_left_out_videos_were_right(self) -> None:
        held = answers(240, 60, 4)
        doubt = found(held, "videos", 4)
        shown = doubt.shown(np.exp(held.logs), np.ones(4, bool))
        # A little more, since one video more is learnt from.
        assert 0.8 < shown.max(axis=1).mean() < 0.87

    def test_three_videos_that_were_right_throughout_are_nearly_believed(self) -> None:
        assert found(answers(300, 0), "videos").chance < 0.03

    def test_answers_no_better_than_one_answer_for_all_are_not_told_apart(self) -> None:
        doubt = found(answers(150, 150), "videos")
        assert not doubt.told_apart
        assert doubt.chance > 0.9

    def test_of_one_video_nobody_knows_what_carries_over(self) -> None:
        held = answers(10, 0)
        assert found(held, "parts for others").chance > found(held, "parts", sure=held.sure).chance + 0.1


class TestTwoVideos:
    """The first model: two videos with a few answers each, and all others to be predicted."""

    @staticmethod
    def of_another(rooms: tuple[int, int, int]) -> tuple[float, float]:
        """How sure answers about the last video are, and how often right, of a head taught ten frames of each of the others."""
        truth = np.repeat([0, 1] * 10, 20)
        taught = [
            LabelledVideo(n, video(truth, room=room, seed=n), labelled(truth, range(10, 200, 20), LABELS))
            for n, room in enumerate(rooms[:2])
        ]
        p = fit_cold(taught, LABELS, exclusive=True).probabilities(video(truth, room=rooms[2], seed=9))
        return float(p.max(axis=1).mean()), float((p.argmax(axis=1) == truth).mean())

    def test_what_is_learned_from_either_and_holds_in_the_other_is_believed_of_a_third(self) -> None:
        sure, right = self.of_another((0, 1, 2))
        assert right > 0.95
        assert sure > 0.9

    def test_that_one_says_nothing_of_the_other_is_no_worse_than_not_knowing(self) -> None:
        held = answers(6, 4)
        alone = found(held, "parts for others", sure=0.9)
        for elsewhere in (answers(5, 5), None):
            assert found(held, "parts for others", sure=0.9, elsewhere=elsewhere) == alone
        assert found(held, "parts for others", sure=0.9, elsewhere=answers(10, 0)).chance < alone.chance


class TestLabelsThatWereNotSeen:
    def test_what_is_seen_once_says_that_there_is_more(self) -> None:
        assert unseen(np.arange(10), 20) > 0.5
        assert unseen(np.repeat(np.arange(5), 10), 20) == 0
        assert unseen(np.repeat(np.arange(5), 10), 5) == 0

    def test_answers_leave_room_for_them(self) -> None:
        doubt = found(None, "parts", 10, sure=0.95, unseen=0.5)
        shown = 0.95 * (1 - doubt.chance) + doubt.chance / 10
        assert shown < 0.5


def test_a_version_from_before_something_was_known_of_doubt_is_read() -> None:
    truth = np.repeat([0, 1] * 10, 20)
    head, _, _ = learnt(truth, truth)
    arrays, structure = arrays_of(head)
    for doubt in structure["own_doubts"]:
        del doubt["by_lot"]
        doubt["error"] = 0.1
    again = head_from(arrays, structure, head.kind, head.labels, head.exclusive)
    assert again.own_doubts[0].chance == head.own_doubts[0].chance


def test_doubt_is_kept_with_the_version(tmp_path: Path) -> None:
    truth = np.repeat([0, 1] * 10, 20)
    head, _, _ = learnt(truth, truth)
    card = save_version(tmp_path, head, backbone="b")
    again, _ = load_version(tmp_path, card.name)
    assert (again.doubts, again.own_doubts) == (head.doubts, head.own_doubts)
    assert card.calibration.told_apart is True
