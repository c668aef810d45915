"""Fetches videos into a bounded folder, each file named by the hash of its content.

A download goes in chunks to a temporary file, which takes its name only when it is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ml_backend.errors import StorageError, VideoRefused, VideoUnreachable

_CHUNK = 1 << 20
_TIMEOUT = (10, 60)
# A download that has written nothing for so long has died.
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True)
class VideoFile:
    """A fetched video. `content`: hex SHA-256 of its bytes."""

    path: Path
    content: str


class VideoFolder:
    """The fetched videos below `root`, at most `max_bytes` of them; the least recently used go first."""

    def __init__(self, root: Path, max_bytes: int, max_video_bytes: int) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._max_video_bytes = max_video_bytes

    def content_of(self, url: str) -> str | None:
        """The content hash of an address fetched before, without asking its server; None when never fetched."""
        record = self._record(url)
        return str(record["content"]) if record else None

    def fetch(self, url: str, headers: Mapping[str, str], progress: Callable[[float], None] | None = None) -> VideoFile:
        """The video at `url`, downloaded unless the copy at hand is still what the server has.

        `headers` go to the host of `url` alone: a redirect elsewhere loses them. Raises VideoUnreachable, VideoRefused
        and StorageError.
        """
        if not url.startswith(("http://", "https://")):
            raise VideoRefused(
                f"{url!r} is not an http(s) address.",
                "Upload the video to Label Studio or give the task an http(s) address.",
            )
        size, stamp = self._probe(url, headers)
        record = self._record(url)
        if record and record["stamp"] == stamp and stamp is not None:
            path = self.root / record["content"]
            if path.is_file() and path.stat().st_size == record["bytes"]:
                os.utime(path)
                return VideoFile(path, record["content"])
        return self._download(url, headers, size, stamp, progress)

    def _probe(self, url: str, headers: Mapping[str, str]) -> tuple[int | None, str | None]:
        # Label Studio streams without a length; asking for one byte tells the size.
        with _get(url, {**headers, "Range": "bytes=0-0"}) as response:
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            size = int(total) if total.isdigit() else None
            if size is None and response.status_code == 200 and response.headers.get("Content-Length", "").isdigit():
                size = int(response.headers["Content-Length"])
            if size is not None and size > self._max_video_bytes:
                raise VideoRefused(
                    f"{url} has {size} bytes, more than the limit of {self._max_video_bytes}.",
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
            with _get(url, headers) as response, part.open("wb") as file:
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    if received > self._max_video_bytes:
                        raise VideoRefused(
                            f"{url} is larger than the limit of {self._max_video_bytes} bytes.",
                            "Cut the video into parts, or raise MAX_VIDEO_BYTES.",
                        )
                    if progress and size:
                        progress(received / size)
            if size is not None and received != size:
                raise VideoUnreachable(
                    f"{url} broke off after {received} of {size} bytes.", "It is fetched again by itself."
                )
            if not received:
                raise _empty(url)
            content = digest.hexdigest()
            os.replace(part, self.root / content)
            self._remember(url, {"content": content, "stamp": stamp, "bytes": received})
        except requests.RequestException as error:
            raise _unreachable(url, error) from error
        except OSError as error:
            raise StorageError(
                f"The video could not be written to {self.root} ({error.strerror}).",
                "Make room there or set DATA_DIR elsewhere.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        self._evict(keep=content)
        return VideoFile(self.root / content, content)

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
            record = json.loads(self._record_path(url).read_text())
            return record if {"content", "stamp", "bytes"} <= record.keys() else None
        except (OSError, ValueError, AttributeError):
            return None

    def _remember(self, url: str, record: Mapping[str, object]) -> None:
        path = self._record_path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{uuid.uuid4().hex}.part")
        part.write_text(json.dumps(record))
        os.replace(part, path)


def _get(url: str, headers: Mapping[str, str]) -> requests.Response:
    try:
        # A compressed answer would have another length than the video.
        sent = {"Accept-Encoding": "identity", **headers}
        response = requests.get(url, headers=sent, stream=True, timeout=_TIMEOUT)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise VideoRefused(f"{url!r} is not an address.", "Correct the task's data.") from error
    except requests.RequestException as error:
        raise _unreachable(url, error) from error
    if response.status_code in (401, 403):
        response.close()
        raise VideoRefused(
            f"The server of {url} refused it ({response.status_code}).",
            "The token of LABEL_STUDIO_API_KEY must be allowed to see the project; a video elsewhere must be public.",
        )
    if response.status_code >= 500 or response.status_code == 429:
        response.close()
        raise VideoUnreachable(
            f"The server of {url} answered {response.status_code}.",
            "It is tried again by itself; see that server's log.",
        )
    if response.status_code == 416:
        response.close()
        raise _empty(url)
    if response.status_code >= 400:
        response.close()
        raise VideoRefused(
            f"{url} is not there ({response.status_code}).",
            "Check the task's address; a file of a local-files storage must lie inside the folder that the project's storage names.",
        )
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        response.close()
        raise VideoRefused(f"{url} is a web page, not a video.", "Give the task the address of the video file itself.")
    return response


def _empty(url: str) -> VideoRefused:
    return VideoRefused(f"{url} is an empty file.", "Upload the video again.")


def _unreachable(url: str, error: Exception) -> VideoUnreachable:
    return VideoUnreachable(
        f"{url} cannot be reached ({type(error).__name__}).",
        "Check the address and the network; it is tried again by itself.",
    )
