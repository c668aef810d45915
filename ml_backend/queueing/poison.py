"""Videos that end the worker that opens them: an error in native code cannot be caught, only counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import get_current_job

from ml_backend.errors import VideoUnreadable

# A crash tells of the video; being killed may tell of somebody who restarts the machine, or of too little memory.
CRASHES, KILLS = 3, 9
_COUNT = "coldblitz:poison"
# After a week it is tried again: the libraries may have been mended.
_REMEMBERED_SECONDS = 7 * 24 * 3600


@contextlib.contextmanager
def in_hand(content: str) -> Iterator[None]:
    """While the `with` block runs, the running job notes which video (by its content's hash) it has in hand.

    Raises VideoUnreadable for one that has ended too many workers, whatever they were doing with it.
    """
    current: Any = get_current_job()
    if current is None:
        yield
        return
    crashes, kills = _counts(current.connection, content)
    if crashes >= CRASHES or kills >= KILLS:
        current.meta["poison"] = content
        raise VideoUnreadable(
            f"The video ended the worker that opened it {crashes + kills} times.",
            "Encode it again (ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4), or retry the job after updating Coldblitz.",
        )
    current.meta["video"] = content
    current.save_meta()
    try:
        yield
    finally:
        current.meta.pop("video", None)
        # Without Redis the job fails anyhow; its own error says more.
        with contextlib.suppress(RedisError):
            current.save_meta()


def blame(redis: Redis, content: str, *, crashed: bool) -> None:
    """Counts a worker that died with this video in hand."""
    key = f"{_COUNT}:{content}"
    redis.hincrby(key, "crashes" if crashed else "kills", 1)
    redis.expire(key, _REMEMBERED_SECONDS)


def forgive(redis: Redis, content: str) -> None:
    """Lets the video be opened again."""
    redis.delete(f"{_COUNT}:{content}")


def _counts(redis: Redis, content: str) -> tuple[int, int]:
    crashes, kills = redis.hmget(f"{_COUNT}:{content}", "crashes", "kills")
    return int(crashes or 0), int(kills or 0)
