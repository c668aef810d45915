"""The jobs of the benchmark: a part, and the joining, by the product's functions and in the product's queue, without a Label Studio. What
each took is noted in Redis."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from redis import Redis
from rq import get_current_job
from rq.serializers import JSONSerializer

from ml_backend.features.backbones import load_backbone
from ml_backend.features.parts import embed_part as make_part
from ml_backend.features.parts import join, read_table
from ml_backend.features.store import FeatureStore
from ml_backend.jobs.worker import _Worker
from ml_backend.queueing.kinds import HOUR, KINDS, Kind
from ml_backend.queueing.queue import queues
from ml_backend.video.parts import parts_of

CONTENT, PROJECT, PART_SECONDS = "video", "long", 600.0
TOOK = "benchmark:took"


def folder() -> Path:
    return Path(os.environ["COLDBLITZ_BENCHMARK"])


def stores() -> tuple[FeatureStore, FeatureStore]:
    return FeatureStore(folder() / "features", 10**11), FeatureStore(folder() / "features" / "parts", 10**11)


def embed_part(project: str, number: int) -> str:
    return _timed("part", lambda: _part(number))


def embed(project: str, task: int) -> str:
    return _timed("join", _join)


def _part(number: int) -> None:
    _, parts = stores()
    table = read_table(folder() / "long.mp4", parts, CONTENT)
    part = parts_of(table, PART_SECONDS)[number]
    backbone = load_backbone("mobilenet_v2", "none", "cpu", folder() / "weights")
    make_part(folder() / "long.mp4", table.timeline, part, backbone, parts, CONTENT)


def _join() -> None:
    store, parts = stores()
    table = read_table(folder() / "long.mp4", parts, CONTENT)
    key = load_backbone("mobilenet_v2", "none", "cpu", folder() / "weights").key
    if join(table.timeline, parts_of(table, PART_SECONDS), key, store, parts, CONTENT) is None:
        raise AssertionError("a part is missing")


def _timed(what: str, do: Any) -> str:
    current = get_current_job()
    assert current is not None
    processor, clock = time.process_time(), time.monotonic()
    do()
    took = {"what": what, "processor": time.process_time() - processor, "clock": time.monotonic() - clock}
    current.connection.rpush(TOOK, json.dumps({**took, "worker": os.getpid()}))
    return what


def use_these_jobs() -> None:
    """Has the queue call the functions of this module."""
    for kind in ("embed", "embed_part"):
        KINDS[kind] = Kind(f"{__name__}.{kind}", HOUR, part_of=KINDS[kind].part_of)


def work(address: str, core: int) -> None:
    """A worker process on one core, until nothing waits."""
    os.sched_setaffinity(0, {core})
    # Loaded before the clock runs, as in a worker that has done jobs before.
    load_backbone("mobilenet_v2", "none", "cpu", folder() / "weights")
    redis = Redis.from_url(address)
    redis.incr("benchmark:ready")
    while not redis.get("benchmark:go"):
        time.sleep(0.01)
    _Worker(queues(redis), connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="CRITICAL")
