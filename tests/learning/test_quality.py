"""Labels that are probably wrong, worst first; and how far annotators agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.framelabels import UNTOUCHED_WEIGHT, FrameLabels
from ml_backend.learning.quality import agreement, agreement_with_model, find_suspects, fleiss_kappa, held_out

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1, 0, 1, 0, 1], 25)


def said(values: np.ndarray, task: int = 1, room: int = 0) -> LabelledVideo:
    known = replace(labelled(values, range(len(values)), LABELS), dense=True, judged=True)
    return LabelledVideo(task, video(TRUTH, room=room, seed=task), known)


class TestSuspects:
    def test_right_labels_raise_no_suspicion(self) -> None:
        assert find_suspects([said(TRUTH), said(TRUTH, 2, 1)], LABELS, exclusive=True) == ()

    def test_a_region_with_the_wrong_label_comes_first(self) -> None:
        wrong = TRUTH.copy()
        wrong[50:75] = 1
        found = find_suspects([said(TRUTH), said(wrong, 2, 1)], LABELS, exclusive=True)
        worst = found[0]
        assert (worst.task, worst.given, worst.expected, worst.kind) == (2, ("dog",), ("cat",), "label")
        assert abs(worst.first - 50) <= 1
        assert abs(worst.last - 74) <= 1
        assert worst.doubt > 0.8

    def test_an_event_that_was_missed_inside_a_region_is_found(self) -> None:
        missed = TRUTH.copy()
        missed[25:50] = 0
        assert any(
            s.expected == ("dog",) and 25 <= s.first <= s.last <= 49
            for s in find_suspects([said(missed)], LABELS, exclusive=True)
        )

    def test_a_boundary_drawn_a_little_off_is_listed_as_one_and_last(self) -> None:
        off = TRUTH.copy()
        off[97:100] = 0
        off[150:175] = 1
        found = find_suspects([said(off), said(TRUTH, 2)], LABELS, exclusive=True)
        assert found[-1].kind == "boundary"
        assert 95 <= found[-1].first <= 101
        assert found[0].kind == "label"

    def test_frames_with_no_label_are_judged_too(self) -> None:
        truth = np.where(TRUTH == 1, 2, 0)
        wrong = truth.copy()
        wrong[25:50] = 0
        features = video(truth)
        known = replace(labelled(wrong, range(200), LABELS), dense=True)
        found = find_suspects([LabelledVideo(1, features, known)], LABELS, exclusive=True)
        assert (found[0].given, found[0].expected) == (("cat",), ())

    def test_multi_label_projects_are_searched_label_by_label(self) -> None:
        wrong = TRUTH.copy()
        wrong[50:75] = 1
        found = find_suspects([said(TRUTH), said(wrong, 2, 1)], LABELS, exclusive=False)
        assert found[0].task == 2

    def test_a_label_that_occurs_once_cannot_be_judged(self) -> None:
        once = np.repeat([0, 1], 30)
        known = labelled(once, range(60), LABELS)
        assert find_suspects([LabelledVideo(1, video(once), known)], LABELS, exclusive=True) == ()

    def test_nothing_labelled_nothing_found(self) -> None:
        assert find_suspects([], LABELS, exclusive=True) == ()


class TestAgreement:
    def test_fleiss_published_example_for_two_categories(self) -> None:
        # Five raters, four frames: all yes, four yes, all no, three no.
        answers = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1], [1, 0, 0, 1]], np.int8)
        observed = (1 + 12 / 20 + 1 + 8 / 20) / 4
        chance = (11 / 20) ** 2 + (9 / 20) ** 2
        assert fleiss_kappa([answers]) == pytest.approx((observed - chance) / (1 - chance))

    def of(self, *classes: int) -> FrameLabels:
        return labelled(np.array(classes), range(len(classes)), LABELS)

    def test_annotators_who_agree_have_kappa_one(self) -> None:
        found = agreement([{1: self.of(0, 1, 0, 1), 2: self.of(0, 1, 0, 1)}], LABELS)
        assert found.labels == {"cat": 1, "dog": 1}
        assert found.annotators == {1: 1, 2: 1}
        assert found.frames == 4

    def test_the_one_who_differs_stands_out(self) -> None:
        same = self.of(*[0, 1] * 20)
        other = self.of(*[0, 1] * 10, *[1, 0] * 10)
        found = agreement([{1: same, 2: same, 3: other}], LABELS)
        assert found.annotators[3] == pytest.approx(0)
        assert found.annotators[1] == 1

    def test_without_overlap_there_is_no_number(self) -> None:
        one = labelled(np.zeros(6, int), [0, 1], LABELS)
        two = labelled(np.zeros(6, int), [3, 4], LABELS)
        found = agreement([{1: one, 2: two}, {3: one}], LABELS)
        assert found.labels == {"cat": None, "dog": None}
        assert found.annotators == {1: None, 2: None}
        assert found.frames == 0

    def test_what_was_taken_over_from_a_model_unseen_is_nobodys_answer(self) -> None:
        blind = self.of(0, 1, 0, 1)
        blind.weight[:2] = UNTOUCHED_WEIGHT
        found = agreement([{1: blind, 2: blind}], LABELS)
        assert found.frames == 2


class TestAgreementWithTheModel:
    def found(self, *videos: LabelledVideo, **said: FrameLabels) -> dict[int, float | None]:
        """Kappa of each annotator, named `a1`, `a2`, of the first video, whose labels the others teach too."""
        predicted = held_out(videos, LABELS, exclusive=True)
        return agreement_with_model(predicted, {1: {int(name[1:]): labels for name, labels in said.items()}}, LABELS)

    def test_who_is_right_agrees_and_who_guesses_does_not(self) -> None:
        right = said(TRUTH).labels
        guess = labelled(np.roll(TRUTH, 25 // 2), range(200), LABELS)
        found = self.found(said(TRUTH), said(TRUTH, 2, 1), a1=right, a2=guess)
        assert found[1] is not None
        assert found[2] is not None
        assert found[1] > 0.95
        assert abs(found[2]) < 0.2

    def test_what_nobody_looked_at_is_not_compared(self) -> None:
        blind = said(TRUTH).labels
        blind.weight[:] = UNTOUCHED_WEIGHT
        assert self.found(said(TRUTH), said(TRUTH, 2, 1), a1=blind) == {1: None}

    def test_a_label_in_one_run_only_cannot_be_compared(self) -> None:
        once = labelled(np.repeat([0, 1], 100), range(200), LABELS)
        assert self.found(LabelledVideo(1, video(TRUTH), once), a1=once) == {1: None}
