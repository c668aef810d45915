"""Opening a video file: which stream is the picture, what to say when there is none or it cannot be decoded, and names that are no valid
UTF-8."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ml_backend.errors import VideoUnreadable


def readable(name: str) -> str:
    """A file's name, as Python gives it, with the letters that are meant: what is no UTF-8 is taken for Western European."""
    content = os.fsencode(name)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


@contextmanager
def readable_path(path: Path) -> Iterator[Path]:
    """The same file under a name that can be printed and opened by any library: a link while the `with` block lasts, where
    its own name cannot."""
    if readable(str(path)) == str(path):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / readable(path.name)
        link.symlink_to(path.absolute())
        yield link


# Any of its decoders serves; FFmpeg's own for AV1 needs a GPU.
_DECODERS = {"H.264": {"h264"}, "HEVC": {"hevc"}, "AV1": {"libdav1d", "libaom-av1"}, "VP9": {"vp9", "libvpx-vp9"}}


def missing_codecs() -> list[str]:
    """Those of H.264, HEVC, AV1 and VP9 that the installed FFmpeg cannot decode."""
    return [name for name, decoders in _DECODERS.items() if not decoders & av.codecs_available]


def ffmpeg_version() -> str:
    """That of the libavcodec that PyAV brings, for example `62.28.102`."""
    return ".".join(map(str, av.library_versions["libavcodec"]))


# What browsers can play; the last one only some.
PLAYABLE = ("h264", "vp8", "vp9", "av1", "hevc")
# Pictures one after the other, without times.
RAW = ("h264", "hevc", "m4v", "mpegvideo", "mjpeg", "obu", "vc1")
# Among those left out are playlists (hls, dash, concat, sdp), which name other files, and pictures.
_CONTAINERS = ",".join(("mov,mp4,matroska,webm,avi,mpegts,mpeg,ivf,flv,ogg,asf,mxf,dv,nut,yuv4mpegpipe", *RAW))
_OPENING = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS, "enable_drefs": "0"}
# 8192 x 4352. A damaged header may promise pictures that fill the memory.
MOST_PIXELS = 8192 * 4352
_DECODING = {"max_pixels": str(MOST_PIXELS)}
# A file on a disk answers at once; what FFmpeg reads for longer leads nowhere.
_SECONDS = 60.0


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened container of `path` and the stream that a browser shows, see `_shown`.

    Raises `VideoUnreadable` when the file is empty, is not a video, holds sound only, or has pictures of more than
    `MOST_PIXELS`; where the pictures grow beyond that later in the file, they do not decode.
    """
    if not path.stat().st_size:
        raise VideoUnreadable(f"{path.name} is empty (0 bytes).", "Upload it again.")
    try:
        # With the protocol, so that no name is taken for another one's ("concat:a.mp4").
        container = av.open(f"file:{path}", options=_OPENING | _DECODING, timeout=_SECONDS, metadata_errors="replace")
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise VideoUnreadable(
            f"{path.name} is not a video, or its header is damaged.",
            "Check that it plays in a browser, and upload it again.",
        ) from error
    with container:
        stream = _shown(container)
        if stream is None:
            raise VideoUnreadable(f"{path.name} holds no pictures.", "Upload a file with a video stream.")
        if not _is_known(stream):
            raise VideoUnreadable(
                f"The pictures of {path.name} use a codec that cannot be decoded.",
                "Encode it again as H.264, or upload it again if it plays elsewhere.",
            )
        if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
            raise VideoUnreadable(
                f"{path.name} has pictures of {stream.codec_context.width} x {stream.codec_context.height}, which is too large.",
                "Encode it at a smaller size: 8K is the maximum.",
            )
        stream.codec_context.options = _DECODING
        yield container, stream


@dataclass(frozen=True)
class MediaKind:
    """`mime`: of the file. `codec`: of its pictures, by FFmpeg's name. `plays`: whether browsers know both."""

    mime: str
    codec: str
    plays: bool


# By FFmpeg's name of the container; those that browsers know first.
_MIME = {"mp4": "video/mp4", "webm": "video/webm", "mpegts": "video/mp2t", "avi": "video/x-msvideo", "ogg": "video/ogg"}
_KNOWN_TO_BROWSERS = ("mp4", "webm")


def media_kind(path: Path) -> MediaKind:
    """What a file is to a browser. Raises VideoUnreadable as `open_video` does."""
    with open_video(path) as (container, stream):
        names, codec = container.format.name.split(","), stream.codec_context.codec.canonical_name
    name = next((name for name in _MIME if name in names), "")
    plays = name in _KNOWN_TO_BROWSERS and codec in PLAYABLE
    return MediaKind(_MIME.get(name, "application/octet-stream"), codec, plays)


def is_raw(container: InputContainer) -> bool:
    """Whether it is a stream of pictures alone, without the times at which to show them."""
    return container.format.name in RAW


def pixel_aspect(stream: VideoStream) -> Fraction:
    """How much wider than high a pixel is shown."""
    aspect = stream.sample_aspect_ratio if _is_known(stream) else None
    return aspect if aspect else Fraction(1)


def _shown(container: InputContainer) -> VideoStream | None:
    """The first stream that a browser can play, cover pictures aside: it passes over others, such as the thumbnails that
    cameras put in front. Where there is none, the stream that other players show."""
    streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
    for codecs in (PLAYABLE[:-1], PLAYABLE[-1:]):
        for stream in streams:
            if _is_known(stream) and stream.codec_context.codec.canonical_name in codecs:
                return stream
    best = container.streams.best("video")
    known = [each for each in streams if _is_known(each)]
    return best if isinstance(best, VideoStream) and best in known else next(iter([*known, *streams]), None)


def _is_known(stream: VideoStream) -> bool:
    # PyAV gives none for a codec that its FFmpeg does not know, whatever its type hints say.
    return getattr(stream, "codec_context", None) is not None
