"""Fetches videos into a bounded folder, each file named by the hash of its content.

A download goes in chunks to a temporary file, which takes its name only when it is complete. What may be fetched from
where is decided in `safe_http.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from urllib3.exceptions import HTTPError

from ml_backend.errors import StorageError, VideoRefused, VideoUnreachable
from ml_backend.store.files import current, put
from ml_backend.video.safe_http import VideoHosts, get, shown, why

_CHUNK = 1 << 20
# A server that brings less than this for so long would keep a worker busy for days.
_SLOW_BYTES_A_SECOND, _SLOW_SECONDS = 16_384, 60.0
# Said by servers of what no browser plays as a video.
_NO_VIDEOS = ("text/html", "application/json", "application/xhtml+xml", "application/dash+xml")
# A download that has written nothing for so long has died.
_ABANDONED_SECONDS = 3600

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class VideoFile:
    """A fetched video. `content`: hex SHA-256 of its bytes."""

    path: Path
    content: str


_INTERNET_ALONE = VideoHosts()


class _Unauthorized(VideoRefused):
    """401: with another token it may be given."""


class VideoFolder:
    """The fetched videos below `root`, at most `max_bytes` of them; the least recently used go first.

    `hosts`: from where besides the internet.
    """

    def __init__(self, root: Path, max_bytes: int, max_video_bytes: int, hosts: VideoHosts = _INTERNET_ALONE) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._max_video_bytes = max_video_bytes
        self._hosts = hosts

    def content_of(self, url: str) -> str | None:
        """The content hash of an address fetched before, without asking its server; None when never fetched."""
        record = self._record(url)
        return str(record["content"]) if record else None

    def fetch(
        self,
        url: str,
        headers: Mapping[str, str],
        progress: Callable[[float], None] | None = None,
        renew: Callable[[], Mapping[str, str]] | None = None,
    ) -> VideoFile:
        """The video at `url`, downloaded unless the copy at hand is still what the server has.

        `headers` go to the scheme, host and port of `url` alone: a redirect elsewhere loses them. `renew` gives others when
        these are not taken any more, none when there are none. Raises VideoUnreachable, VideoRefused and StorageError.
        """
        return _renewing(lambda taken: self._fetch(url, taken, progress), headers, renew)

    def is_replaced(
        self, url: str, headers: Mapping[str, str], renew: Callable[[], Mapping[str, str]] | None = None
    ) -> bool:
        """Whether the server says that it has another file than the one that was fetched last; False where that cannot be told. Asks
        for one byte. `headers`, `renew` and errors: as in `fetch`."""
        record = self._record(url)
        if record is None or record["stamp"] is None:
            return False
        _, stamp = _renewing(lambda taken: self._probe(url, taken), headers, renew)
        return stamp is not None and stamp != record["stamp"]

    def _fetch(self, url: str, headers: Mapping[str, str], progress: Callable[[float], None] | None) -> VideoFile:
        size, stamp = self._probe(url, headers)
        record = self._record(url)
        if record and record["stamp"] == stamp and stamp is not None:
            path = self.root / record["content"]
            if path.is_file() and path.stat().st_size == record["bytes"]:
                os.utime(path)
                return VideoFile(path, record["content"])
        return self._download(url, headers, size, stamp, progress)

    def check(self, url: str, headers: Mapping[str, str]) -> None:
        """Asks for the first byte. Raises what `fetch` would: VideoUnreachable and VideoRefused."""
        self._probe(url, headers)

    def _probe(self, url: str, headers: Mapping[str, str]) -> tuple[int | None, str | None]:
        # Label Studio streams without a length; asking for one byte tells the size.
        with self._get(url, {**headers, "Range": "bytes=0-0"}) as response:
            size = _number(response.headers.get("Content-Range", "").rpartition("/")[2])
            if size is None and response.status_code == 200:
                size = _number(response.headers.get("Content-Length", ""))
            if size is not None and size > self._max_video_bytes:
                raise VideoRefused(
                    f"{shown(url)} has {size} bytes, more than the limit of {self._max_video_bytes}.",
                    "Cut the video into parts, or raise MAX_VIDEO_BYTES.",
                )
            version = response.headers.get("ETag") or response.headers.get("Last-Modified")
            return size, None if size is None else f"{size}|{version}"

    def _download(
        self,
        url: str,
        headers: Mapping[str, str],
        size: int | None,
        stamp: str | None,
        progress: Callable[[float], None] | None,
    ) -> VideoFile:
        digest, received = hashlib.sha256(), 0
        part = self.root / f".{uuid.uuid4().hex}.part"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._get(url, headers) as response, part.open("wb") as file:
                for chunk in _chunks(url, response):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    if received > self._max_video_bytes:
                        raise VideoRefused(
                            f"{shown(url)} is larger than the limit of {self._max_video_bytes} bytes.",
                            "Cut the video into parts, or raise MAX_VIDEO_BYTES.",
                        )
                    if progress and size:
                        progress(received / size)
            if size is not None and received != size:
                raise VideoUnreachable(
                    f"{shown(url)} broke off after {received} of {size} bytes.", "It is fetched again automatically."
                )
            if not received:
                raise _empty(url)
            content = digest.hexdigest()
            os.replace(part, self.root / content)
            self._remember(url, {"content": content, "stamp": stamp, "bytes": received})
        except (requests.RequestException, HTTPError) as error:
            raise self._unreachable(url, error) from error
        except OSError as error:
            raise StorageError(
                f"The video could not be written to {self.root} ({error.strerror}).",
                "Free up disk space there, or set DATA_DIR to another disk.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        self._evict(keep=content)
        return VideoFile(self.root / content, content)

    def _get(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        try:
            # A compressed answer would have another length than the video.
            response = get(url, {"Accept-Encoding": "identity", **headers}, self._hosts)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError) as error:
            raise VideoRefused(f"{shown(url)!r} is not an address.", "Correct the task's data.") from error
        except requests.RequestException as error:
            raise self._unreachable(url, error) from error
        return _judged(url, response)

    def _unreachable(self, url: str, error: Exception) -> VideoUnreachable:
        reason, remedy = why(error, url, self._hosts)
        return VideoUnreachable(
            f"{shown(url)} cannot be reached ({reason}).",
            f"{(remedy or 'Check the address and the network.').rstrip('.')}; it is retried automatically.",
        )

    def _evict(self, keep: str) -> None:
        files = []
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process evicts too
                stat = path.stat()
                if path.name.endswith(".part"):
                    if time.time() - stat.st_mtime > _ABANDONED_SECONDS:
                        path.unlink()
                elif path.is_file():
                    files.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._max_bytes:
                return
            if path.name != keep:
                path.unlink(missing_ok=True)
                total -= size

    def _record_path(self, url: str) -> Path:
        return self.root / "addresses" / f"{hashlib.sha256(url.encode(errors='surrogatepass')).hexdigest()}.json"

    def _record(self, url: str) -> dict[str, Any] | None:
        try:
            record = json.loads(current(self._record_path(url)).read_text())
            return record if {"content", "stamp", "bytes"} <= record.keys() else None
        except (OSError, ValueError, AttributeError):
            return None

    def _remember(self, url: str, record: Mapping[str, object]) -> None:
        path = self._record_path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{uuid.uuid4().hex}.part")
        part.write_text(json.dumps(record))
        put(part, path)


def _renewing(
    ask: Callable[[Mapping[str, str]], _Answer],
    headers: Mapping[str, str],
    renew: Callable[[], Mapping[str, str]] | None,
) -> _Answer:
    """What is answered with these headers, or with renewed ones when these are not taken any more."""
    try:
        return ask(headers)
    except _Unauthorized as error:
        fresh = renew() if renew else {}
        if not fresh:
            raise VideoRefused(error.message, error.remedy) from error
    return ask(fresh)


def _chunks(url: str, response: requests.Response) -> Iterator[bytes]:
    """The body as it comes. Raises VideoUnreachable when it comes too slowly."""
    begun, received = time.monotonic(), 0
    # Of what has come, not when there is a whole chunk: a server that sends a byte a second must not hold us for days.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        yield chunk
        received += len(chunk)
        seconds = time.monotonic() - begun
        if seconds > _SLOW_SECONDS and received < seconds * _SLOW_BYTES_A_SECOND:
            raise VideoUnreachable(
                f"The server of {shown(url)} sent only {received} bytes in {seconds:.0f} s.",
                "It is retried automatically. If this goes on, put the video on a faster server or upload it to Label Studio.",
            )


def _judged(url: str, response: requests.Response) -> requests.Response:
    """The answer, when it is a file. Raises VideoRefused and VideoUnreachable."""
    if response.status_code in (401, 403):
        response.close()
        refused = _Unauthorized if response.status_code == 401 else VideoRefused
        raise refused(
            f"The server of {shown(url)} refused it ({response.status_code}).",
            "The token of LABEL_STUDIO_API_KEY must be allowed to see the project, LABEL_STUDIO_HOST must be Label Studio's public "
            "name where it has another than LABEL_STUDIO_URL, and a video elsewhere must be public.",
        )
    if response.status_code >= 500 or response.status_code == 429:
        response.close()
        raise VideoUnreachable(
            f"The server of {shown(url)} answered {response.status_code}.",
            "It is retried automatically; see that server's log. Label Studio answers so, too, when an uploaded file is gone.",
        )
    if response.status_code == 416:
        response.close()
        raise _empty(url)
    if response.status_code >= 400:
        response.close()
        raise VideoRefused(
            f"{shown(url)} is not there ({response.status_code}).",
            "Check the task's address; a file of a local-files storage must lie inside the folder that the project's storage names.",
        )
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _NO_VIDEOS or kind.endswith("mpegurl"):
        response.close()
        what = "a web page" if "html" in kind else kind
        raise VideoRefused(
            f"{shown(url)} is {what}, not a video.", "Give the task the address of the video file itself."
        )
    return response


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _empty(url: str) -> VideoRefused:
    return VideoRefused(f"{shown(url)} is an empty file.", "Upload the video again.")
