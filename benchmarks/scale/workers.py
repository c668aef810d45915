"""Many worker processes, each with all that the real one does but the work of a job."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from redis import Redis

from benchmarks.scale.jobs import SECONDS, simulated
from benchmarks.scale.servers import environment_of
from ml_backend.queueing.liveness import living
from ml_backend.settings import Settings

_START_SECONDS = 120


@contextmanager
def simulated_workers(settings: Settings, number: int, seconds: float) -> Iterator[None]:
    """`number` of them, forked so that they share what they have loaded; each `suggest` job takes `seconds` without computing."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    nursery = context.Process(target=_nurse, args=(settings, number, seconds, stop))
    nursery.start()
    try:
        with Redis.from_url(str(settings.redis_url)) as redis:
            limit = time.monotonic() + _START_SECONDS
            while len(living(redis)) < number:
                if time.monotonic() > limit or not nursery.is_alive():
                    raise RuntimeError("The simulated workers did not start.")
                time.sleep(0.1)
        yield
    finally:
        stop.set()
        nursery.join(30)
        nursery.kill()


def _nurse(settings: Settings, number: int, seconds: float, stop: Event) -> None:
    os.environ.update(environment_of(settings), **{SECONDS: str(seconds)})
    from ml_backend.jobs import worker
    from ml_backend.jobs.reconciling import reconcile  # noqa: F401

    context = multiprocessing.get_context("fork")
    with simulated():
        workers = [context.Process(target=worker.work, daemon=True) for _ in range(number)]
        for each in workers:
            each.start()
        stop.wait()
        for each in workers:
            each.kill()
