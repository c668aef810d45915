"""Frames as small as their consumers want them: the square of RGB that a network sees, and tiny grey pictures, of the whole
picture or of a region of interest.

Scaling is sws_scale's FAST_BILINEAR with one scaler for the whole video (a new one a frame costs more than decoding does). A
region of interest is cut out before it is scaled, by moving pointers.
"""

from __future__ import annotations

import math
import threading
from fractions import Fraction

import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ml_backend.roi import RegionOfInterest
from ml_backend.video.view import GREY, View

# Formats whose first plane is luma with one byte a pixel; those of the second row use all of 0..255.
_LIMITED = ("yuv420p", "yuv422p", "yuv444p", "nv12")
_FULL = ("yuvj420p", "yuvj422p", "yuvj444p", "gray")
_JPEG_RANGE = 2
_STRETCH = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
# A cut has at least so many pixels a side, where the frame has.
_LEAST_SIDE = 16

# Left, top, width and height in pixels of a frame as it is coded.
Box = tuple[int, int, int, int]


class Scaler:
    """Scales the frames of one video: to RGB, and to grey when they have no plain luma plane."""

    def __init__(self, view: View) -> None:
        self._side, self._roi = view.side, view.roi
        self._to_rgb = VideoReformatter()
        self._to_luma = VideoReformatter()
        # Pictures are made in RGB and in grey by two threads.
        self._cut_for_rgb, self._cut_for_luma = Cutting(view.roi), Cutting(view.roi)
        self.lock = threading.Lock()

    def rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(side, side, 3) uint8; not by two threads at a time."""
        small = self._to_rgb.reformat(
            self._cut_for_rgb(frame),
            self._side,
            self._side,
            "rgb24",
            interpolation=Interpolation.FAST_BILINEAR,
            threads=1,
        )
        return turned(np.asarray(small.to_ndarray(), np.uint8), frame)

    def grey(self, frame: VideoFrame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Twice (64, 64) uint8, full range: of single points, and of averaged ones."""
        name = frame.format.name
        if name in _FULL or name in _LIMITED:
            plane = frame.planes[0]
            luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
                : frame.height, : frame.width
            ]
            if self._roi is not None:
                left, top, width, height = box(self._roi, frame)
                luma = luma[top : top + height, left : left + width]
            both = [
                cv2.resize(luma, (GREY, GREY), interpolation=cv2.INTER_LINEAR),
                _averaged(np.asarray(cv2.resize(luma, (2 * GREY, 2 * GREY), interpolation=cv2.INTER_LINEAR), np.uint8)),
            ]
            if name in _LIMITED and frame.color_range != _JPEG_RANGE:
                both = [cv2.LUT(each, _STRETCH) for each in both]
        else:
            part = self._cut_for_luma(frame)
            both = [self._luma(part, GREY), _averaged(self._luma(part, 2 * GREY))]
        point, soft = (turned(np.asarray(each, np.uint8), frame) for each in both)
        return point, soft

    def _luma(self, frame: VideoFrame, size: int) -> NDArray[np.uint8]:
        small = self._to_luma.reformat(
            frame, size, size, "yuvj420p", interpolation=Interpolation.FAST_BILINEAR, threads=1
        )
        return np.asarray(small.to_ndarray()[:size], np.uint8)


class Cutting:
    """Cuts a region of interest out of the frames of one video; without one it gives them as they are. For one thread."""

    def __init__(self, roi: RegionOfInterest | None) -> None:
        self._roi = roi
        self._graphs: dict[tuple[object, ...], Graph] = {}

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        if self._roi is None:
            return frame
        key = (frame.width, frame.height, frame.format.name, frame.color_range, frame.colorspace, turns(frame))
        if (graph := self._graphs.get(key)) is None:
            graph = self._graphs[key] = _cutting(frame, box(self._roi, frame))
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        graph.push(frame)
        part = graph.pull()
        assert isinstance(part, VideoFrame)
        return part


def _cutting(frame: VideoFrame, part: Box) -> Graph:
    left, top, width, height = part
    graph = Graph()
    size = f"video_size={frame.width}x{frame.height}:pixel_aspect=1/1:time_base=1/25"
    colored = f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    graph.link_nodes(
        graph.add("buffer", f"{size}:pix_fmt={frame.format.name}:{colored}"),
        graph.add("crop", f"{width}:{height}:{left}:{top}"),
        graph.add("buffersink"),
    ).configure()
    return graph


def box(roi: RegionOfInterest, frame: VideoFrame) -> Box:
    """Where a region of interest is in a frame as it is coded; on even lines and columns, for chroma."""
    x, y, width, height = roi
    # As it was before the browser turned it, counterclockwise by so many quarters.
    x, y, width, height = {
        0: (x, y, width, height),
        1: (100 - y - height, x, height, width),
        2: (100 - x - width, 100 - y - height, width, height),
        3: (y, 100 - x - width, height, width),
    }[turns(frame)]
    left, right = _even(x, x + width, frame.width)
    top, bottom = _even(y, y + height, frame.height)
    return left, top, right - left, bottom - top


def _even(start: float, stop: float, length: int) -> tuple[int, int]:
    """From percent to pixels, outward to even ones, and to enough of them."""
    first = math.floor(start * length / 200 + 1e-6) * 2
    last = min(math.ceil(stop * length / 200 - 1e-6) * 2, length)
    last = min(max(last, first + _LEAST_SIDE), length)
    return max(min(first, (length - _LEAST_SIDE) // 2 * 2), 0), last


def turns(frame: VideoFrame) -> int:
    """By how many quarters a browser turns it counterclockwise."""
    return round(frame.rotation / 90) % 4


def turned(picture: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    """The way a browser shows it."""
    quarters = turns(frame)
    return np.ascontiguousarray(np.rot90(picture, quarters)) if quarters else picture


def _averaged(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(luma, (GREY, GREY), interpolation=cv2.INTER_AREA), np.uint8)
