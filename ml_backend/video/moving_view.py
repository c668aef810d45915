"""A square part of the picture that moves with one individual, so that what is seen of it is like a video of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from ml_backend.video.decode import Picture
from ml_backend.video.scaling import turned, turns
from ml_backend.video.timeline import FrameIndex
from ml_backend.video.view import GREY, PICTURE

Floats = NDArray[np.float64]

# Goes up when the same boxes are shown in other squares.
_VERSION = 1
# How much of a box's longer side is shown around it, on each side.
_MARGIN = 0.3
# Seconds: a box that trembles must not make the floor tremble, and an animal that turns must not seem to grow.
_STEADY, _SAME_SIZE = 0.12, 0.5
# Pictures are cut from frames whose longer side has at most so many pixels.
_LONGER = 1024
_LEAST_PIXELS = 4.0


@dataclass(frozen=True, eq=False)
class MovingView:
    """`frames`: (k,) int64, the ascending frame indices in which the individual is in the picture; there is one at least. `squares`: (k, 3)
    the middle in each, x and y in shares of the picture, and the side in heights of the picture. `aspect`: width / height of the picture
    as it is shown."""

    frames: NDArray[np.int64]
    squares: Floats
    aspect: float

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def key(self) -> str:
        """The same for the same way through a video, to a ten-thousandth of the picture."""
        content = self.frames.tobytes() + np.round(self.squares * 1e4).astype(np.int64).tobytes()
        said = hashlib.sha256(content + f"{self.aspect:.3f}".encode()).hexdigest()[:20]
        return f"-moving{_VERSION}-{said}"

    def moved(self, step: int) -> Floats:
        """(k, 2) how far the middle has come from the frame `step` before, a frame, in sides of the square; 0 where it was away then."""
        before = np.maximum(np.searchsorted(self.frames, self.frames - step), 0)
        there = self.frames[before] == self.frames - step
        way = (self.squares[:, :2] - self.squares[before, :2]) * (self.aspect, 1.0)
        return np.asarray(np.where(there[:, None], way / self.squares[:, 2:] / step, 0.0), np.float64)


def moving_view(frames: NDArray[np.int64], boxes: NDArray[np.floating], aspect: float, fps: float) -> MovingView:
    """Around the boxes (k, 4) of k ascending `frames`, shares of the picture: left, top, width, height. `aspect`: width / height of the
    picture; `fps`: frames a second."""
    squares = np.empty((len(frames), 3))
    for part in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > 1) + 1):
        own = np.asarray(boxes[part], np.float64)
        longer = np.maximum(own[:, 2] * aspect, own[:, 3])
        largest = maximum_filter1d(longer, 2 * round(_SAME_SIZE * fps) + 1, mode="nearest")
        sides = gaussian_filter1d(largest, max(_SAME_SIZE * fps, 0.5), mode="nearest") * (1 + 2 * _MARGIN)
        middles = gaussian_filter1d(own[:, :2] + own[:, 2:] / 2, max(_STEADY * fps, 0.5), axis=0, mode="nearest")
        squares[part] = np.concatenate([middles, np.maximum(sides, 1e-3)[:, None]], axis=1)
    return MovingView(np.asarray(frames, np.int64), squares, aspect)


class CutPicture(Picture):
    """What a moving view shows of one frame, as a `Picture` of its own: (side, side, 3) in RGB, and twice (64, 64) grey. It holds no
    decoded frame."""

    __slots__ = ()

    def __init__(self, index: FrameIndex, square: NDArray[np.uint8], side: int) -> None:
        self.index = index
        how = cv2.INTER_AREA if max(square.shape[:2]) > side else cv2.INTER_LINEAR
        self._rgb = np.asarray(cv2.resize(square, (side, side), interpolation=how), np.uint8)
        grey = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
        self.grey = np.asarray(cv2.resize(grey, (GREY, GREY), interpolation=cv2.INTER_LINEAR), np.uint8)
        twice = cv2.resize(grey, (2 * GREY, 2 * GREY), interpolation=cv2.INTER_LINEAR)
        self.soft = np.asarray(cv2.resize(twice, (GREY, GREY), interpolation=cv2.INTER_AREA), np.uint8)
        self._frame = None

    @property
    def rgb(self) -> NDArray[np.uint8]:
        if self._rgb is None:
            raise ValueError(f"frame {self.index} was released")
        return self._rgb

    def shrink(self) -> None:
        """It is small already."""


class Cutter:
    """Cuts the squares of moving views out of the frames of one video. For one thread."""

    def __init__(self, side: int = PICTURE) -> None:
        self._side = side
        self._to_rgb = VideoReformatter()

    def whole(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB of a frame as it is coded, turned the way a browser shows it, of at most 1,024 pixels."""
        share = min(1.0, _LONGER / max(frame.width, frame.height))
        width, height = max(round(frame.width * share), 1), max(round(frame.height * share), 1)
        small = self._to_rgb.reformat(
            frame, width, height, "rgb24", interpolation=Interpolation.FAST_BILINEAR, threads=1
        )
        picture = np.asarray(small.to_ndarray(), np.uint8)
        return turned(picture, frame) if turns(frame) else picture

    def cut(self, picture: NDArray[np.uint8], index: FrameIndex, view: MovingView, at: int) -> CutPicture:
        """What the view shows at its position `at` of a picture (h, w, 3). What lies outside of it is its rim."""
        height, width = picture.shape[:2]
        x, y, side = view.squares[at] * (width, height, height)
        half_high = max(side, _LEAST_PIXELS) / 2
        # Pixels need not be square.
        half_wide = half_high * width / height / view.aspect
        x0, y0, x1, y1 = round(x - half_wide), round(y - half_high), round(x + half_wide), round(y + half_high)
        inside = picture[min(max(y0, 0), height - 1) : max(y1, 1), min(max(x0, 0), width - 1) : max(x1, 1)]
        around = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
        square = cv2.copyMakeBorder(inside, *around, cv2.BORDER_REPLICATE) if any(around) else inside
        return CutPicture(index, np.asarray(square, np.uint8), self._side)
