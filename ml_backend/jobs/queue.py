"""RQ: one queue per kind of job, coalescing, retries, and what the admin sees of it. Imports nothing heavy: the web uses it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.job import Dependency, Job, JobStatus
from rq.serializers import JSONSerializer

_WAITING = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED)
_HOUR = 3600


@dataclass(frozen=True)
class Kind:
    """A kind of job. `timeout` in seconds; `function` by name, so that the web process does not import torch."""

    function: str
    timeout: int


# In the order in which a worker takes them.
KINDS: dict[str, Kind] = {
    "reconcile": Kind("ml_backend.jobs.reconcile.reconcile", _HOUR),
    "train": Kind("ml_backend.jobs.train.train", 2 * _HOUR),
    "rollout": Kind("ml_backend.jobs.rollout.rollout", 4 * _HOUR),
    "suggest": Kind("ml_backend.jobs.suggest.suggest", 4 * _HOUR),
    "predict": Kind("ml_backend.jobs.rollout.predict", 12 * _HOUR),
    "embed": Kind("ml_backend.jobs.embed.embed", 12 * _HOUR),
    "evaluate": Kind("ml_backend.jobs.evaluate.evaluate", 2 * _HOUR),
}
_RETRY_AFTER = [2, 10, 30, 120, 600, 1800]
_FAILED_FOR = 30 * 24 * _HOUR
_LISTED = 100


def queues(redis: Redis) -> list[Queue]:
    """All queues, the most urgent first."""
    return [_queue(redis, kind) for kind in KINDS]


def _queue(redis: Redis, kind: str) -> Queue:
    return Queue(f"coldblitz-{kind}", connection=redis, serializer=JSONSerializer)


def request(redis: Redis, kind: str, project: str, *subject: str | int, again: bool = False) -> str | None:
    """Queues a job unless the same one is waiting already; returns its id.

    While one runs, one more may wait, so a request that comes too late for the running one is served by the next.
    A job that failed for good is not tried again unless `again`; None is returned then.
    """
    for slot in "ab":
        job_id = _job_id(kind, project, *subject, slot)
        job = _find(redis, job_id)
        if job is not None:
            status = job.get_status()
            # One that waits for its next try goes at once when there is news.
            if status in _WAITING and not (again and status == JobStatus.SCHEDULED):
                return job_id
            if status == JobStatus.STARTED:
                continue
            if status == JobStatus.FAILED and not again and not job.meta.get("passes", True):
                return None
            job.delete()
        # Another process may have queued it a moment ago.
        with contextlib.suppress(DuplicateJobError):
            _enqueue(redis, kind, job_id, project, subject, unique=True)
        return job_id
    return job_id


def retry_failed(redis: Redis) -> list[str]:
    """Queues every failed job again; returns the ids."""
    queued = []
    for queue in queues(redis):
        for job_id in queue.failed_job_registry.get_job_ids(cleanup=False):
            job = _find(redis, job_id)
            if job is not None:
                meta = job.meta
                queued.append(request(redis, meta["kind"], meta["project"], *meta["subject"], again=True))
    return [job_id for job_id in queued if job_id is not None]


def request_after(redis: Redis, waits_for: Iterable[str], kind: str, project: str, *subject: str | int) -> None:
    """Queues a job that starts when all of `waits_for` have ended, well or not."""
    job_id = _job_id(kind, project, *subject, "after")
    job = _find(redis, job_id)
    if job is not None:
        if job.get_status() in _WAITING:
            return
        job.delete()
    dependency = Dependency(jobs=list(waits_for), allow_failure=True)
    _enqueue(redis, kind, job_id, project, subject, depends_on=dependency)


def _enqueue(redis: Redis, kind: str, job_id: str, project: str, subject: Iterable[str | int], **options: Any) -> None:
    _queue(redis, kind).enqueue_call(
        KINDS[kind].function,
        args=[project, *subject],
        job_id=job_id,
        timeout=KINDS[kind].timeout,
        result_ttl=_HOUR,
        failure_ttl=_FAILED_FOR,
        retry=Retry(max=len(_RETRY_AFTER), interval=_RETRY_AFTER),
        meta={"kind": kind, "project": project, "subject": list(subject)},
        description=" ".join([kind, project, *map(str, subject)]),
        **options,
    )


def _job_id(*parts: str | int) -> str:
    # RQ allows letters, digits, underscores and dashes.
    return re.sub(r"[^A-Za-z0-9_-]", "-", "_".join(map(str, parts)))


def _find(redis: Redis, job_id: str) -> Job | None:
    found: list[Job | None] = Job.fetch_many([job_id], connection=redis, serializer=JSONSerializer)
    return found[0]


def waits_to_try_again(redis: Redis, job_id: str) -> bool:
    """Whether the job has failed before, so that its next try may be half an hour away."""
    job = _find(redis, job_id)
    return job is not None and bool(job.meta.get("reason"))


def listing(redis: Redis) -> dict[str, list[dict[str, Any]]]:
    """What `/jobs` shows: queued, running, finished and failed jobs, at most a hundred of each, the newest first."""
    rows: dict[str, list[dict[str, Any]]] = {"queued": [], "running": [], "finished": [], "failed": []}
    for queue in queues(redis):
        waiting = [
            *queue.get_job_ids(0, _LISTED),
            *queue.scheduled_job_registry.get_job_ids(0, _LISTED, cleanup=False),
            *queue.deferred_job_registry.get_job_ids(0, _LISTED, cleanup=False),
        ]
        for state, ids in (
            ("queued", waiting),
            ("running", queue.started_job_registry.get_job_ids(0, _LISTED, cleanup=False)),
            ("finished", queue.finished_job_registry.get_job_ids(-_LISTED, -1, cleanup=False)),
            ("failed", queue.failed_job_registry.get_job_ids(-_LISTED, -1, cleanup=False)),
        ):
            jobs = Job.fetch_many(ids, connection=redis, serializer=JSONSerializer) if ids else []
            rows[state].extend(_row(job) for job in jobs if job is not None)
    for state in rows:
        rows[state].sort(key=lambda row: row["at"], reverse=True)
        del rows[state][_LISTED:]
    return rows


def counts(redis: Redis) -> dict[str, int]:
    """How many jobs are queued, running, finished and failed."""
    totals = {"queued": 0, "running": 0, "finished": 0, "failed": 0}
    for queue in queues(redis):
        totals["queued"] += len(queue) + len(queue.scheduled_job_registry) + len(queue.deferred_job_registry)
        totals["running"] += len(queue.started_job_registry)
        totals["finished"] += len(queue.finished_job_registry)
        totals["failed"] += len(queue.failed_job_registry)
    return totals


def _row(job: Job) -> dict[str, Any]:
    meta: Mapping[str, Any] = job.meta
    subject = meta.get("subject") or [None]
    at = job.ended_at or job.started_at or job.enqueued_at or job.created_at
    return {
        "id": job.id,
        "kind": meta.get("kind"),
        "project": meta.get("project"),
        "task": next((part for part in subject if isinstance(part, int)), None),
        "version": next((part for part in subject if isinstance(part, str)), None),
        "percent": meta.get("percent", 0),
        "text": meta.get("text", ""),
        "reason": meta.get("reason"),
        "at": at.isoformat() if at else "",
    }
