"""Flow says which way the subject moves and how fast, whatever the camera and the light do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ml_backend.features.flow import BACK, COLUMNS, STEPS, flow
from ml_backend.video.view import GREY

CAMERA, AMOUNT, VELOCITY, SPREADING = slice(0, 2), 2, slice(8, 10), 10


def ground(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((GREY + 20, GREY + 20)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return 120 + 35 * soft / soft.std()


def film(places: np.ndarray, size: float | np.ndarray = 6.0, shake: np.ndarray | None = None) -> np.ndarray:
    """(n, 64, 64) of a dark disc at (n, 2) places (x, y), before a ground that is off by `shake` (n, 2)."""
    sizes = np.broadcast_to(size, len(places))
    shifts = np.zeros((len(places), 2)) if shake is None else shake
    pictures = []
    for (x, y), radius, (dx, dy) in zip(places, sizes, shifts, strict=True):
        move = np.array([[1, 0, dx - 10], [0, 1, dy - 10]], np.float32)
        picture = cv2.warpAffine(ground(), move, (GREY, GREY), borderMode=cv2.BORDER_REFLECT)
        centre = (round((x + dx) * 16), round((y + dy) * 16))
        cv2.circle(picture, centre, round(float(radius) * 16), 30, -1, cv2.LINE_AA, 4)
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return np.stack(pictures)


def along(way: tuple[float, float], frames: int = 20) -> np.ndarray:
    return 32 + (np.arange(frames)[:, None] - frames / 2) * np.array(way)


def rows(pictures: np.ndarray, first: int = 6) -> np.ndarray:
    return flow(pictures, np.arange(first, len(pictures)))


@pytest.mark.parametrize("way", [(0.6, 0.0), (-0.6, 0.0), (0.0, 0.5), (0.4, -0.4)])
def test_the_velocity_of_what_moves_is_told_with_its_sign(way: tuple[float, float]) -> None:
    found = rows(film(along(way)))[:, VELOCITY].mean(axis=0)
    assert found @ way / np.linalg.norm(found) / np.linalg.norm(way) > 0.97


def test_nothing_moves_in_a_still_picture() -> None:
    found = rows(film(np.full((20, 2), 30.0)))
    assert np.abs(found[:, AMOUNT]).max() == 0
    assert np.abs(found[:, CAMERA]).max() < 1e-3


def test_a_shaking_camera_is_told_from_what_moves_before_it() -> None:
    shake = np.random.default_rng(1).normal(0, 0.4, (20, 2))
    found = rows(film(along((0.6, 0.0)), shake=shake))
    assert found[:, VELOCITY].mean(axis=0) == pytest.approx((0.6, 0.0), abs=0.4)
    moved = np.diff(shake, axis=0)[5:]
    assert np.corrcoef(found[:, 0], moved[:, 0])[0, 1] > 0.9
    still = rows(film(np.full((20, 2), 30.0), shake=shake))
    assert np.abs(still[:, VELOCITY].mean(axis=0)).max() < 0.25
    assert still[:, AMOUNT].mean() < found[:, AMOUNT].mean()


def test_light_that_changes_everywhere_moves_nothing() -> None:
    pictures = film(np.full((20, 2), 30.0))
    drifting = (pictures * np.linspace(1, 0.8, 20)[:, None, None]).astype(np.uint8)
    assert rows(drifting)[:, AMOUNT].max() < 0.05


def test_what_comes_nearer_spreads_and_what_goes_away_shrinks() -> None:
    sizes = np.linspace(5, 14, 20)
    middle = np.full((20, 2), 32.0)
    assert rows(film(middle, sizes))[:, SPREADING].mean() > 0
    assert rows(film(middle, sizes[::-1]))[:, SPREADING].mean() < 0


def test_a_part_with_enough_before_it_equals_the_whole() -> None:
    pictures = film(along((0.5, 0.1), 30))
    whole = flow(pictures, np.arange(30))
    part = flow(pictures[12 - BACK : 20], np.arange(BACK, BACK + 8))
    np.testing.assert_allclose(part, whole[12:20], rtol=1e-4, atol=1e-5)
    assert whole.shape == (30, len(STEPS) * COLUMNS)
