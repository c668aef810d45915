"""Opening a video file: which stream is the picture, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ml_backend.errors import VideoUnreadable


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened container of `path` and the stream that a browser shows: the first that is not a cover picture.

    Raises `VideoUnreadable` when the file is empty, is not a video, or holds sound only.
    """
    if not path.stat().st_size:
        raise VideoUnreadable(f"{path.name} is empty (0 bytes).", "Upload it again.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise VideoUnreadable(
            f"{path.name} is not a video, or its header is damaged.",
            "Check that it plays in a browser, and upload it again.",
        ) from error
    with container:
        for stream in container.streams.video:
            if stream.disposition & Disposition.attached_pic:
                continue
            # PyAV gives none for a codec that its FFmpeg does not know, whatever its type hints say.
            if getattr(stream, "codec_context", None) is None:
                raise VideoUnreadable(
                    f"The pictures of {path.name} are coded in a way that cannot be decoded.",
                    "Encode it again as H.264, or upload it again if it plays elsewhere.",
                )
            yield container, stream
            return
    raise VideoUnreadable(f"{path.name} holds no pictures.", "Upload a file with a video stream.")
