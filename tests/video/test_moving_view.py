"""A view that moves with an individual: where it is, how steady it is, and what it shows of a frame."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.video.moving_view import Cutter, moving_view
from ml_backend.video.timeline import FrameIndex

FRAMES = np.arange(50)
ASPECT, FPS = 2.0, 25.0


def boxes(x: NDArray[np.float64], width: float = 0.1, height: float = 0.1) -> NDArray[np.float64]:
    """(k, 4) around the middles `x`, half-way down."""
    return np.stack(
        [x - width / 2, np.full_like(x, 0.5 - height / 2), np.full_like(x, width), np.full_like(x, height)], axis=1
    )


def test_the_square_is_around_the_longer_side_as_it_is_shown() -> None:
    view = moving_view(FRAMES, boxes(np.full(50, 0.3)), ASPECT, FPS)
    # A tenth of a picture that is twice as wide as high is a fifth of its height.
    assert view.squares == pytest.approx(np.tile([0.3, 0.5, 0.2 * 1.6], (50, 1)))


def test_a_box_that_trembles_and_turns_does_not_shake_or_zoom_the_view() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(0.2, 0.8, 50)
    trembling = moving_view(FRAMES, boxes(x + rng.normal(0, 0.005, 50)), ASPECT, FPS).squares
    assert np.abs(np.diff(trembling[:, 0], 2)).max() < 0.005
    turning = boxes(x)
    turning[::2, 2] = 0.05
    sides = moving_view(FRAMES, turning, ASPECT, FPS).squares[:, 2]
    assert sides == pytest.approx(np.full(50, 0.2 * 1.6))


def test_one_who_comes_back_elsewhere_is_not_followed_across_the_gap() -> None:
    frames = np.concatenate([np.arange(20), np.arange(40, 60)])
    x = np.where(frames < 30, 0.2, 0.8)
    view = moving_view(frames, boxes(x), ASPECT, FPS)
    assert view.squares[:, 0] == pytest.approx(x)
    assert not view.moved(1).any()


def test_how_far_it_has_moved_is_told_in_sides_of_the_square_a_frame() -> None:
    view = moving_view(FRAMES, boxes(0.2 + 0.01 * FRAMES), ASPECT, FPS)
    # Two hundredths of the height, in squares of .32.
    assert view.moved(1)[10:40] == pytest.approx(np.tile([0.02 / 0.32, 0], (30, 1)), abs=1e-3)
    assert view.moved(4)[10:40] == pytest.approx(np.tile([0.02 / 0.32, 0], (30, 1)), abs=1e-3)


def test_the_key_tells_ways_apart_and_nothing_else() -> None:
    key = moving_view(FRAMES, boxes(np.full(50, 0.3)), ASPECT, FPS).key
    assert key == moving_view(FRAMES.copy(), boxes(np.full(50, 0.3)), ASPECT, FPS).key
    others = [
        moving_view(FRAMES + 1, boxes(np.full(50, 0.3)), ASPECT, FPS),
        moving_view(FRAMES, boxes(np.full(50, 0.301)), ASPECT, FPS),
        moving_view(FRAMES, boxes(np.full(50, 0.3)), 1.0, FPS),
    ]
    assert len({key, *(other.key for other in others)}) == 4


def test_a_cut_shows_what_is_in_the_square_and_the_rim_beyond_the_picture() -> None:
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[80:120, 380:] = 255
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    cutter = Cutter(160)
    view = moving_view(np.array([0]), np.array([[0.95, 0.4, 0.05, 0.2]]), ASPECT, FPS)
    cut = cutter.cut(cutter.whole(frame), FrameIndex(0), view, 0)
    assert cut.rgb.shape == (160, 160, 3)
    assert (cut.grey.shape, cut.soft.shape) == ((64, 64), (64, 64))
    # White in the middle, and on to the right, where the picture has ended.
    assert cut.rgb[80, 85:].min() > 240
    assert cut.rgb[:20].max() < 10
    assert cut.rgb[80, :20].max() < 10
