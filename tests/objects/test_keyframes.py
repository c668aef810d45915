"""Key frames are few, and what Label Studio draws between them stays near the track in every frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml_backend.objects.boxes import Boxes, iou
from ml_backend.objects.keyframes import KeyFrame, draw, thin

BOX = np.array([0.2, 0.3, 0.1, 0.2], np.float32)


def walk(frames: NDArray[np.int64], turn: float = 60.0) -> Boxes:
    at = frames / turn
    return np.stack([0.4 + 0.3 * np.sin(at), 0.4 + 0.2 * np.cos(at), 0.1 + 0.02 * np.sin(at), 0.1 + 0 * at], 1).astype(
        np.float32
    )


def test_an_object_that_stands_still_needs_its_first_and_its_last_frame() -> None:
    keys = thin(np.arange(100), np.tile(BOX, (100, 1)))
    assert [(key.frame, key.enabled) for key in keys] == [(0, True), (99, False)]


def test_a_straight_way_needs_no_more() -> None:
    way = BOX + np.linspace(0, 0.4, 200, dtype=np.float32)[:, None] * np.array([1, 0.5, 0.1, 0], np.float32)
    assert len(thin(np.arange(200), way)) == 2


@pytest.mark.parametrize("least", [0.7, 0.9, 0.97])
def test_every_frame_is_drawn_as_near_as_asked_for(least: float) -> None:
    frames = np.arange(1000)
    boxes = walk(frames)
    keys = thin(frames, boxes, least)
    drawn_in, drawn = draw(keys, 999)
    np.testing.assert_array_equal(drawn_in, frames)
    assert iou(drawn, boxes).min() >= least


def test_a_smooth_way_takes_few() -> None:
    frames = np.arange(1000)
    assert len(thin(frames, walk(frames))) <= 80


def test_the_box_is_off_in_gaps_and_behind_the_end() -> None:
    frames = np.array([5, 6, 7, 20, 21, 30])
    keys = thin(frames, np.tile(BOX, (6, 1)))
    assert [(key.frame, key.enabled) for key in keys] == [(5, True), (7, False), (20, True), (21, False), (30, False)]
    np.testing.assert_array_equal(draw(keys, 40)[0], frames)


def test_nothing_has_no_key_frames() -> None:
    assert thin(np.empty(0, np.int64), np.empty((0, 4), np.float32)) == []
    frames, boxes = draw([], 10)
    assert frames.shape == (0,)
    assert boxes.shape == (0, 4)


def test_one_enabled_key_frame_goes_on_to_the_end_of_the_video() -> None:
    frames, boxes = draw([KeyFrame(4, BOX)], 9)
    assert frames.tolist() == [4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(boxes, np.tile(BOX, (6, 1)))


def test_a_box_moves_evenly_between_key_frames_in_any_order() -> None:
    there = BOX + np.float32(0.1)
    frames, boxes = draw([KeyFrame(10, there, False), KeyFrame(0, BOX)], 20)
    assert frames.tolist() == list(range(11))
    np.testing.assert_allclose(boxes[5], (BOX + there) / 2, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
def test_whatever_moves_is_drawn_in_its_own_frames_and_near_enough(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    frames = np.flatnonzero(rng.random(count) < 0.9)
    place = np.cumsum(rng.normal(0, 0.01, (len(frames), 2)), axis=0)
    boxes = np.concatenate([place, rng.uniform(0.05, 0.2, (len(frames), 2))], axis=1).astype(np.float32)
    drawn_in, drawn = draw(thin(frames, boxes), count)
    np.testing.assert_array_equal(drawn_in, frames)
    assert len(frames) == 0 or iou(drawn, boxes).min() >= 0.9
