"""How far an object went and how fast: against ways whose length is known, and boxes that only tremble."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.geometry.trajectory import Trajectory

RATE = 25.0
ASPECT = 16 / 9
SIDE = 8.0  # percent of the picture's width


def trajectory(centers: np.ndarray, frames: np.ndarray | None = None, tremble: float = 0.0) -> Trajectory:
    """Of a square box around (n, 2) centers in percent of the picture's width; `tremble`: shares of its side, standard deviation."""
    rng = np.random.default_rng(5)
    shaken = centers + rng.normal(0, tremble * SIDE, centers.shape)
    boxes = np.column_stack([shaken - SIDE / 2, np.full((len(centers), 2), SIDE)])
    boxes[:, [1, 3]] *= ASPECT  # of its height
    at = np.arange(1, len(centers) + 1) if frames is None else frames
    return Trajectory.of("a", at.astype(np.int64), boxes, RATE, ASPECT)


def circle(seconds: float, radius: float = 15, turns: float = 3) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi * turns, round(seconds * RATE) + 1)
    return np.column_stack([50 + radius * np.cos(angle), 28 + radius * np.sin(angle)])


def line(seconds: float, speed: float = 6) -> np.ndarray:
    at = np.arange(round(seconds * RATE) + 1) / RATE
    return np.column_stack([10 + speed * at, np.full(len(at), 20.0)])


@pytest.mark.parametrize("tremble", [0.0, 0.01, 0.03])
def test_a_circle_is_as_long_as_its_circumference(tremble: float) -> None:
    found = trajectory(circle(20), tremble=tremble)
    assert found.distance(0, 20) == pytest.approx(3 * 2 * np.pi * 0.15, rel=0.03)


@pytest.mark.parametrize("tremble", [0.0, 0.01, 0.03])
def test_a_straight_way_is_as_long_as_it_is_and_as_fast(tremble: float) -> None:
    found = trajectory(line(10), tremble=tremble)
    assert found.distance(0, 10) == pytest.approx(0.6, rel=0.03)
    assert found.top_speed(0, 10) == pytest.approx(0.06, rel=0.2)
    assert found.distance(2, 4) == pytest.approx(0.12, rel=0.08)


@pytest.mark.parametrize("tremble", [0.0, 0.01, 0.03])
def test_a_box_that_only_trembles_goes_nowhere(tremble: float) -> None:
    found = trajectory(np.full((1500, 2), 40.0), tremble=tremble)
    assert found.distance(0, 60) == 0
    assert found.top_speed(0, 60) == 0
    if tremble:
        raw = np.linalg.norm(np.diff(found.centers, axis=0), axis=1).sum()
        assert raw > 100 * tremble * found.length, "steps between frames would have made a way of it"


def test_both_directions_count_alike() -> None:
    down = trajectory(line(8)[:, ::-1])
    assert down.distance(0, 8) == pytest.approx(trajectory(line(8)).distance(0, 8), rel=1e-9)


def test_what_nobody_has_seen_is_no_way() -> None:
    way = line(10)
    frames = np.arange(1, len(way) + 1)
    seen = (frames <= 75) | (frames > 175)
    found = trajectory(way[seen], frames[seen])
    assert found.distance(0, 10.1) == pytest.approx(0.06 * 6, rel=0.06)
    assert found.distance(3.5, 6.5) == pytest.approx(0, abs=1e-9)


def test_a_stop_is_no_way_and_a_sprint_is_the_top_speed() -> None:
    at = np.arange(250) / RATE
    along = np.interp(at, [0, 4, 8, 9, 10], [10, 20, 20, 50, 50])
    found = trajectory(np.column_stack([along, np.full(250, 30.0)]), tremble=0.01)
    assert found.distance(4.5, 7.5) == pytest.approx(0, abs=0.001)
    assert found.top_speed(0, 10) == pytest.approx(0.3, rel=0.1)


def test_one_frame_and_none() -> None:
    assert trajectory(np.full((1, 2), 40.0)).distance(0, 1) == 0
    nothing = trajectory(np.empty((0, 2)))
    assert (nothing.distance(0, 1), nothing.top_speed(0, 1), nothing.length) == (0, 0, 0)


def test_frames_without_a_box_are_left_out() -> None:
    boxes = np.array([[1, 1, 5, 5], [np.nan] * 4, [2, 1, 5, 5]])
    found = Trajectory.of("a", np.array([3, 4, 5]), boxes, RATE, ASPECT)
    assert found.frames.tolist() == [3, 5]
    assert found.pieces() == [slice(0, 1), slice(1, 2)]
