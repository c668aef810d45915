"""Takes up again what workers that died on this machine left: jobs they had begun, and those they had just taken."""

from __future__ import annotations

import logging
import os
import socket
import time

from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from ml_backend.jobs.queue import queues

log = logging.getLogger(__name__)

# A job that has taken so many workers with it is not given to another.
_DEATHS = 3
_IN_HAND_SECONDS = 5.0
_AT_A_TIME = 1000


def take_up_abandoned(redis: Redis) -> int:
    """Queues those jobs again, first in line; returns how many."""
    # Two workers that start together would otherwise both take the same job.
    with redis.lock("coldblitz:take-up", timeout=30):
        return _take_up_begun(redis) + _take_up_lost(redis)


def worker_name(pid: int, word: str) -> str:
    """Tells on which machine and in which process a worker runs."""
    return f"{socket.gethostname()}.{pid}.{word}"


def _take_up_begun(redis: Redis) -> int:
    taken = 0
    for queue in queues(redis):
        for job in _jobs(redis, queue.started_job_registry.get_job_ids(cleanup=False)):
            if not _worker_died(job.worker_name):
                continue
            with redis.pipeline() as pipeline:
                for execution in job.get_executions():
                    execution.delete(job, pipeline)
                pipeline.execute()
            deaths = job.meta["deaths"] = job.meta.get("deaths", 0) + 1
            log.warning("%s: its worker died (%d)", job.description, deaths)
            if deaths < _DEATHS:
                _queue_again(queue, job)
                taken += 1
            else:
                _give_up(queue, job, deaths)
    return taken


def _take_up_lost(redis: Redis) -> int:
    """Those whose worker died after it had taken them from the queue and before it began."""
    lost = _lost(redis)
    if not lost:
        return 0
    # A worker that is alive has begun what it took by now.
    time.sleep(_IN_HAND_SECONDS)
    still = _jobs(redis, sorted(lost & _lost(redis)))
    for job in still:
        log.warning("%s: its worker died before it began", job.description)
        _queue_again(Queue(job.origin, connection=redis, serializer=JSONSerializer), job)
    return len(still)


def _lost(redis: Redis) -> set[str]:
    """Ids of the jobs that wait or run, by what they say, and that no queue and no registry knows."""
    prefix = str(Job.redis_job_namespace_prefix)
    keys = [key.decode() for key in redis.scan_iter(match=f"{prefix}*", count=_AT_A_TIME, _type="HASH")]
    ids = set()
    for start in range(0, len(keys), _AT_A_TIME):
        part = keys[start : start + _AT_A_TIME]
        with redis.pipeline(transaction=False) as pipeline:
            for key in part:
                pipeline.hget(key, "status")
            for key, status in zip(part, pipeline.execute(), strict=True):
                if status in (JobStatus.QUEUED.value.encode(), JobStatus.STARTED.value.encode()):
                    ids.add(key.removeprefix(prefix))
    for queue in queues(redis):
        ids -= {*queue.get_job_ids(), *queue.started_job_registry.get_job_ids(cleanup=False)}
    return ids


def _queue_again(queue: Queue, job: Job) -> None:
    job.worker_name = None
    job.save()
    queue._enqueue_job(job, at_front=True)


def _give_up(queue: Queue, job: Job, deaths: int) -> None:
    job.worker_name = None
    job.meta.update(passes=False, reason=f"It ended its worker {deaths} times. Look at the worker's log for the cause.")
    job.set_status(JobStatus.FAILED)
    queue.failed_job_registry.add(job, ttl=job.failure_ttl or -1)
    job.save()
    queue.enqueue_dependents(job)


def _jobs(redis: Redis, job_ids: list[str]) -> list[Job]:
    return [job for job in Job.fetch_many(job_ids, connection=redis, serializer=JSONSerializer) if job is not None]


def _worker_died(name: str | None) -> bool:
    parts = (name or "").rsplit(".", 2)
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    try:
        os.kill(int(parts[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # Nobody but a worker that is gone can have had the number of this process.
    return int(parts[1]) == os.getpid()
