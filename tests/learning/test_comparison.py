"""A version is kept back only where it is worse at what both are asked; a better one never for long."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.comparison import (
    FILE,
    Asked,
    Comparison,
    HeldAnswers,
    answers_of,
    as_file,
    compared,
    load_answers,
)
from ml_backend.learning.evaluation import cross_validated
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.probabilities import decided

FRAMES = 96
LABELS = ("cat", "dog", "bird")


@dataclass(frozen=True, eq=False)
class Version:
    """What a training leaves behind."""

    number: int
    head: Head
    answers: HeldAnswers


def shown_in(seed: int, classes: int = 2) -> np.ndarray:
    """Which of so many scenes each frame of a video shows."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.permutation(np.resize(np.arange(classes), 12)), FRAMES // 12)


def clip(task: int, said: np.ndarray, shown: np.ndarray, labels: Sequence[str], noise: float = 0.9) -> LabelledVideo:
    """A whole timeline that somebody has judged; `said` is the label of each frame, `shown` its scene."""
    features = video(shown, room=task % 3, seed=task)
    rng = np.random.default_rng([7, task])
    blocks = {
        name: (rows + rng.normal(0, noise, rows.shape)).astype(np.float16) for name, rows in features.blocks.items()
    }
    known = replace(labelled(said, range(FRAMES), labels), dense=True, judged=True)
    return LabelledVideo(task, replace(features, blocks=blocks), known)


def train(number: int, videos: Sequence[LabelledVideo], active: Version | None) -> tuple[Version, Comparison | None]:
    """A version, and how it compares with the active one, by the functions that a training uses."""
    labels = videos[0].labels.labels
    fit = partial(fit_blitz, labels=labels, exclusive=True, doubted=False)
    checked = cross_validated(videos, labels, fit, exclusive=True, most_folds=2)
    answers = answers_of(checked.held, labels, True, [each.task for each in videos])
    made = Version(number, fit(videos), HeldAnswers.of(json.loads(json.dumps(answers.as_json()))))
    if active is None:
        return made, None
    asked = [Asked(each.task, each.labels.values, checked.recording[each.task]) for each in videos]
    later = {
        each.task: decided(active.head.probabilities(each.features), True)
        for each in videos
        if each.task not in active.answers.taught
    }
    return made, compared(f"blitz-v{active.number}", made.answers, active.answers, asked, later)


def accuracy(version: Version, videos: Sequence[LabelledVideo]) -> float:
    """On other videos: the share of frames that are named right, of labels in the order of `LABELS`."""
    right = []
    for each in videos:
        labels = each.labels.select(version.head.labels).values
        answer = decided(version.head.probabilities(each.features), True)
        missed = each.labels.values[:, [one not in version.head.labels for one in each.labels.labels]].any(axis=1)
        right.append(((answer == labels).all(axis=1) & ~missed).mean())
    return float(np.mean(right))


def history(steps: Sequence[int], videos: Callable[[int], Sequence[LabelledVideo]]) -> tuple[Version, list[str]]:
    """Trains at so many videos each, shows what is not worse, and returns what is shown in the end and what was kept back."""
    active: Version | None = None
    kept: list[str] = []
    for number, count in enumerate(steps, start=1):
        made, found = train(number, videos(count), active)
        if found is not None and found.worse:
            kept.append(f"{count}: {found.said}")
        else:
            active = made
    assert active is not None
    return active, kept


# A third scene that is like the second, so harder to tell from it.
def harder(task: int) -> LabelledVideo:
    shown = shown_in(task, 3)
    return clip(task, shown, shown, LABELS, noise=1.4)


UNSEEN = [harder(task) for task in range(100, 106)]


class TestAGoodVersion:
    @pytest.mark.parametrize("label_was_there", [True, False], ids=["unused so far", "new in the config"])
    def test_that_learns_a_harder_label_is_shown(self, label_was_there: bool) -> None:
        """As a third behavior is labelled from the fourth video on."""

        def videos(count: int) -> list[LabelledVideo]:
            easy = [shown_in(task) for task in range(3)]
            names = LABELS if label_was_there or count > 3 else LABELS[:2]
            return [clip(t, s, s, names) for t, s in enumerate(easy)] + [harder(t) for t in range(3, count)]

        first, _ = train(1, videos(3), None)
        shown, kept = history((3, 5, 8, 12), videos)
        assert kept == []
        assert accuracy(shown, UNSEEN) > accuracy(first, UNSEEN) + 0.1

    def test_that_learns_from_corrected_labels_is_shown(self) -> None:
        """Cats were called dogs in most videos, and are put right a few videos at a time."""
        truth = {task: shown_in(task) for task in range(12)}

        def videos(corrected: int) -> list[LabelledVideo]:
            swapped = [task for task in truth if task >= 3 and task >= corrected]
            return [clip(t, 1 - s if t in swapped else s, s, LABELS[:2]) for t, s in truth.items()]

        unseen = [clip(t, s, s, LABELS[:2]) for t in range(100, 104) for s in [shown_in(t)]]
        shown, _ = history((0, 6, 9, 12), videos)
        assert accuracy(shown, unseen) > 0.95

    def test_that_has_seen_harder_videos_is_shown_though_it_is_no_better_at_the_easy_ones(self) -> None:
        """Videos of another place, where scenes look otherwise."""

        def elsewhere(task: int) -> LabelledVideo:
            shown = shown_in(task)
            return clip(task, shown, shown + 4, LABELS[:2], noise=1.4)

        def videos(count: int) -> list[LabelledVideo]:
            easy = [clip(t, s, s, LABELS[:2]) for t in range(5) for s in [shown_in(t)]]
            return easy + [elsewhere(t) for t in range(5, count)]

        first, _ = train(1, videos(5), None)
        shown, kept = history((5, 8, 12, 20), videos)
        unseen = [elsewhere(task) for task in range(100, 104)]
        assert kept == []
        assert accuracy(shown, unseen) > accuracy(first, unseen) + 0.2

    @pytest.mark.parametrize("start", [0, 200])
    def test_of_the_same_kind_is_hardly_ever_kept_back(self, start: int) -> None:
        def videos(count: int) -> list[LabelledVideo]:
            each = [shown_in(start + task) for task in range(count)]
            return [clip(start + t, s, s, LABELS[:2], noise=1.6) for t, s in enumerate(each)]

        _, kept = history((4, 8, 12, 16), videos)
        assert len(kept) <= 1


class TestAWorseVersion:
    """Taught by somebody who does not look: some parts of each video are called this, and as many that."""

    @pytest.mark.parametrize("good", [8, 3], ids=["in eight new videos", "in five of eight known ones"])
    def test_is_kept_back(self, good: int) -> None:
        known = [clip(t, s, s, LABELS[:2], noise=1.6) for t in range(8) for s in [shown_in(t)]]
        spoilt = [
            clip(t, np.repeat(np.random.default_rng(t).permutation(s[::8]), 8), s, LABELS[:2], noise=1.6)
            for t in range(good, 16 if good == 8 else 8)
            for s in [shown_in(t)]
        ]
        before, _ = train(1, known, None)
        _, found = train(2, [*known[:good], *spoilt], before)
        assert found is not None
        assert found.worse, found.said
        assert "more than chance explains" in found.said


def answers(*scores: float, labels: tuple[str, ...] = ("cat", "dog"), exclusive: bool = True) -> HeldAnswers:
    """Of videos of 200 frames, half cat and half dog, about so many of each of which are named right."""
    by_task = {}
    for task, share in enumerate(scores):
        right = round(100 * share)
        half = np.array([[1, 0]] * right + [[0, 1]] * (100 - right), np.int8)
        by_task[task] = np.concatenate([half, half[:, ::-1]])
    return HeldAnswers(labels, exclusive, False, frozenset(by_task), by_task)


def against(new: HeldAnswers, old: HeldAnswers, recordings: Sequence[int] = range(9)) -> Comparison:
    truth = np.repeat(np.array([[1, 0], [0, 1]], np.int8), 100, axis=0)
    asked = [Asked(task, truth, recordings[task]) for task in new.by_task]
    return compared("cold-v1", new, old, asked, {})


class TestTheSentence:
    def test_it_says_by_how_much_one_is_worse(self) -> None:
        found = against(answers(0.7, 0.72, 0.68), answers(0.9, 0.9, 0.9))
        assert found.worse
        assert found.said.startswith(
            "on the 3 recordings that neither version was trained on, its macro-F1 is 0.700, and that of cold-v1 is 0.900"
        )

    @pytest.mark.parametrize("scores", [(0.895, 0.9, 0.89), (0.95, 0.95, 0.95), (0.7, 1.0, 0.8)])
    def test_noise_and_improvement_stop_nothing(self, scores: tuple[float, ...]) -> None:
        assert not against(answers(*scores), answers(0.9, 0.9, 0.9)).worse

    def test_too_few_recordings_stop_nothing_and_copies_are_no_others(self) -> None:
        worse, better = answers(0.5, 0.5, 0.5), answers(0.9, 0.9, 0.9)
        assert "only 2 recordings" in against(worse, better, [0, 0, 1]).said
        assert not against(worse, better, [0, 0, 1]).worse

    def test_a_question_that_has_changed_is_another_one(self) -> None:
        new = answers(0.5, 0.5, 0.5)
        for old, told in (
            (answers(0.9, 0.9, 0.9, labels=("cat", "wolf")), "labels added: “dog”; removed: “wolf”"),
            (answers(0.9, 0.9, 0.9, exclusive=False), "only one label can apply at a time now"),
            (replace(new, whole=True), "it is now about frames"),
        ):
            found = against(new, old)
            assert (found.worse, found.said) == (
                False,
                f"the question has changed since cold-v1 ({told}), so scores cannot be compared",
            )

    def test_labels_in_another_order_are_the_same_question(self) -> None:
        old = answers(0.9, 0.9, 0.9)
        turned = replace(old, labels=("dog", "cat"), by_task={t: a[:, ::-1] for t, a in old.by_task.items()})
        assert against(answers(0.7, 0.7, 0.7), turned).worse


class TestKeptAnswers:
    def test_they_are_read_as_they_were_written(self, tmp_path: Path) -> None:
        kept = answers(0.3, 0.8)
        (tmp_path / "cold-v1").mkdir()
        (tmp_path / "cold-v1" / FILE).write_bytes(as_file({"what": kept}))
        found = load_answers(tmp_path, "cold-v1", "what")
        assert found is not None
        assert (found.labels, found.exclusive, found.taught) == (kept.labels, True, {0, 1})
        assert all((found.by_task[task] == kept.by_task[task]).all() for task in kept.by_task)

    def test_none_where_there_are_none_or_they_are_damaged(self, tmp_path: Path) -> None:
        assert load_answers(tmp_path, "cold-v1", "what") is None
        (tmp_path / "cold-v1").mkdir()
        endless = json.dumps({"what": {**answers(0.3).as_json(), "by_task": {"1": [[10**30, 1]]}}}).encode()
        for content in (b"{", b"[]", b'{"what": {"labels": ["a"]}}', b'{"what": null}', b"[" * 100_000, endless):
            (tmp_path / "cold-v1" / FILE).write_bytes(content)
            assert load_answers(tmp_path, "cold-v1", "what") is None
