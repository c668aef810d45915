"""Labels that are probably wrong, worst first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.features.blocks import Flow, VideoFeatures
from ml_backend.features.flow import COLUMNS, STEPS
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.run_predictions import held_out
from ml_backend.learning.suspects import Suspect, off_by, suspects
from ml_backend.video.timeline import FrameIndex

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1, 0, 1, 0, 1], 25)


def said(values: np.ndarray, task: int = 1, room: int = 0) -> LabelledVideo:
    known = replace(labelled(values, range(len(values)), LABELS), dense=True, judged=True)
    return LabelledVideo(task, video(TRUTH, room=room, seed=task), known)


def noisy(features: VideoFeatures, much: float) -> VideoFeatures:
    rng = np.random.default_rng(5)
    blocks = {
        name: (rows + rng.normal(0, much, rows.shape)).astype(np.float16) for name, rows in features.blocks.items()
    }
    return replace(features, blocks=blocks)


def moving(features: VideoFeatures, velocity: np.ndarray) -> VideoFeatures:
    """With something that moves so fast to the right in each frame."""
    frames = np.arange(0, len(features), 2, dtype=np.int64)
    rows = np.random.default_rng(6).normal(0, 0.05, (len(frames), len(STEPS) * COLUMNS))
    for step in range(len(STEPS)):
        rows[:, step * COLUMNS + 2] = 0.1
        rows[:, step * COLUMNS + 8] += velocity[frames]
    return replace(features, flow=Flow(frames, rows.astype(np.float16)))


def found_in(*videos: LabelledVideo, exclusive: bool = True) -> tuple[Suspect, ...]:
    return suspects(held_out(videos, LABELS, exclusive=exclusive), LABELS, exclusive=exclusive)


@pytest.mark.parametrize(
    ("given", "expected", "later", "told"),
    [
        (("cat",), ("dog",), True, "“cat” begins 8 frames later"),
        (("dog",), ("cat",), False, "“cat” begins 8 frames earlier"),
        ((), ("dog",), True, "“dog” ends 8 frames later"),
        (("dog",), (), False, "“dog” ends 8 frames earlier"),
        (("cat", "dog"), ("dog",), False, "“cat” ends 8 frames earlier"),
    ],
)
def test_a_boundary_is_told_in_words(given: tuple[str, ...], expected: tuple[str, ...], later: bool, told: str) -> None:
    first, last = FrameIndex(92), FrameIndex(99)
    assert off_by(Suspect(1, first, last, given, expected, 0.8, "boundary", later), 8) == told
    assert off_by(Suspect(1, first, last, given, expected, 0.8, "label"), 8) == ""


class TestSuspects:
    def test_right_labels_raise_no_suspicion(self) -> None:
        assert found_in(said(TRUTH), said(TRUTH, 2, 1)) == ()

    def test_a_region_with_the_wrong_label_comes_first(self) -> None:
        wrong = TRUTH.copy()
        wrong[50:75] = 1
        found = found_in(said(TRUTH), said(wrong, 2, 1))
        worst = found[0]
        assert (worst.task, worst.given, worst.expected, worst.kind) == (2, ("dog",), ("cat",), "label")
        assert abs(worst.first - 50) <= 1
        assert abs(worst.last - 74) <= 1
        assert worst.doubt > 0.8

    def test_an_event_that_was_missed_inside_a_region_is_found(self) -> None:
        missed = TRUTH.copy()
        missed[25:50] = 0
        assert any(s.expected == ("dog",) and 25 <= s.first <= s.last <= 49 for s in found_in(said(missed)))

    def test_a_boundary_drawn_a_little_off_is_listed_as_one_and_last(self) -> None:
        off = TRUTH.copy()
        off[97:100] = 0
        off[150:175] = 1
        found = found_in(said(off), said(TRUTH, 2))
        assert found[-1].kind == "boundary"
        assert 95 <= found[-1].first <= 101
        assert found[0].kind == "label"

    @pytest.mark.parametrize(
        ("first", "said_there", "expected", "later"), [(100, "dog", "cat", False), (92, "cat", "dog", True)]
    )
    def test_of_a_boundary_it_is_said_which_way_it_is_off(
        self, first: int, said_there: str, expected: str, later: bool
    ) -> None:
        """From a dog to a cat at frame 100: the dog goes on for too long, so the cat begins earlier; or the cat begins later."""
        off = TRUTH.copy()
        off[first : first + 8] = LABELS.index(said_there)
        (found,) = [one for one in found_in(said(off), said(TRUTH, 2)) if one.kind == "boundary"]
        assert (found.given, found.expected, found.later) == ((said_there,), (expected,), later)
        assert abs(found.first - first) <= 1
        assert abs(found.last - first - 7) <= 1

    def test_short_segments_that_were_overlooked_come_before_the_rest(self) -> None:
        """A quarter of a second each, in features so noisy that many single frames look wrong."""
        truth = np.zeros(400, int)
        for start in range(20, 400, 40):
            truth[start : start + 6] = 1
        overlooked = truth.copy()
        overlooked[60:66] = overlooked[300:306] = 0
        features = noisy(video(truth), 2.0)
        known = replace(labelled(overlooked, range(400), LABELS), dense=True, judged=True)
        found = found_in(LabelledVideo(1, features, known))
        places = sorted(one.first for one in found[:2])
        assert abs(places[0] - 60) <= 2
        assert abs(places[1] - 300) <= 2

    def test_what_only_movement_tells_is_judged_by_movement(self) -> None:
        """Somebody walks one way or the other: the pictures are alike, and one bout was called by the wrong name."""
        truth = np.repeat([0, 1] * 6, 30)
        wrong = truth.copy()
        wrong[150:180] = 0
        features = moving(video(np.zeros(len(truth), int)), np.where(truth == 0, -1.0, 1.0))
        known = replace(labelled(wrong, range(len(truth)), LABELS), dense=True, judged=True)
        worst = found_in(LabelledVideo(1, features, known))[0]
        assert (worst.given, worst.expected) == (("cat",), ("dog",))
        assert abs(worst.first - 150) <= 4
        assert abs(worst.last - 179) <= 4

    def test_frames_with_no_label_are_judged_too(self) -> None:
        truth = np.where(TRUTH == 1, 2, 0)
        wrong = truth.copy()
        wrong[25:50] = 0
        features = video(truth)
        known = replace(labelled(wrong, range(200), LABELS), dense=True)
        found = found_in(LabelledVideo(1, features, known))
        assert (found[0].given, found[0].expected) == (("cat",), ())

    def test_multi_label_projects_are_searched_label_by_label(self) -> None:
        wrong = TRUTH.copy()
        wrong[50:75] = 1
        found = found_in(said(TRUTH), said(wrong, 2, 1), exclusive=False)
        assert found[0].task == 2

    def test_a_label_that_occurs_once_cannot_be_judged(self) -> None:
        once = np.repeat([0, 1], 30)
        known = labelled(once, range(60), LABELS)
        assert found_in(LabelledVideo(1, video(once), known)) == ()

    def test_nothing_labelled_nothing_found(self) -> None:
        assert found_in() == ()
