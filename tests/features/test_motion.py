"""Motion is what it says, and the same in parts as in the whole."""

from __future__ import annotations

import numpy as np

from ml_backend.features.motion import REACH, STEPS, WINDOWS, motion
from ml_backend.features.selection import short_event
from ml_backend.video.view import GREY

ROW = 17  # sixteen cells and one displacement


def test_a_still_scene_has_no_motion() -> None:
    grey = np.full((30, GREY, GREY), 90, np.uint8)
    rows = motion(grey, np.array([0, 29]), np.ones((2, 8), np.float32))
    np.testing.assert_allclose(rows, 0, atol=1e-6)
    assert rows.shape == (30, ROW * len(STEPS) * len(WINDOWS))


def test_a_steady_change_in_one_cell_is_measured_there() -> None:
    grey = np.zeros((40, GREY, GREY), np.uint8)
    grey[:, 16:32, 48:64] = 2 * np.arange(40)[:, None, None]  # two levels brighter each frame, in row 1, column 3
    row = motion(grey, np.array([0, 39]), np.ones((2, 8), np.float32))[20].reshape(len(WINDOWS), len(STEPS), ROW)
    for at, step in enumerate(STEPS):
        np.testing.assert_allclose(row[:, at, 4 + 3], 2 * 2 * step)
        assert np.delete(row[:, at], 4 + 3, axis=1).max() < 1e-6


def test_displacement_is_measured_on_interpolated_embeddings() -> None:
    ends = np.array([[1.0, 0.0], [0.0, 1.0]])
    row = motion(np.zeros((21, GREY, GREY), np.uint8), np.array([0, 20]), ends)[10]
    every = np.linspace(0, 1, 21)
    vectors = np.stack([1 - every, every], axis=1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.mean([1 - unit[i + 2] @ unit[i - 2] for i in range(8, 13)])
    np.testing.assert_allclose(row[ROW + 16], expected, rtol=1e-6)


def test_a_part_with_enough_around_it_equals_the_whole() -> None:
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 255, (90, GREY, GREY), dtype=np.uint8)
    positions = np.array([0, 12, 30, 41, 60, 75, 89])
    appearance = rng.normal(size=(7, 16)).astype(np.float32)
    whole = motion(grey, positions, appearance)
    start, stop = 30, 75
    part = motion(grey[start:stop], positions[2:6] - start, appearance[2:6])
    np.testing.assert_allclose(
        part[REACH : stop - start - REACH], whole[start + REACH : stop - REACH], rtol=1e-5, atol=1e-6
    )


def test_the_ends_of_a_video_use_full_windows() -> None:
    grey = np.zeros((30, GREY, GREY), np.uint8)
    grey[10:] = 100
    rows = motion(grey, np.array([0, 29]), np.ones((2, 4), np.float32))
    np.testing.assert_allclose(rows[0], rows[2])  # both are the first five and fifteen frames


def test_the_frame_that_neither_end_shows_is_found() -> None:
    grey = np.full((17, GREY, GREY), 60, np.uint8)
    grey[6:8, 20:40, 20:40] = 200
    assert short_event(grey, 25) in (6, 7)
    assert short_event(grey[:7], 25) is None  # it is still there at the end


def test_noise_and_slow_light_are_no_event() -> None:
    rng = np.random.default_rng(2)
    grey = (90 + np.arange(17)[:, None, None] + rng.integers(-15, 15, (17, GREY, GREY))).astype(np.uint8)
    assert short_event(grey, 25) is None
    assert short_event(grey[:2], 25) is None
