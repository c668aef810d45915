"""Labels that are probably wrong, worst first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from handmade import labelled, video

from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.suspects import Suspect, held_out, suspects

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1, 0, 1, 0, 1], 25)


def said(values: np.ndarray, task: int = 1, room: int = 0) -> LabelledVideo:
    known = replace(labelled(values, range(len(values)), LABELS), dense=True, judged=True)
    return LabelledVideo(task, video(TRUTH, room=room, seed=task), known)


def found_in(*videos: LabelledVideo, exclusive: bool = True) -> tuple[Suspect, ...]:
    return suspects(held_out(videos, LABELS, exclusive=exclusive), LABELS, exclusive=exclusive)


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
