"""What an admin, a restart or a reconcile does to jobs that are there: try again, cancel, drop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from redis import Redis
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import as_text

from ml_backend.queueing.liveness import forgive
from ml_backend.queueing.queue import enqueue, existing, queue_of, queue_scheduled, queues
from ml_backend.queueing.shared import is_whole, parts_in

# A job that waits for Label Studio says so by this word.
UNREACHABLE = "LabelStudioUnreachable"
_STORAGE = "StorageError"
_CANCEL = "coldblitz:cancel"
_MENDABLE = "coldblitz:mendable"
_AT_A_TIME = 500
_CANCELLED = "It was cancelled. Retry it if you need it."
_REMEMBERED_SECONDS = 24 * 3600
# What ran out of tries, such as a video whose server is away, is begun anew after so long.
_PATIENCE_SECONDS = 3600


def retry_failed(redis: Redis, *, restarted: bool = False) -> list[str]:
    """Queues every failed job again but the cancelled ones, or only those that a restart with other settings may mend;
    returns the ids."""
    queued = []
    for job in _failed(redis):
        if not job.meta.get("cancelled") and (job.meta.get("setting") or not restarted):
            queued.append(_again(redis, job))
    return [job_id for job_id in queued if job_id is not None]


def retry_job(redis: Redis, job_id: str) -> str | None:
    """Queues one job again, cancelled or not; returns its new id, None when there is no such job."""
    job = _job(redis, job_id)
    return None if job is None else _again(redis, job)


def retry_mended(redis: Redis, project: str, *, disk: bool) -> int:
    """To be called when Label Studio answers: queues at once what waits or has failed because it did not, what failed of
    the disk when that is well again (`disk`), and what ran out of tries an hour ago. Returns how many."""
    again = 0
    for queue in queues(redis):
        for job in _in_parts(redis, queue.scheduled_job_registry.get_job_ids(cleanup=False)):
            if job.meta.get("project") == project and job.meta.get("error") == UNREACHABLE:
                again += queue_scheduled(redis, queue, job)
    mendable = f"{_MENDABLE}:{project}"
    for job in _in_parts(redis, sorted(as_text(job_id) for job_id in redis.smembers(mendable))):
        if job.get_status(refresh=False) != JobStatus.FAILED:
            redis.srem(mendable, job.id)
            continue
        error, since = job.meta.get("error"), time.time() - (job.ended_at.timestamp() if job.ended_at else 0.0)
        tired = job.meta.get("passes") and (error == UNREACHABLE or since > _PATIENCE_SECONDS)
        if tired or (disk and error == _STORAGE):
            redis.srem(mendable, job.id)
            again += _again(redis, job) is not None
    return again


def note_failure(redis: Redis, job: Job) -> None:
    """To be called when a job has failed and is not tried again by itself: remembers one that something may mend."""
    if job.meta.get("passes") or job.meta.get("error") == _STORAGE:
        redis.sadd(f"{_MENDABLE}:{job.meta.get('project')}", job.id)


def cancel(redis: Redis, job_id: str) -> bool | None:
    """Takes a job that waits out of its queue, and has one that runs stop at its next report.

    It is listed as failed then, and comes back by `retry_job` or by news, not by a reconcile. Returns whether there was
    anything to cancel, None when there is no such job.
    """
    job = _job(redis, job_id)
    if job is None:
        return None
    status = job.get_status()
    if status == JobStatus.STARTED:
        redis.set(f"{_CANCEL}:{job.id}", _mark(job), ex=_REMEMBERED_SECONDS)
        return True
    if status not in (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED):
        return False
    if is_whole(job):
        _cancel_parts(redis, job)
    # A worker may have taken it a moment ago.
    redis.set(f"{_CANCEL}:{job.id}", _mark(job), ex=_REMEMBERED_SECONDS)
    give_up(redis, job, _CANCELLED, cancelled=True)
    return True


def _cancel_parts(redis: Redis, whole: Job) -> None:
    """Has those stop that run, and removes those that wait: their row in `/jobs` is that of the whole."""
    parts = parts_in(redis, whole)
    for part in parts:
        # Else the end of one that runs would begin the whole again.
        redis.srem(part.dependents_key, whole.id)
    for part in parts:
        if part.get_status(refresh=False) == JobStatus.STARTED:
            redis.set(f"{_CANCEL}:{part.id}", _mark(part), ex=_REMEMBERED_SECONDS)
        elif part.get_status(refresh=False) in (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED):
            part.delete()


def result(redis: Redis, job_id: str) -> dict[str, str]:
    """`state` of a job, as RQ names it (`gone` when it is not known any more), and `text`: what it did, or why it failed."""
    job = _job(redis, job_id)
    if job is None:
        return {"state": "gone", "text": ""}
    # As it was when the job was read: asked anew it might have ended since, with a text that was not read.
    state = job.get_status(refresh=False)
    failed = state == JobStatus.FAILED
    return {"state": state.value, "text": str(job.meta.get("reason" if failed else "text") or "")}


def is_cancelled(redis: Redis, job: Job) -> bool:
    """Whether an admin wants this very job, not a later one of the same name, to stop."""
    return redis.get(f"{_CANCEL}:{job.id}") in (_mark(job), _mark(job).encode())


def give_up(redis: Redis, job: Job, reason: str, *, cancelled: bool = False) -> None:
    """Lists a job that does not run as failed for good; what waited for it goes on."""
    queue = queue_of(redis, str(job.meta["kind"]))
    with contextlib.suppress(InvalidJobOperation):
        job.cancel()
    queue.canceled_job_registry.remove(job)
    job.worker_name = None
    job.ended_at = datetime.now(UTC)
    job.meta.update(passes=False, setting=False, reason=reason, cancelled=cancelled)
    job.set_status(JobStatus.FAILED)
    queue.failed_job_registry.add(job, ttl=job.failure_ttl or -1)
    job.save()
    queue.enqueue_dependents(job)


def drop_tasks(redis: Redis, project: str, tasks: Collection[int], renewed: Collection[int] = ()) -> None:
    """Removes the jobs about these tasks, but those that run, without a trace: nobody wants to know of them any more.

    Of those that are `renewed`, since they show another video, what waits stays, and goes at once: somebody may have asked for it, and it
    is about whatever the task shows when it begins. What is about the video as it was, failures and parts, goes.
    """
    for job in _not_running(redis, project):
        subject, state = job.meta["subject"], job.get_status(refresh=False)
        if not subject or subject[0] not in tasks:
            continue
        if subject[0] not in renewed or len(subject) > 1 or state not in (JobStatus.QUEUED, JobStatus.SCHEDULED):
            job.delete()
        elif state == JobStatus.SCHEDULED:
            queue_scheduled(redis, queue_of(redis, job.meta["kind"]), job)


def drop_project(redis: Redis, project: str) -> None:
    """Removes all jobs of a project but those that run."""
    redis.delete(f"{_MENDABLE}:{project}")
    for job in _not_running(redis, project):
        job.delete()


def _not_running(redis: Redis, project: str) -> Iterator[Job]:
    for queue in queues(redis):
        registries = (queue.scheduled_job_registry, queue.deferred_job_registry, queue.failed_job_registry)
        for ids in (queue.get_job_ids(), *(registry.get_job_ids(cleanup=False) for registry in registries)):
            for job in _in_parts(redis, ids):
                if job.meta.get("project") == project:
                    yield job


def _in_parts(redis: Redis, job_ids: Sequence[str]) -> Iterator[Job]:
    # A hundred thousand jobs at once would fill the memory.
    for start in range(0, len(job_ids), _AT_A_TIME):
        yield from existing(redis, job_ids[start : start + _AT_A_TIME])


def _again(redis: Redis, job: Job) -> str | None:
    meta = job.meta
    if "poison" in meta:
        forgive(redis, meta["poison"])
    return enqueue(redis, meta["kind"], meta["project"], *meta["subject"], again=True)


def _failed(redis: Redis) -> Iterator[Job]:
    for queue in queues(redis):
        yield from _in_parts(redis, queue.failed_job_registry.get_job_ids(cleanup=False))


def _job(redis: Redis, job_id: str) -> Job | None:
    try:
        return Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    except (NoSuchJobError, ValueError):
        return None


def _mark(job: Job) -> str:
    return str(job.created_at)
