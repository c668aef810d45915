"""What a whole video is: learnt from a few of them, with doubt, and measured on videos that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import annotation, video

from ml_backend.annotation import Annotation, WholeVideo
from ml_backend.cards.measurements import Metrics
from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.clip_families import looks
from ml_backend.learning.frame_labels import UNTOUCHED_WEIGHT
from ml_backend.learning.versions import Learnt, add_measurements, load_card, load_heads, save_version
from ml_backend.learning.whole_head import WholeHead
from ml_backend.learning.whole_video import LabelledWhole, cross_validated_whole, fit_whole, whole_labels

# Scenes 0 and 1 make an indoor video, 2 and 3 an outdoor one; 5 is seen in both now and then.
INDOOR, OUTDOOR = np.repeat([0, 1, 0], 30), np.repeat([2, 3, 2], 30)
LABELS = ("indoor", "outdoor")


def one(task: int, truth: Sequence[int], *values: int, judged: bool = True, weight: float = 1.0) -> LabelledWhole:
    return LabelledWhole(task, video(truth, room=task, seed=task), np.array(values, np.int8), weight, judged)


def some(number: int) -> list[LabelledWhole]:
    return [one(n, INDOOR, 1, 0) if n % 2 else one(n, OUTDOOR, 0, 1) for n in range(1, number + 1)]


def said(*labels: str, number: int = 1, ground_truth: bool = False) -> Annotation:
    return replace(annotation(number=number, ground_truth=ground_truth), whole=WholeVideo("x", labels))


class TestLearning:
    def test_another_video_gets_its_class(self) -> None:
        head = fit_whole(some(8), LABELS, True)
        for truth, label in ((INDOOR, "indoor"), (OUTDOOR, "outdoor")):
            found = head.probabilities(video(truth, room=20, seed=20))
            assert found.sum() == pytest.approx(1)
            assert head.answer(found, LABELS) == (label,)

    def test_a_few_videos_leave_doubt(self) -> None:
        unseen = video(INDOOR, room=20, seed=20)
        sure = [float(fit_whole(some(number), LABELS, True).probabilities(unseen).max()) for number in (2, 4, 16)]
        assert sure[0] <= 0.75
        assert sure[0] < sure[1] < sure[2]

    def test_several_may_hold_at_once(self) -> None:
        both = np.concatenate([INDOOR, OUTDOOR])
        shown = [(INDOOR, (1, 0)), (OUTDOOR, (0, 1)), (both, (1, 1))]
        videos = [one(n, *(truth, *values)) for n in range(15) for truth, values in [shown[n % 3]]]
        head = fit_whole(videos, LABELS, False)
        assert set(head.answer(head.probabilities(video(both, room=20, seed=20)), LABELS)) == set(LABELS)
        assert head.answer(head.probabilities(video(INDOOR, room=21, seed=21)), LABELS) == ("indoor",)

    def test_an_answer_that_every_video_has_is_predicted_of_the_next_one(self) -> None:
        videos = [replace(each, values=np.append(each.values, 1).astype(np.int8)) for each in some(6)]
        head = fit_whole(videos, (*LABELS, "sharp"), False)
        found = head.probabilities(video(INDOOR, room=20, seed=20))
        assert "sharp" in head.answer(found, (*LABELS, "sharp"))
        assert 0.5 < found[2] < 7 / 8
        assert head.lacking == ()

    def test_a_class_without_an_example_is_never_predicted(self) -> None:
        videos = [replace(each, values=np.append(each.values, 0).astype(np.int8)) for each in some(6)]
        head = fit_whole(videos, (*LABELS, "under water"), True)
        assert head.lacking == ("under water",)
        assert head.probabilities(video(INDOOR, room=20))[2] == 0

    def test_a_task_gets_a_class_that_it_may_have(self) -> None:
        head = fit_whole(some(8), LABELS, True)
        assert head.answer(head.probabilities(video(INDOOR, room=20)), ("outdoor",)) == ("outdoor",)
        assert head.answer(head.probabilities(video(INDOOR, room=20)), ()) == ()

    @pytest.mark.parametrize(("videos", "why"), [([], "No video has been answered"), (some(1), "Every video answered")])
    def test_one_class_is_not_enough(self, videos: list[LabelledWhole], why: str) -> None:
        with pytest.raises(NotEnoughLabels, match=why):
            fit_whole(videos, LABELS, True)

    def test_how_densely_a_video_was_embedded_does_not_matter(self) -> None:
        close = looks(video(INDOOR, room=1, seed=1)) @ looks(video(INDOOR, room=1, seed=1, step=4)) / 3
        assert close > 0.98


class TestWhatPeopleSay:
    def read(
        self, *annotations: Annotation, exclusive: bool = True, untouched: tuple[str, ...] = ()
    ) -> tuple[list[int], float, bool]:
        values, weight, judged = whole_labels(annotations, LABELS, exclusive, lambda whole: whole.labels == untouched)
        return values.tolist(), weight, judged

    def test_the_majority_and_a_tie(self) -> None:
        assert self.read(said("indoor"), said("indoor"), said("outdoor")) == ([1, 0], pytest.approx(2 / 3), True)
        assert self.read(said("indoor"), said("outdoor")) == ([-1, -1], 0.0, False)

    def test_ground_truth_and_then_a_persons_own_answer(self) -> None:
        assert self.read(said("indoor"), said("indoor"), said("outdoor", ground_truth=True)) == ([0, 1], 1.0, True)
        assert self.read(said("indoor"), said("outdoor"), untouched=("indoor",)) == ([0, 1], 1.0, True)

    def test_a_blind_submit_counts_little_and_judges_nothing(self) -> None:
        assert self.read(said("indoor"), untouched=("indoor",)) == ([1, 0], UNTOUCHED_WEIGHT, False)

    def test_who_answers_nothing_says_nothing(self) -> None:
        assert self.read(annotation(), said("a label that is gone")) == ([-1, -1], 0.0, False)

    def test_each_of_several_answers_is_voted_on(self) -> None:
        assert self.read(said("indoor", "outdoor"), said("outdoor"), said("outdoor"), exclusive=False) == (
            [0, 1],
            1.0,
            True,
        )


class TestMeasuring:
    def test_videos_are_left_out(self) -> None:
        found = cross_validated_whole(some(8), LABELS, True).metrics()
        assert (found.videos, found.frames) == (8, 8)
        assert found.macro_f1 > 0.9
        assert "Measured on 8 recordings" in found.judgement

    def test_what_nobody_judged_teaches_and_is_not_counted(self) -> None:
        videos = [*some(6), one(7, INDOOR, 1, 0, judged=False, weight=0.3)]
        assert cross_validated_whole(videos, LABELS, True).metrics().videos == 6

    @pytest.mark.parametrize("others", [1, 2, 5])
    def test_nothing_is_measured_where_only_one_answer_has_several_videos(self, others: int) -> None:
        # Of a head that knows one answer alone that one is always right.
        videos = [one(1, INDOOR, 1, 0), *(one(2 + n, OUTDOOR, 0, 1) for n in range(others))]
        checked = cross_validated_whole(videos, LABELS, True)
        found = checked.metrics()
        assert (checked.held, found.macro_f1, found.videos) == ((), None, 0)
        assert found.judgement.startswith("Not measured: ")

    def test_the_only_video_of_an_answer_teaches_and_is_not_counted(self) -> None:
        labels = (*LABELS, "dusk")
        videos = [one(n, INDOOR, 1, 0, 0) if n % 2 else one(n, OUTDOOR, 0, 1, 0) for n in range(1, 7)]
        dusk = one(7, np.full(90, 5), 0, 0, 1)
        checked = cross_validated_whole([*videos, dusk], labels, True)
        found = checked.metrics()
        assert sorted(each.task for each in checked.held) == [1, 2, 3, 4, 5, 6]
        assert "Measured on 6 recordings" in found.judgement
        assert found.macro_f1 > 0.9

    @pytest.mark.parametrize("number", [4, 16])
    def test_labels_by_chance_are_called_neither_good_nor_all_wrong(self, number: int) -> None:
        # Nothing tells these videos apart, whatever they are called.
        alike = [one(n, INDOOR, int(n % 2), int(1 - n % 2)) for n in range(number)]
        found = [float(cross_validated_whole(alike, LABELS, True, seed=seed).metrics().macro_f1) for seed in range(6)]
        assert 0.15 < np.mean(found) < 0.8


def test_a_version_holds_it_beside_others_and_is_measured_question_by_question(tmp_path: Path) -> None:
    head = fit_whole(some(8), LABELS, True)
    other = fit_whole(some(4), LABELS, False)
    card = save_version(
        tmp_path, head, backbone="b", question="place", others=[Learnt("place too", other, "b", videos=4)]
    )
    (first, own), (second, its) = load_heads(tmp_path, card.name)
    assert (own.question, its.question, its.videos, own.is_whole) == ("place", "place too", 4, True)
    for loaded, saved in ((first, head), (second, other)):
        assert isinstance(loaded, WholeHead)
        unseen = video(INDOOR, room=20)
        assert np.array_equal(loaded.probabilities(unseen), saved.probabilities(unseen))
    add_measurements(tmp_path, card.name, metrics=Metrics(macro_f1=0.5), question="place too")
    read = load_card(tmp_path, card.name)
    about = read.about("place too")
    assert about is not None
    assert (read.metrics.as_json(), about.metrics.full.macro_f1) == ({}, 0.5)
    assert read.about("another") is None


def test_a_card_from_when_there_was_one_question_is_about_whichever_there_is(tmp_path: Path) -> None:
    card = save_version(tmp_path, fit_whole(some(4), LABELS, True), backbone="b")
    old = replace(card, question="", others={})
    assert old.about("labels") == old
    assert old.each() == (old,)
