"""Whether a project of very many tasks, which comes first, holds up small ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from redis import Redis

from benchmarks.scale.jobs import ended_key
from benchmarks.scale.project import CONFIG
from benchmarks.scale.servers import TOKEN, redis_server
from benchmarks.scale.workers import simulated_workers
from benchmarks.service.studio import PROJECT, key_of, large_studio
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.queueing.queue import enqueue
from ml_backend.settings import Settings

TASKS_EACH = 10
_PATIENCE = 120.0
_AHEAD_SECONDS = 10.0
_EVERY = 0.25


def fairness_figures(
    folder: Path, tasks: int, projects: int, workers: int, seconds: float, ahead: float = _AHEAD_SECONDS
) -> dict[str, float | None]:
    """Seconds from a small project's `/setup` until its first suggestion, and until all ten of its tasks have one: alone
    (`alone_...`), and of the small ones that come after one of `tasks` tasks (`first_...`, `all_...`: median and most; None where
    one was not done within two minutes). `large_first_seconds`: of the large one, which is `ahead` seconds. `large_jobs_meanwhile`: how
    many of its jobs ended while small ones waited; `not_done`: how many of these were not done in time.
    """
    folder.mkdir(parents=True)
    small = range(PROJECT + 2, PROJECT + 1 + projects)
    with (
        redis_server(folder) as address,
        Redis.from_url(address) as redis,
        large_studio(tasks, 0, projects, TASKS_EACH) as studio,
    ):
        settings = Settings(studio, TOKEN, data_dir=folder, redis_url=address)
        with simulated_workers(settings, workers, seconds):
            alone = _waits(redis, {PROJECT + 1: _connect(redis, PROJECT + 1)})[0]
            begun = _connect(redis, PROJECT)
            first = _first(redis, PROJECT) - begun
            time.sleep(ahead)
            connected = {}
            for number in small:
                connected[number] = _connect(redis, number)
                time.sleep(_EVERY)
            waits = _waits(redis, connected)
            ended = _ended(redis, PROJECT)
    while_waiting = [when for when in ended if when >= min(connected.values())]
    firsts, wholes = [first for first, _ in waits], [whole for _, whole in waits]
    return {
        "alone_first_seconds": _rounded(alone[0]),
        "alone_all_seconds": _rounded(alone[1]),
        "large_first_seconds": _rounded(first),
        "first_median_seconds": _rounded(_median(firsts)),
        "first_most_seconds": _rounded(_most(firsts)),
        "all_median_seconds": _rounded(_median(wholes)),
        "all_most_seconds": _rounded(_most(wholes)),
        "not_done": float(wholes.count(None)),
        "large_jobs_meanwhile": float(len(while_waiting)),
    }


def _connect(redis: Redis, number: int) -> float:
    """What `/setup` does; returns when."""
    registry.remember(redis, Known(key_of(number), CONFIG))
    enqueue(redis, "reconcile", key_of(number), again=True)
    return time.time()


def _ended(redis: Redis, number: int) -> list[float]:
    return sorted(float(when) for when in redis.lrange(ended_key(key_of(number)), 0, -1))


def _first(redis: Redis, number: int) -> float:
    while not (ended := _ended(redis, number)):
        time.sleep(0.05)
    return ended[0]


def _waits(redis: Redis, connected: dict[int, float]) -> list[tuple[float | None, float | None]]:
    """Of each project the seconds until the first and until the last of its tasks, None for what did not come in time."""
    limit = time.time() + _PATIENCE
    while any(len(_ended(redis, number)) < TASKS_EACH for number in connected) and time.time() < limit:
        time.sleep(0.2)
    found: list[tuple[float | None, float | None]] = []
    for number, begun in connected.items():
        ended = _ended(redis, number)
        whole = ended[TASKS_EACH - 1] - begun if len(ended) >= TASKS_EACH else None
        found.append((ended[0] - begun if ended else None, whole))
    return found


def _most(waits: Iterable[float | None]) -> float | None:
    found = list(waits)
    return None if None in found else max(each for each in found if each is not None)


def _median(waits: Iterable[float | None]) -> float | None:
    """What did not come is longer than all that did."""
    found = statistics.median(float("inf") if each is None else each for each in waits)
    return None if found == float("inf") else found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
