"""Takes up again what workers that died left: jobs they had begun, and those they had just taken."""

from __future__ import annotations

import contextlib
import logging
import time

from redis import Redis
from redis.exceptions import LockError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from ml_backend.queueing.interventions import give_up
from ml_backend.queueing.liveness import CRASHES, KILLS, blame, crashed, died
from ml_backend.queueing.queue import queues
from ml_backend.queueing.turns import FairQueue

log = logging.getLogger(__name__)

_GIVEN_UP = "It crashed its worker {} times. Check the worker's log for the cause."
_IN_HAND_SECONDS = 5.0
_AT_A_TIME = 1000


def take_up_abandoned(redis: Redis) -> int:
    """Queues those jobs again, first in line; returns how many."""
    # Two that look at once would otherwise both take the same job.
    with redis.lock("coldblitz:take-up", timeout=30):
        return _take_up_begun(redis) + _take_up_lost(redis)


def take_up_begun(redis: Redis) -> int:
    """Those alone that a worker had begun, which is known at once; nothing while another process looks."""
    lock = redis.lock("coldblitz:take-up", timeout=30)
    if not lock.acquire(blocking=False):
        return 0
    try:
        return _take_up_begun(redis)
    finally:
        with contextlib.suppress(LockError):
            lock.release()


def hand_back(redis: Redis, job_id: str) -> None:
    """Queues a job again that its worker has no time to finish, first in line; it is not counted as a death."""
    for job in _jobs(redis, [job_id]):
        _end_executions(redis, job)
        _queue_again(FairQueue(job.origin, connection=redis, serializer=JSONSerializer), job)


def _end_executions(redis: Redis, job: Job) -> None:
    with redis.pipeline() as pipeline:
        for execution in job.get_executions():
            execution.delete(job, pipeline)
        pipeline.execute()


def _take_up_begun(redis: Redis) -> int:
    taken = 0
    for queue in queues(redis):
        for job in _jobs(redis, queue.started_job_registry.get_job_ids(cleanup=False)):
            worker = job.worker_name or _beginner(job)
            if not died(redis, worker):
                continue
            crash = crashed(redis, worker)
            _end_executions(redis, job)
            video = job.meta.pop("video", None)
            if video is not None:
                # It is the video that is given up, by whichever job meets it next.
                blame(redis, video, crashed=crash)
            ends = {"crashes": int(crash), "kills": int(not crash)} if video is None else {}
            counted = {name: job.meta.get(name, 0) + ends.get(name, 0) for name in ("crashes", "kills")}
            job.meta.update(counted)
            log.warning("%s: its worker %s", job.description, "crashed" if crash else "died")
            if counted["crashes"] < CRASHES and counted["kills"] < KILLS:
                _queue_again(queue, job)
                taken += 1
            else:
                give_up(redis, job, _GIVEN_UP.format(sum(counted.values())))
    return taken


def _beginner(job: Job) -> str | None:
    """The worker that began a job and died, or found Redis full, before it could write its name on it."""
    with contextlib.suppress(ValueError):  # an execution that ended while it was read
        return next((execution.worker_name for execution in job.get_executions()), None)
    return None


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
        _queue_again(FairQueue(job.origin, connection=redis, serializer=JSONSerializer), job)
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


def _queue_again(queue: FairQueue, job: Job) -> None:
    job.worker_name = None
    job.save()
    queue._enqueue_job(job, at_front=True)


def _jobs(redis: Redis, job_ids: list[str]) -> list[Job]:
    return [job for job in Job.fetch_many(job_ids, connection=redis, serializer=JSONSerializer) if job is not None]
