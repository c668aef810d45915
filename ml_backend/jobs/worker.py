"""One worker process: takes jobs, the most urgent kind first, and takes up again what a dead worker left."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from importlib import import_module

from redis import Redis
from rq import SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from ml_backend.jobs.projects import known_keys
from ml_backend.jobs.queue import KINDS, queues, request
from ml_backend.jobs.worker_context import worker_context

log = logging.getLogger(__name__)

# A job that has taken so many workers with it is not given to another.
_DEATHS = 3


def work() -> None:
    """Runs until SIGTERM or SIGINT; the job at hand is finished first. Raises SettingsError.

    Jobs run in this process, not in a fork, so that the backbone is loaded once and CUDA is never forked.
    """
    # Imported before the first job asks for them; torch, which takes longer, waits until one needs it.
    for kind in ("reconcile", "suggest"):
        import_module(KINDS[kind].function.rpartition(".")[0])
    redis = worker_context().redis
    take_up_abandoned(redis)
    for key in known_keys(redis):
        request(redis, "reconcile", key)
    worker = SimpleWorker(
        queues(redis),
        name=f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:6]}",
        connection=redis,
        serializer=JSONSerializer,
        log_job_description=False,
    )
    worker.work(with_scheduler=True, logging_level="CRITICAL")


def take_up_abandoned(redis: Redis) -> int:
    """Queues again, first in line, the jobs whose worker was on this machine and is dead; returns how many."""
    taken = 0
    for queue in queues(redis):
        for job_id in queue.started_job_registry.get_job_ids(cleanup=False):
            (job,) = Job.fetch_many([job_id], connection=redis, serializer=JSONSerializer)
            if job is None or not _worker_died(job.worker_name):
                continue
            with redis.pipeline() as pipeline:
                for execution in job.get_executions():
                    execution.delete(job, pipeline)
                pipeline.execute()
            deaths = job.meta.get("deaths", 0) + 1
            job.meta["deaths"] = deaths
            job.worker_name = None
            if deaths >= _DEATHS:
                job.meta.update(
                    passes=False, reason=f"It ended its worker {deaths} times. Look at the worker's log for the cause."
                )
                job.set_status(JobStatus.FAILED)
                queue.failed_job_registry.add(job, ttl=job.failure_ttl or -1)
                job.save()
            else:
                job.save()
                queue._enqueue_job(job, at_front=True)
                taken += 1
            log.warning("%s: its worker died (%d)", job.description, deaths)
    return taken


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
    return int(parts[1]) == os.getpid()
