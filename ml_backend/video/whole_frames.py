"""Whole frames of a video as a browser shows them, whatever the size, shape of pixels, turn and colors of its parts: for pictures that
people look at and models of other sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.roi import RegionOfInterest
from ml_backend.video.color_conversion import matrix, tone_table, transfer
from ml_backend.video.container import open_video, pixel_aspect
from ml_backend.video.decode import decoded_frames, placed, placed_from
from ml_backend.video.scaling import Cutting, turned, turns
from ml_backend.video.timeline import FrameIndex, Timeline

Size = tuple[int, int]
_FULL_RANGE = 2
_ROTATED = {0: (), 1: ("transpose=cclock",), 2: ("hflip", "vflip"), 3: ("transpose=clock",)}
# As in ITU-T H.273, by FFmpeg's names for the scaler.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_BT709, _BT601, _UNSAID = 1, 6, 2


def canvas(path: Path) -> Size:
    """The even (width, height) into which all pictures of a video go: that of its largest, as they are shown. Looks at key
    frames, where pictures change their size. Raises VideoUnreadable."""
    sizes: list[Size] = []
    with open_video(path) as (container, stream):
        aspect = pixel_aspect(stream)
        packets = (packet for packet in container.demux(stream) if packet.is_keyframe or not packet.size)
        stream.codec_context.skip_frame = "NONKEY"
        for frame in decoded_frames(packets):
            sizes.append(Coded(frame, aspect).size)
            if stream.codec_context.codec.intra_only:
                break
    return even(max(sizes or [(stream.codec_context.width, stream.codec_context.height)], key=_area))


def even(size: Size) -> Size:
    """Without a last odd column or line, since H.264 in 4:2:0 has even sides only."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def _area(size: Size) -> int:
    return size[0] * size[1]


class Fitting:
    """Brings frames into one size, upright, with square pixels, 8 bits and ordinary colors. What does not fill the picture
    is black. To be closed after use."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._stack = ExitStack()
        self._graphs: dict[tuple[object, ...], Graph] = {}

    def close(self) -> None:
        self._stack.close()

    def fit(self, coded: Coded) -> VideoFrame:
        """A frame in yuv420p; its times are the caller's affair."""
        frame = coded.frame
        key = (frame.width, frame.height, frame.format.name, frame.color_range, frame.colorspace, coded.turns)
        if (graph := self._graphs.get(key)) is None:
            graph = self._graphs[key] = self._graph(coded)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        graph.push(frame)
        fitted = graph.pull()
        assert isinstance(fitted, VideoFrame)
        return fitted

    def _graph(self, coded: Coded) -> Graph:
        frame, (width, height) = coded.frame, self._size
        shown = coded.size
        share = min(Fraction(width, shown[0]), Fraction(height, shown[1]))
        inside = (min(width, _even(shown[0] * share)), min(height, _even(shown[1] * share)))
        full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
        kind = transfer(frame.color_trc)
        source, target = _matrix(frame), "bt709" if kind else _MATRICES[colors(coded)]
        steps = [*_ROTATED[coded.turns]]
        if kind is not None:
            table = self._stack.enter_context(tone_table(kind))
            steps += [f"scale=in_color_matrix={source}:in_range={_range(full)}:out_range=pc", "format=gbrp10le"]
            steps += [f"lut3d=file={table}:interp=tetrahedral"]
            meaning = "in_range=pc"
        else:
            meaning = f"in_range={_range(full)}" + (f":in_color_matrix={source}" if source else "")
        steps += [f"scale={inside[0]}:{inside[1]}:flags=bicubic:{meaning}:out_color_matrix={target}:out_range=tv"]
        steps += ["format=yuv420p", "setsar=1"]
        if inside != self._size:
            steps += [f"pad={width}:{height}:{(width - inside[0]) // 4 * 2}:{(height - inside[1]) // 4 * 2}"]
        graph = Graph()
        size = f"video_size={frame.width}x{frame.height}:pixel_aspect=1/1:time_base=1/25"
        colored = f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
        chain: list[FilterContext] = [graph.add("buffer", f"{size}:pix_fmt={frame.format.name}:{colored}")]
        for step in steps:
            name, _, arguments = step.partition("=")
            chain.append(graph.add(name, arguments or None))
        chain.append(graph.add("buffersink"))
        graph.link_nodes(*chain).configure()
        return graph


def colors(coded: Coded) -> int:
    """What a fitted frame means as colors, as in ITU-T H.273: what its file says, else what browsers take it for."""
    frame = coded.frame
    if transfer(frame.color_trc):
        return _BT709
    said = int(frame.colorspace)
    if said in _MATRICES:
        return said
    hd = matrix(frame) is not None or (said != _UNSAID and frame.height >= 720)
    return _BT709 if hd else _BT601


def tag(stream: VideoStream, coded: Coded) -> None:
    """Has an encoded video say what its colors mean, `coded` being its first frame."""
    context, frame = stream.codec_context, coded.frame
    context.color_range = 1
    context.colorspace = colors(coded)
    if transfer(frame.color_trc):
        context.color_primaries = context.color_trc = _BT709
    else:
        context.color_primaries, context.color_trc = int(frame.color_primaries), int(frame.color_trc)


def _matrix(frame: VideoFrame) -> str:
    """Of what the frame is now; empty for RGB, which has none."""
    if frame.format.is_rgb:
        return ""
    said = _MATRICES.get(int(frame.colorspace))
    if said is not None:
        return said
    return "bt709" if matrix(frame) is not None else "smpte170m"


def _range(full: bool) -> str:
    return "pc" if full else "tv"


def _even(length: Fraction) -> int:
    return max(2, round(length / 2) * 2)


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
