"""Blitz: whole timelines of some videos, for videos it has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.blitz import LabelledVideo, fit_blitz
from ml_backend.learning.groups import clusters, deal, duplicates, spared
from ml_backend.learning.probabilities import decided

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1], 30)


def reviewed(n: int, truth: np.ndarray = TRUTH, room: int | None = None) -> LabelledVideo:
    known = labelled(truth, range(len(truth)), LABELS)
    return LabelledVideo(
        n, video(truth, room=n if room is None else room, seed=n), replace(known, dense=True, judged=True)
    )


def accuracy(head, features, truth) -> float:  # type: ignore[no-untyped-def]
    answer = decided(head.probabilities(features), True)
    return float((np.where(answer.any(axis=1), answer.argmax(axis=1), 2) == truth).mean())


def test_a_video_in_a_room_never_seen_is_predicted() -> None:
    turned = np.repeat([1, 0, 1], 40)
    assert accuracy(fit_blitz([reviewed(n) for n in range(4)], LABELS), video(turned, room=9, seed=9), turned) >= 0.97


def test_what_is_constant_in_each_video_is_learnt_from_its_look() -> None:
    rooms = [reviewed(n, np.full(60, n % 2), room=n % 2) for n in range(6)]
    head = fit_blitz(rooms, LABELS)
    for room in (0, 1):
        assert accuracy(head, video(np.full(60, room), room=room, seed=20), np.full(60, room)) >= 0.97


def test_one_video_is_enough_to_start() -> None:
    assert accuracy(fit_blitz([reviewed(0)], LABELS), video(TRUTH, seed=5), TRUTH) >= 0.97


def test_the_same_videos_and_seed_give_the_same_head() -> None:
    videos = [reviewed(n) for n in range(4)]
    one, other = (fit_blitz(videos, LABELS, seed=1).probabilities(video(TRUTH, room=9)) for _ in range(2))
    assert np.array_equal(one, other)


def test_videos_of_one_class_only_are_not_enough() -> None:
    with pytest.raises(NotEnoughLabels, match="dog"):
        fit_blitz([reviewed(n, np.zeros(40, int)) for n in range(3)], LABELS, exclusive=True)


def test_the_same_recording_uploaded_twice_is_one_group() -> None:
    videos = [video(TRUTH, room=0, seed=0), video(TRUTH, room=3, seed=1), video(TRUTH, room=0, seed=0, step=2)]
    groups = duplicates(videos)
    assert groups[0] == groups[2] != groups[1]


def test_another_recording_by_the_same_camera_is_not() -> None:
    assert len(set(duplicates([video(TRUTH, seed=0), video(TRUTH[:100], seed=0)]))) == 2


def test_videos_that_look_alike_are_left_out_together() -> None:
    videos = [video(TRUTH, room=room, seed=seed) for seed, room in enumerate([0, 5, 0, 5, 5])]
    assert {tuple(fold.tolist()) for fold in clusters(videos, 2)} == {(0, 2), (1, 3, 4)}


def test_dealing_keeps_groups_whole_and_folds_even() -> None:
    groups = np.array([0, 0, 0, 1, 2, 3, 4])
    folds = deal(groups, 3, seed=0)
    assert len(set(folds[:3])) == 1
    assert max(np.bincount(folds)) == 3
    assert len(set(folds)) == 3


def test_a_fold_must_spare_an_example_of_every_class() -> None:
    classes = [np.array([0]), np.array([0]), np.array([1])]
    assert spared(np.array([0]), classes)
    assert not spared(np.array([2]), classes)
