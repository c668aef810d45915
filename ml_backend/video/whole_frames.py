"""Whole frames of a video as a browser shows them, for pictures that people look at and models of other sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.roi import RegionOfInterest
from ml_backend.video.colour import matrix
from ml_backend.video.container import open_video, pixel_aspect
from ml_backend.video.decode import placed, placed_from
from ml_backend.video.scaling import Cutting, turned, turns
from ml_backend.video.timeline import FrameIndex, Timeline


@dataclass(frozen=True, eq=False)
class Coded:
    """A frame as it is coded. `aspect`: how much wider than high its pixels are shown."""

    frame: VideoFrame
    aspect: Fraction

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frame as it is shown, in square pixels: what is shown wider is made wider, what is shown
        narrower is made higher, so that nothing is lost."""
        width, height = self.frame.width, self.frame.height
        if self.aspect > 1:
            width = round(width * self.aspect)
        else:
            height = round(height / self.aspect)
        return (height, width) if self.turns % 2 else (width, height)

    @property
    def turns(self) -> int:
        """By how many quarters a browser turns it counterclockwise."""
        return turns(self.frame)


def decode_sized(
    path: Path,
    timeline: Timeline,
    size: tuple[int, int],
    wanted: Callable[[FrameIndex], bool] | None = None,
    roi: RegionOfInterest | None = None,
) -> Iterator[tuple[FrameIndex, NDArray[np.uint8]]]:
    """Yields the index and the (height, width, 3) uint8 RGB picture of every frame, or of those `wanted`, `size` being
    (height, width); of a region of interest, where there is one.

    For models that want pictures of their own size. Raises VideoUnreadable as `decode` does.
    """
    reformatter, cut = VideoReformatter(), Cutting(roi)
    for index, coded in decode_whole(path, timeline):
        if wanted is not None and not wanted(index):
            continue
        frame = coded.frame
        height, width = size if coded.turns % 2 == 0 else size[::-1]
        small = reformatter.reformat(
            cut(frame), width, height, "rgb24", src_colorspace=matrix(frame), interpolation=Interpolation.BILINEAR
        )
        yield index, turned(np.asarray(small.to_ndarray(), np.uint8), frame)


def decode_whole(path: Path, timeline: Timeline) -> Iterator[tuple[FrameIndex, Coded]]:
    """Yields the index of every frame and the frame as it was coded, see `upright`. Raises VideoUnreadable as `decode` does."""
    seen = False
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        aspect = pixel_aspect(stream)
        for index, frame in placed(container, stream, timeline):
            if index >= len(timeline):
                break
            seen = True
            yield index, Coded(frame, aspect)
    if not seen:
        raise VideoUnreadable(
            f"No frame of {path.name} can be decoded.", "Check that it plays in a browser, or encode it again as H.264."
        )


def decode_exactly(
    path: Path, timeline: Timeline, frames: Collection[int], keys: NDArray[np.int64]
) -> Iterator[tuple[FrameIndex, Coded]]:
    """Yields the index of each of `frames` and the frame as it was coded, see `upright`, in the order they are shown; those
    that do not decode are left out.

    One pass, which leaps to the last key frame before the next frame wherever there is one. `keys`: (k,) int64 ticks, the
    ascending times of the key frames. Raises VideoUnreadable when `path` is no video.
    """
    at, frame = -1, None
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        aspect = pixel_aspect(stream)
        decoded = placed(container, stream, timeline)
        for index in sorted(frames):
            here, key = np.searchsorted(keys, timeline.pts[[max(at, 0), index]], "right")
            if at < index and here < key:
                # To the key frame itself: some containers go by decoding times, and from a frame that is shown just
                # before the next key frame, but decoded after it, would go to that one.
                start = int(np.searchsorted(timeline.pts, keys[key - 1]))
                decoded, at = placed_from(container, stream, timeline, index, start), -1
            while at < index and (found := next(decoded, None)) is not None:
                at, frame = found
            if at == index and frame is not None:
                yield FrameIndex(at), Coded(frame, aspect)


def upright(coded: Coded, order: Literal["rgb24", "bgr24"] = "rgb24") -> NDArray[np.uint8]:
    """(h, w, 3) uint8 of a whole frame the way a browser shows it: turned, and with square pixels."""
    frame = coded.frame
    width, height = coded.size if coded.turns % 2 == 0 else coded.size[::-1]
    how = Interpolation.BILINEAR if coded.aspect == 1 else Interpolation.BICUBIC
    shown = frame.reformat(width, height, order, src_colorspace=matrix(frame), interpolation=how)
    return turned(np.asarray(shown.to_ndarray(), np.uint8), frame)
