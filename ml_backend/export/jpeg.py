"""Whole frames of a video as JPEG, on all cores, in the order in which they are shown."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Set
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.features.hashing import HASH_INPUT, phash
from ml_backend.video.timeline import Timeline
from ml_backend.video.whole_frames import Coded, decode_whole, upright

# As good as the video mostly is; OpenCV's own default is 95, half as large again.
QUALITY = 92
_AHEAD = 8


def pictures(
    path: Path, timeline: Timeline, frames: Set[int], *, hashed: bool = False
) -> Iterator[tuple[int, bytes, int]]:
    """Yields frame index, JPEG and perceptual hash (0 unless `hashed`) of each of `frames`. Raises VideoUnreadable."""
    last = max(frames, default=-1)
    pending: deque[tuple[int, Future[tuple[bytes, int]]]] = deque()
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="jpeg") as pool:
        for index, frame in decode_whole(path, timeline):
            if index in frames:
                pending.append((index, pool.submit(_encoded, frame, hashed)))
            while len(pending) > _AHEAD:
                yield _next(pending)
            if index >= last:
                break
        while pending:
            yield _next(pending)


def _next(pending: deque[tuple[int, Future[tuple[bytes, int]]]]) -> tuple[int, bytes, int]:
    index, job = pending.popleft()
    return index, *job.result()


def _encoded(frame: Coded, hashed: bool) -> tuple[bytes, int]:
    picture = upright(frame, "bgr24")
    _, coded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return coded.tobytes(), _hash(picture) if hashed else 0


def _hash(picture: NDArray[np.uint8]) -> int:
    small = cv2.resize(
        cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (HASH_INPUT, HASH_INPUT), interpolation=cv2.INTER_AREA
    )
    return int(phash(np.asarray(small, np.uint8)[None])[0])
