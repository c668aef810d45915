"""Stand-ins for the product's jobs: they note that they ran, and do what the test put under `do:<project>`.

`embed` notes its subject as well, since several of them belong to one project.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

from redis import Redis
from rq import get_current_job

from ml_backend.errors import (
    Gone,
    LabelStudioRefused,
    LabelStudioUnreachable,
    StorageError,
    VideoUnreadable,
)
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.progress import Progress
from ml_backend.queueing.job_limits import allow
from ml_backend.queueing.liveness import in_hand
from ml_backend.queueing.queue import enqueue, listing, request_after


def connection() -> Redis:
    current = get_current_job()
    assert current is not None
    found: Redis = current.connection
    return found


def act(progress: Progress, kind: str, *arguments: str | int) -> str:
    redis = connection()
    note = " ".join(map(str, (kind, *arguments)))
    redis.rpush("ran", note)
    command = (redis.lpop(f"do:{arguments[0]}") or b"succeed").decode()
    if command == "fail for good":
        raise VideoUnreadable("It is no video.", "Upload another.")
    if command == "fail of the token":
        raise LabelStudioRefused("Label Studio refused the token.", "Set another.")
    if command == "fail for now":
        raise LabelStudioUnreachable("Label Studio does not answer.", "Wait.")
    if command == "break":
        raise ZeroDivisionError("a mistake of ours")
    if command == "fill the memory":
        raise MemoryError
    if command == "request itself":
        for _ in range(10):
            enqueue(redis, kind, *arguments)  # type: ignore[arg-type]
    if command == "wait for itself":
        request_after(redis, [str(enqueue(redis, "embed", str(arguments[0]), 1))], kind, *arguments)  # type: ignore[arg-type]
    if command == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if command == "hang":
        redis.set("hanging", os.getpid())
        time.sleep(60)
    if command == "open the video":
        with in_hand("its content"):
            mine = get_current_job()
            assert mine is not None
            redis.set("in hand", mine.get_meta()["video"])
    if command == "fail of the disk":
        raise StorageError("The disk is full.", "Make room.")
    if command == "find it gone":
        raise Gone("Task 1 is gone.", "Nothing is to be done.")
    if command == "report for ever":
        for percent in range(60):
            progress.report(percent, f"{percent} seconds")
            redis.set("reporting", 1)
            time.sleep(1)
    if command == "take two seconds":
        time.sleep(2)
    if command == "ask for more time":
        allow(60)
        mine = get_current_job()
        assert mine is not None
        registry = mine.started_job_registry
        redis.set("abandoned at", max(score for _, score in redis.zrange(registry.key, 0, -1, withscores=True)))
        time.sleep(2)
    if command == "report":
        progress.report(25, "a quarter")
        redis.set("shown", json.dumps(listing(redis)["running"]))
    return f"did {note}"


def stand_in(kind: str) -> Callable[..., str]:
    """The job of a kind. RQ finds it by its name in this module."""

    def run(context: JobContext, *arguments: str | int) -> str:
        return act(context.progress, kind, *arguments)

    run.__name__ = kind
    return job(run)


reconcile = stand_in("reconcile")
train = stand_in("train")
rollout = stand_in("rollout")
suggest = stand_in("suggest")
predict = stand_in("predict")
embed = stand_in("embed")
embed_part = stand_in("embed_part")
track = stand_in("track")
train_detector = stand_in("train_detector")
evaluate = stand_in("evaluate")
quality = stand_in("quality")
stopping = stand_in("stopping")
export = stand_in("export")
sheet = stand_in("sheet")
pictures = stand_in("pictures")
fetch = stand_in("fetch")
companion = stand_in("companion")
columns = stand_in("columns")
bouts = stand_in("bouts")
recheck = stand_in("recheck")
