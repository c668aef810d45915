"""One worker process: takes jobs, the most urgent kind first."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from importlib import import_module
from types import FrameType
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.jobs.context import worker_context
from ml_backend.jobs.job import note_unstarted
from ml_backend.logs import without_secrets
from ml_backend.processes import give_way
from ml_backend.projects import check_reports, reconcile_state
from ml_backend.projects.registry import known_keys
from ml_backend.queueing.abandoned import hand_back, take_up_abandoned
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.interventions import retry_failed
from ml_backend.queueing.job_limits import limit_memory, watched
from ml_backend.queueing.kinds import KINDS
from ml_backend.queueing.liveness import signs_of_life, worker_name
from ml_backend.queueing.parts import in_turn
from ml_backend.queueing.queue import enqueue, queues
from ml_backend.queueing.turns import FairQueue

log = logging.getLogger(__name__)

_NICER = 10
# Whoever stops a worker gives it ten seconds.
_HAND_BACK_SECONDS = 7.0


class _Worker(SimpleWorker):
    """Finishes its job when it is told to stop, or hands it back when that takes too long; ends when a job hangs in native
    code beyond its time limit. Keeps no secret in Redis."""

    queue_class = FairQueue

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        waiting = threading.Timer(_HAND_BACK_SECONDS, self._hand_back)
        waiting.daemon = True
        waiting.start()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def perform_job(self, job: Job, queue: Queue) -> bool:
        # Of a try before this one.
        job.meta.pop("reason", None)
        with watched(job.timeout or queue.DEFAULT_TIMEOUT):
            return super().perform_job(job, queue)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        note_unstarted(job, exc_info[1])
        super().handle_exception(job, *exc_info)

    def reorder_queues(self, reference_queue: Queue) -> None:
        self._ordered_queues = in_turn(self.queues, reference_queue.name)

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: Any = None, exc_string: str = ""
    ) -> None:
        # RQ keeps the traceback, with all that the errors of libraries repeat of a request and its answer.
        super().handle_job_failure(job, queue, started_job_registry, without_secrets(exc_string))

    def _hand_back(self) -> None:
        # Its own connection: the job's may be in the middle of an answer. Whatever the job was writing appears whole or not
        # at all, as when it is killed.
        redis = Redis.from_url(redis_url(worker_context().settings), socket_timeout=2)
        job_id = self.get_current_job_id()
        if job_id:
            log.info("%s is handed back, since this worker has to stop", job_id)
            hand_back(redis, job_id)
        os._exit(0)


def work() -> None:
    """Runs until SIGTERM or SIGINT; the job at hand is finished first, or handed back. Raises SettingsError.

    Jobs run in this process, not in a fork, so that the backbone is loaded once and CUDA is never forked.
    """
    # Whoever waits for an answer goes first on the cores that they share.
    give_way(_NICER)
    limit_memory()
    # Imported before the first job asks for them; torch, which takes longer, waits until one needs it.
    for kind in ("reconcile", "suggest"):
        import_module(KINDS[kind].function.rpartition(".")[0])
    context = worker_context()
    redis = context.redis
    name = worker_name(os.getpid(), uuid.uuid4().hex[:6])
    # Before the first question to Redis: RQ lets connections made from now on wait for jobs, others give up after seconds.
    worker = _Worker(
        queues(redis),
        name=name,
        connection=redis,
        serializer=JSONSerializer,
        log_job_description=False,
    )
    check_reports.note_start(redis)
    take_up_abandoned(redis)
    # The token, the disk or the weights that they failed of may have been mended.
    retry_failed(redis, restarted=True)
    for key in known_keys(redis):
        reconcile_state.drop(redis, key, *reconcile_state.SEEN)
        enqueue(redis, "reconcile", key, again=True)
    with signs_of_life(redis_url(context.settings), name):
        worker.work(logging_level="CRITICAL")
