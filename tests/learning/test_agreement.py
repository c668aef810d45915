"""How far annotators agree, with each other and with a model that has not seen their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.agreement import agreement, agreement_with_model, fleiss_kappa
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import UNTOUCHED_WEIGHT, FrameLabels
from ml_backend.learning.run_predictions import held_out

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1, 0, 1, 0, 1], 25)


def said(values: np.ndarray, task: int = 1, room: int = 0) -> LabelledVideo:
    known = replace(labelled(values, range(len(values)), LABELS), dense=True, judged=True)
    return LabelledVideo(task, video(TRUTH, room=room, seed=task), known)


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
