"""Measured times of parts, replayed by a simulated clock through the real queue: RQ, Redis, and whose turn it is."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import UTC, datetime

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.jobs.worker import _Worker
from ml_backend.queueing.queue import queues
from ml_backend.queueing.turns import FairQueue


def makespan(redis: Redis, parts: Sequence[float], join: float, workers: int) -> float:
    """How long it takes so many workers to do all jobs that wait, of which part `i` takes `parts[i]` seconds. To do nothing costs
    nothing, and an event takes no time: what the queue itself takes is not in it."""
    idle = [
        _Worker(queues(redis), name=f"simulated-{number}", connection=redis, serializer=JSONSerializer)
        for number in range(workers)
    ]
    busy: list[tuple[float, int, _Worker, Job, FairQueue]] = []
    now, begun = 0.0, 0
    while True:
        while idle and (taken := _take(redis, idle[-1])) is not None:
            job, queue = taken
            takes = parts[int(job.args[1])] if job.meta["kind"] == "embed_part" else join
            begun += 1
            heapq.heappush(busy, (now + takes, begun, idle.pop(), job, queue))
        if not busy:
            return now
        now, _, worker, job, queue = heapq.heappop(busy)
        job.ended_at = datetime.now(UTC)
        worker.handle_job_success(job, queue, queue.started_job_registry)
        idle.append(worker)


def _take(redis: Redis, worker: _Worker) -> tuple[Job, FairQueue] | None:
    found = FairQueue.dequeue_any(worker._ordered_queues, None, connection=redis, serializer=JSONSerializer)
    if found is None:
        return None
    job, queue = found
    assert isinstance(queue, FairQueue)
    worker.reorder_queues(queue)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    job.started_at = job.started_at or datetime.now(UTC)
    return job, queue
