"""What the queue costs a job: to put it in line, to take it, and to note that it has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.scale.jobs import ended_key, simulated
from benchmarks.scale.project import key_of
from benchmarks.scale.servers import TOKEN, redis_server
from benchmarks.scale.workers import simulated_workers
from ml_backend.queueing.queue import enqueue
from ml_backend.settings import Settings


@dataclass(frozen=True)
class _Counted:
    """What a Redis has done so far: commands, seconds of its processor, and the bytes it holds."""

    commands: int
    seconds: float
    held: int

    @classmethod
    def of(cls, redis: Redis) -> _Counted:
        commands = sum(each["calls"] for each in redis.info("commandstats").values())
        cpu = redis.info("cpu")
        used = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
        return cls(commands, used, int(redis.info("memory")["used_memory"]))


def overhead_figures(folder: Path, projects: int, workers: int, jobs: int) -> dict[str, float]:
    """Of each of `jobs` jobs in as many projects, of one worker and of `workers`: `enqueue_ms` until it is in line, `one_worker_ms` until
    one has taken and ended it, `workers_ms` the same of all together where they are several; Redis' commands and processor time
    for it (`..._commands`, `..._redis_us`), and the bytes that it takes in line and when it has ended."""
    folder.mkdir(parents=True)
    figures: dict[str, float] = {}
    with redis_server(folder) as address, Redis.from_url(address) as redis:
        settings = Settings("http://127.0.0.1:9", TOKEN, data_dir=folder, redis_url=address)
        for name, number in {"one_worker": 1, **({"workers": workers} if workers > 1 else {})}.items():
            redis.flushall()
            before, begun = _Counted.of(redis), time.perf_counter()
            with simulated():
                for job in range(jobs):
                    enqueue(redis, "suggest", key_of(1 + job % projects), job)
            in_line = _Counted.of(redis)
            figures["enqueue_ms"] = 1000 * (time.perf_counter() - begun) / jobs
            figures["enqueue_commands"] = (in_line.commands - before.commands) / jobs
            figures["enqueue_redis_us"] = 1e6 * (in_line.seconds - before.seconds) / jobs
            figures["bytes_in_line"] = (in_line.held - before.held) / jobs
            with simulated_workers(settings, number, 0.0):
                done = _done(redis, projects, jobs)
            after = _Counted.of(redis)
            # The first jobs end while the last workers start.
            figures[f"{name}_ms"] = 1000 * (done[-1] - done[len(done) // 2]) / (len(done) - len(done) // 2 - 1)
            figures[f"{name}_commands"] = (after.commands - in_line.commands) / jobs
            figures[f"{name}_redis_us"] = 1e6 * (after.seconds - in_line.seconds) / jobs
            figures["bytes_ended"] = (after.held - before.held) / jobs
    return {name: round(value, 3) for name, value in figures.items()}


def _done(redis: Redis, projects: int, jobs: int) -> list[float]:
    """When each job has ended, once all have."""
    while True:
        ended = [float(when) for n in range(1, projects + 1) for when in redis.lrange(ended_key(key_of(n)), 0, -1)]
        if len(ended) >= jobs:
            return sorted(ended)
        time.sleep(0.2)
