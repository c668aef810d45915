"""What counts as work on tracks: what is right costs its label alone, and no way costs more than drawing anew."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.objects.effort import effort
from ml_backend.objects.boxes import Track

FRAMES = 200


def walk(first: int, last: int, *, top: float = 0.4, number: int = 1) -> Track:
    """On a straight line, from left to right."""
    frames = np.arange(first, last + 1)
    boxes = np.stack([0.1 + 0.004 * frames, np.full(len(frames), top), *np.full((2, len(frames)), 0.1)], axis=1)
    return Track(number, frames, boxes.astype(np.float32), np.ones(len(frames), np.float32), 1.0)


def test_a_straight_walk_by_hand_is_two_boxes_and_a_label() -> None:
    assert effort([walk(0, 199)], [], FRAMES) == (3, 3)


def test_one_that_ends_early_is_switched_off_too() -> None:
    assert effort([walk(0, 150)], [], FRAMES) == (4, 4)


def test_what_is_right_needs_its_label_alone() -> None:
    assert effort([walk(0, 150)], [walk(0, 150)], FRAMES) == (1, 4)


def test_what_is_nothing_is_deleted() -> None:
    assert effort([walk(0, 150)], [walk(0, 150), walk(0, 80, top=0.8, number=2)], FRAMES) == (2, 4)


def test_a_few_frames_at_an_end_are_let_stand() -> None:
    assert effort([walk(20, 150)], [walk(24, 147)], FRAMES)[0] == 1


@pytest.mark.parametrize(("found", "actions"), [(walk(20, 180), 2), (walk(20, 100), 3), (walk(60, 150), 2)])
def test_an_end_that_is_wrong_is_moved(found: Track, actions: int) -> None:
    assert effort([walk(20, 150)], [found], FRAMES)[0] == actions


def test_a_box_that_strays_is_dragged_back() -> None:
    astray = walk(0, 199)
    astray.boxes[80:120, 1] += 0.2 * np.hanning(40).astype(np.float32)
    actions, by_hand = effort([walk(0, 199)], [astray], FRAMES)
    assert 1 < actions <= 4
    assert by_hand == 3


def test_nothing_costs_more_than_to_delete_and_draw() -> None:
    wild = walk(0, 199)
    wild.boxes[:, 1] += np.random.default_rng(1).uniform(-0.06, 0.06, 200).astype(np.float32)
    actions, by_hand = effort([walk(0, 199)], [wild], FRAMES)
    assert actions <= by_hand + 1
