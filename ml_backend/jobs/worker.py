"""One worker process: takes jobs, the most urgent kind first."""

from __future__ import annotations

import os
import uuid
from importlib import import_module

from rq import SimpleWorker
from rq.serializers import JSONSerializer

from ml_backend.jobs import marks
from ml_backend.jobs.abandoned import take_up_abandoned
from ml_backend.jobs.alive import signs_of_life
from ml_backend.jobs.deaths import worker_name
from ml_backend.jobs.embedded_redis import redis_url
from ml_backend.jobs.interventions import retry_failed
from ml_backend.jobs.memory import limit_memory
from ml_backend.jobs.projects import known_keys
from ml_backend.jobs.queue import KINDS, queues, request
from ml_backend.jobs.worker_context import worker_context

_NICER = 10


def work() -> None:
    """Runs until SIGTERM or SIGINT; the job at hand is finished first. Raises SettingsError.

    Jobs run in this process, not in a fork, so that the backbone is loaded once and CUDA is never forked.
    """
    # Whoever waits for an answer goes first on the cores that they share.
    os.nice(_NICER)
    limit_memory()
    # Imported before the first job asks for them; torch, which takes longer, waits until one needs it.
    for kind in ("reconcile", "suggest"):
        import_module(KINDS[kind].function.rpartition(".")[0])
    context = worker_context()
    redis = context.redis
    name = worker_name(os.getpid(), uuid.uuid4().hex[:6])
    # Before the first question to Redis: RQ lets connections made from now on wait for jobs, others give up after seconds.
    worker = SimpleWorker(
        queues(redis),
        name=name,
        connection=redis,
        serializer=JSONSerializer,
        log_job_description=False,
    )
    take_up_abandoned(redis)
    # The token, the disk or the weights that they failed of may have been mended.
    retry_failed(redis, restarted=True)
    for key in known_keys(redis):
        marks.drop(redis, key, *marks.SEEN)
        request(redis, "reconcile", key, again=True)
    with signs_of_life(redis_url(context.settings), name):
        worker.work(logging_level="CRITICAL")
