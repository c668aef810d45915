"""Serves cached videos to players: whole, or in parts by HTTP range requests (RFC 9110, section 14)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from flask import Response, request

# One answer holds no more, so that a player that is paused does not keep a thread waiting: it asks for the next part
# when it wants it.
MOST = 2 << 20
# Whole files, for whoever asks for no part, take a thread each for as long as they take.
_WHOLE_AT_ONCE = 4
_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_whole = threading.BoundedSemaphore(_WHOLE_AT_ONCE)


def video_answer(path: Path, mime: str, content: str) -> Response:
    """The answer to a GET or HEAD of a file whose content has the hash `content`, which is its entity tag.

    A range that is malformed, of another unit, or of several parts is passed over, as it may be, and so is one that
    is conditional on another content. Raises OSError when the file is gone.
    """
    size, etag = path.stat().st_size, f'"{content}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        # Whatever a file claims to be, a browser shows it as a video or not at all.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline",
    }
    if etag in request.headers.get("If-None-Match", "").split(", "):
        return Response(status=304, headers=headers)
    asked = _asked(size) if request.headers.get("If-Range", etag) == etag else None
    if asked is not None and asked[0] >= size:
        return Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"}, mimetype=mime)
    if asked is not None:
        first, last = asked[0], min(asked[1], size - 1, asked[0] + MOST - 1)
        headers |= {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(last - first + 1)}
        if request.method == "HEAD":
            return Response(status=206, headers=headers, mimetype=mime)
        with path.open("rb") as file:
            file.seek(first)
            return Response(file.read(last - first + 1), 206, headers, mimetype=mime)
    if request.method == "HEAD":
        return Response(status=200, headers={**headers, "Content-Length": str(size)}, mimetype=mime)
    if not _whole.acquire(blocking=False):
        return Response(status=503, headers={"Retry-After": "5"})
    return Response(_Whole(path), 200, {**headers, "Content-Length": str(size)}, mimetype=mime)


def _asked(size: int) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None for all."""
    found = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        # The last so many.
        return (max(0, size - int(last)), size - 1) if int(last) else (size, size)
    start, end = int(first), int(last) if last else size - 1
    return (start, end) if end >= start or not last else None


class _Whole:
    """The bytes of a file; gives its place free when it is closed, which a server does however an answer ends."""

    def __init__(self, path: Path) -> None:
        self._release: Callable[[], None] = _whole.release
        try:
            self._file = path.open("rb")
        except OSError:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._file.read(_CHUNK):
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        release, self._release = self._release, _nothing
        release()
        if hasattr(self, "_file"):
            self._file.close()


def _nothing() -> None:
    pass
