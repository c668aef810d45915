"""Clips that differ in how something moves, and when: learned from a few, told from chance, and not by heads of before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import video

from ml_backend.errors import StorageError
from ml_backend.features.blocks import Flow, VideoFeatures
from ml_backend.features.flow import COLUMNS, GLOBAL, GRID, STEPS
from ml_backend.learning.clip_families import looks
from ml_backend.learning.ensemble import Ensemble, Member
from ml_backend.learning.linear import Linear
from ml_backend.learning.versions import load_heads, save_version
from ml_backend.learning.whole_head import WholeHead, named
from ml_backend.learning.whole_video import LabelledWhole, cross_validated_whole, fit_whole

LABELS = ("out and back", "back and out")
_FRAMES, _AMOUNT, _VELOCITY = 80, 2, 8


def moving(kind: int, seed: int) -> VideoFeatures:
    """Something that rests, goes right and then left (0) or the other way round (1), and rests: all else, and all averages over
    time, are the same."""
    rng = np.random.default_rng(seed)
    frames = np.arange(0, _FRAMES, 2)
    begins, middle, ends = 6 + rng.integers(0, 5), 20, 34 + rng.integers(-3, 3)
    rows = rng.normal(0, 0.02, (len(frames), len(STEPS) * COLUMNS))
    way = np.zeros(len(frames))
    way[begins:middle], way[middle:ends] = (1, -1) if kind == 0 else (-1, 1)
    for start in range(0, rows.shape[1], COLUMNS):
        rows[:, start + _AMOUNT] = np.abs(way) * rng.uniform(0.8, 1.2) + 0.01
        rows[:, start + _VELOCITY] += way * rng.uniform(0.8, 1.2)
        # In the lower half of the picture.
        cells = rows[:, start + GLOBAL : start + COLUMNS].reshape(len(frames), 3, GRID * GRID)
        cells[:, 0, GRID * GRID // 2 :] += np.abs(way)[:, None]
        cells[:, 1, GRID * GRID // 2 :] += way[:, None]
    seen = video(np.zeros(_FRAMES, int), room=seed % 3, seed=seed)
    return replace(seen, flow=Flow(frames, rows.astype(np.float16)))


def answered(task: int, kind: int, said: int | None = None) -> LabelledWhole:
    values = np.array([1, 0] if (kind if said is None else said) == 0 else [0, 1], np.int8)
    return LabelledWhole(task, moving(kind, task), values, 1.0, True)


def some(count: int) -> list[LabelledWhole]:
    return [answered(task, task % 2) for task in range(count)]


def by_lot(count: int) -> list[LabelledWhole]:
    """As many of each answer, whatever is seen."""
    drawn = np.random.default_rng(4).permutation(count) % 2
    return [answered(task, task % 2, int(said)) for task, said in enumerate(drawn)]


class TestOrder:
    def test_what_comes_first_is_learnt_from_five_clips_of_each(self) -> None:
        head = fit_whole(some(10), LABELS, True)
        right = [int(head.probabilities(moving(n % 2, 100 + n)).argmax()) == n % 2 for n in range(20)]
        assert np.mean(right) >= 0.95
        assert head.told_apart

    def test_it_is_as_sure_as_it_is_right(self) -> None:
        head = fit_whole(some(20), LABELS, True)
        sure = [float(head.probabilities(moving(n % 2, 100 + n))[n % 2]) for n in range(10)]
        assert 0.8 < np.mean(sure) < 1

    @pytest.mark.parametrize("kinds", [(0, 1), (0, 1, 1)])
    def test_where_none_can_be_left_out_only_how_clips_look_counts(self, kinds: tuple[int, ...]) -> None:
        (question,) = fit_whole([answered(task, kind) for task, kind in enumerate(kinds)], LABELS, True).questions
        assert question is not None
        assert [member.family.name for member in question.members] == ["as seen"]

    def test_left_out_clips_are_found_right(self) -> None:
        assert cross_validated_whole(some(12), LABELS, True).metrics().macro_f1 > 0.9

    def test_a_clip_whose_movement_was_never_measured_is_answered_with_doubt(self) -> None:
        found = fit_whole(some(10), LABELS, True).probabilities(replace(moving(0, 50), flow=None))
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert found.max() < 0.8


class TestChance:
    @pytest.mark.parametrize("count", [12, 24])
    def test_answers_by_lot_are_not_told_apart_and_nothing_is_predicted(self, count: int) -> None:
        head = fit_whole(by_lot(count), LABELS, True)
        found = head.probabilities(moving(0, 200))
        assert not head.told_apart
        assert found.max() < 0.55
        assert head.answer(found, LABELS) == ()
        assert set(head.confused[0]) == set(LABELS)

    def test_of_several_answers_only_those_that_are_told_apart_are_given(self) -> None:
        lot = by_lot(24)
        both = [
            replace(each, values=np.array([int(each.task % 2 == 0), other.values[0]], np.int8))
            for each, other in zip(some(24), lot, strict=True)
        ]
        head = fit_whole(both, ("out first", "blue"), False)
        assert head.told_apart
        sure = np.array([0.9, 0.9], np.float32)
        assert head.answer(sure, ("out first", "blue")) == ("out first",)
        assert head.confused == (("blue", "not blue"),) or head.confused == (("not blue", "blue"),)


class TestStored:
    def test_doubt_and_families_come_back(self, tmp_path: Path) -> None:
        head = fit_whole(some(12), LABELS, True)
        card = save_version(tmp_path, head, backbone="b", question="sign")
        ((loaded, own),) = load_heads(tmp_path, card.name)
        assert isinstance(loaded, WholeHead)
        assert own.told_apart
        assert loaded.doubts == head.doubts
        unseen = moving(1, 60)
        assert np.allclose(loaded.probabilities(unseen), head.probabilities(unseen), atol=1e-6)

    def test_one_that_tells_nothing_apart_says_so_on_its_card(self, tmp_path: Path) -> None:
        card = save_version(tmp_path, fit_whole(by_lot(24), LABELS, True), backbone="b", question="sign")
        ((_, own),) = load_heads(tmp_path, card.name)
        assert not own.told_apart

    def test_a_head_from_before_there_were_families_answers_as_it_did(self) -> None:
        seen = moving(0, 7)
        rng = np.random.default_rng(0)
        row = looks(seen)
        centre, weights = (rng.normal(0, 0.1, shape).astype(np.float32) for shape in (len(row), (len(row), 2)))
        arrays = {"centre": centre, "0.weights": weights, "0.bias": np.array([0.1, -0.1], np.float32)}
        structure = {"whole": [True], "seen": list(LABELS), "videos": 6.0}
        found = WholeHead.of(arrays, structure, LABELS, True).probabilities(seen)
        unit = (row - centre) / np.linalg.norm(row - centre)
        raised = np.exp(unit @ weights + arrays["0.bias"])
        # It was drawn toward knowing nothing by one video for each class.
        assert found == pytest.approx(0.75 * raised / raised.sum() + 0.125, abs=1e-5)

    def test_one_of_a_newer_release_is_refused(self, tmp_path: Path) -> None:
        class Newer(WholeHead):
            def arrays(self):  # type: ignore[no-untyped-def]
                arrays, structure = super().arrays()
                return arrays, {**structure, "format": 99}

        old = fit_whole(some(4), LABELS, True)
        newer = Newer(old.labels, old.exclusive, old.norms, old.questions, old.seen, old.videos, old.doubts)
        card = save_version(tmp_path, newer, backbone="b", question="sign")
        with pytest.raises(StorageError, match="newer release"):
            load_heads(tmp_path, card.name)


def test_a_question_whose_families_a_video_lacks_is_left_even() -> None:
    linear = Linear(np.zeros((3, 2), np.float32), np.array([3, 0], np.float32))
    question = Ensemble((Member(named("movement"), linear, None, 1.0),))
    head = WholeHead(
        LABELS, True, {"movement": (np.zeros(3, np.float32), np.ones(3, np.float32))}, (question,), LABELS, 4
    )
    assert head.probabilities(video(np.zeros(9, int))).tolist() == [0.5, 0.5]
