"""Frames of any size, shape of pixels, turn and colors as pictures of one video that every browser shows alike."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ml_backend.video.colour import matrix, transfer
from ml_backend.video.container import open_video, pixel_aspect
from ml_backend.video.decode import decoded_frames
from ml_backend.video.tone import tone_table
from ml_backend.video.whole_frames import Coded

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
