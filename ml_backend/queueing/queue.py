"""RQ: one queue per kind of job, coalescing, retries, and what the admin sees of it. Imports nothing heavy: the web uses it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import LockError
from rq import Retry
from rq.exceptions import DuplicateJobError
from rq.job import Dependency, Job, JobStatus
from rq.serializers import JSONSerializer

from ml_backend.queueing.counters import text
from ml_backend.queueing.kinds import HOUR, KINDS, OF_ALL_PROJECTS
from ml_backend.queueing.shared import is_whole, progress_of
from ml_backend.queueing.turns import FairQueue, in_line_of

_IN_LINE = (JobStatus.QUEUED, JobStatus.DEFERRED)
# One job of a kind and subject may wait while others run, of which each worker has one at most.
_SLOTS = "abcdefgh"
_RETRY_AFTER = [2, 10, 30, 120, 600, 1800]
_FAILED_FOR = 30 * 24 * HOUR
# How long one that ended well is known; of one task less, since a hundred thousand may end within an hour, and each takes some kB.
ENDED_FOR, TASK_ENDED_FOR = HOUR, HOUR // 6
_LISTED = 100


def queues(redis: Redis) -> list[FairQueue]:
    """All queues, the most urgent first."""
    return [queue_of(redis, kind) for kind in KINDS]


def waiting(redis: Redis, kind: str) -> int:
    """How many jobs of a kind are in line."""
    return len(queue_of(redis, kind))


def scheduled(redis: Redis, kind: str) -> int:
    """How many jobs of a kind wait for their next try."""
    return len(queue_of(redis, kind).scheduled_job_registry)


def waiting_of(redis: Redis, kind: str, project: str) -> int:
    """How many of them are one project's."""
    return in_line_of(redis, queue_of(redis, kind), project)


def queue_of(redis: Redis, kind: str) -> FairQueue:
    return FairQueue(f"coldblitz-{kind}", connection=redis, serializer=JSONSerializer)


def enqueue(redis: Redis, kind: str, project: str, *subject: str | int, again: bool = False) -> str | None:
    """Queues a job unless the same one is waiting already; returns its id.

    While one runs, one more may wait, so a request that comes too late for the running one is served by the next.
    A job that failed for good is not tried again unless `again`; None is returned then.
    """
    places = slots(kind, project, *subject)
    in_line = _in_line(redis, places, again)
    if in_line is not None:
        return in_line
    with alone(redis, places[0]):
        # Another thread or process may have queued it a moment ago.
        in_line = _in_line(redis, places, again)
        if in_line is not None:
            return in_line
        jobs = existing(redis, places)
        if not again and any(_status(job) == JobStatus.FAILED and not job.meta.get("passes", True) for job in jobs):
            return None
        job_id = _make_room(jobs, places)
        put_in_line(redis, kind, job_id, project, subject)
        return job_id


@contextlib.contextmanager
def alone(redis: Redis, place: str) -> Iterator[None]:
    """Nobody else deletes or queues a job in this or the other places of its kind and subject meanwhile: RQ claims an id
    first and puts it in line later, and between the two a job deleted by another comes to stand in line twice."""
    with one_at_a_time(redis, f"coldblitz:places:{place[:-1]}", 2):
        yield


@contextlib.contextmanager
def one_at_a_time(redis: Redis, name: str, seconds: float) -> Iterator[None]:
    """Waits its turn for at most so many `seconds`: who holds it for longer has died."""
    lock = redis.lock(name, timeout=seconds, blocking_timeout=seconds, sleep=0.005)
    held = lock.acquire()
    try:
        yield
    finally:
        if held:
            with contextlib.suppress(LockError):
                lock.release()


def _in_line(redis: Redis, places: list[str], again: bool) -> str | None:
    """The job that waits. Asks for no more than the states: of many events all but the first find a job that waits."""
    # One that waits for its next try goes at once when there is news.
    wanted = _IN_LINE if again else (*_IN_LINE, JobStatus.SCHEDULED)
    with redis.pipeline(transaction=False) as pipeline:
        _ask_states(pipeline, places)
        return _first_in(places, pipeline.execute(), wanted)


def _ask_states(pipeline: Pipeline, places: Iterable[str]) -> None:
    for place in places:
        pipeline.hget(Job.key_for(place), "status")


def _first_in(places: Sequence[str], states: Sequence[object], wanted: Collection[str]) -> str | None:
    return next((place for place, state in zip(places, states, strict=True) if state and text(state) in wanted), None)


def ask_in_line(pipeline: Pipeline, kind: str, project: str) -> int:
    """Asks among other things which job of a kind and project waits; returns how many answers that has, for `read_in_line`."""
    places = slots(kind, project)
    _ask_states(pipeline, places)
    return len(places)


def read_in_line(answers: Sequence[object], kind: str, project: str) -> str | None:
    """The job that waits, as `enqueue` with `again` would find it; None where it has to be queued."""
    return _first_in(slots(kind, project), answers, _IN_LINE)


def has_failed(redis: Redis, kind: str, project: str, *subject: str | int) -> bool:
    """Whether the last such job failed, for whatever reason."""
    return any(_status(job) == JobStatus.FAILED for job in existing(redis, slots(kind, project, *subject)))


def is_under_way(redis: Redis, kind: str, project: str, *subject: str | int) -> bool:
    """Whether such a job waits, in line or for its next try, or runs."""
    wanted = (*_IN_LINE, JobStatus.SCHEDULED, JobStatus.STARTED)
    return any(_status(job) in wanted for job in existing(redis, slots(kind, project, *subject)))


def last_failure(redis: Redis, kind: str, project: str, *subject: str | int) -> Job | None:
    """The failed job of a kind and subject, None when there is none."""
    failed = [job for job in existing(redis, slots(kind, project, *subject)) if _status(job) == JobStatus.FAILED]
    return max(failed, key=lambda job: job.ended_at or job.created_at, default=None)


def reason_of(job: Job) -> str:
    """Why a failed job has failed, as people are told."""
    return str(job.meta.get("reason") or "Its worker stopped.")


def queue_due(redis: Redis) -> int:
    """Queues the failed jobs whose time to be tried again has come; returns how many. Any number of processes may call it.

    RQ's own scheduler is a fork of the worker. It outlives a worker that is killed, with the worker's connection, and
    Redis gives the next job to nobody.
    """
    lock = redis.lock("coldblitz:due", timeout=10)
    if not lock.acquire(blocking=False):
        return 0
    queued = 0
    try:
        for queue in queues(redis):
            registry = queue.scheduled_job_registry
            # What lies further ahead than any pause was planned before the clock was set back.
            astray = redis.zrangebyscore(registry.key, time.time() + max(_RETRY_AFTER) + 1, "+inf")
            for job in existing(redis, [*registry.get_jobs_to_schedule(), *map(text, astray)]):
                queued += queue_scheduled(redis, queue, job)
    finally:
        with contextlib.suppress(LockError):
            lock.release()
    return queued


def queue_scheduled(redis: Redis, queue: FairQueue, job: Job) -> bool:
    """Queues a job that waits for its next try; False when it does not any more, since another process has queued it."""
    registry = queue.scheduled_job_registry
    with alone(redis, job.id):
        if redis.zscore(registry.key, job.id) is None:
            return False
        with redis.pipeline() as pipeline:
            registry.remove(job, pipeline=pipeline)
            queue._enqueue_job(job, pipeline=pipeline)
            pipeline.execute()
    return True


def request_after(redis: Redis, waits_for: Iterable[str], kind: str, project: str, *subject: str | int) -> None:
    """Queues a job that starts when all of `waits_for` have ended, well or not; it takes the place of one that waits."""
    places = slots(kind, project, *subject, "after")
    with alone(redis, places[0]):
        job_id = _make_room(existing(redis, places), places)
        enqueue_after(redis, waits_for, kind, job_id, project, subject)


def enqueue_after(
    redis: Redis,
    waits_for: Iterable[str],
    kind: str,
    job_id: str,
    project: str,
    subject: Iterable[str | int],
    **meta: int,
) -> None:
    """Queues a job of this id, which is free, for when all of `waits_for` have ended, well or not. `meta`: what else is known of it.
    To be called within `alone`."""
    dependency = Dependency(jobs=list(waits_for), allow_failure=True)
    job = _enqueue(redis, kind, job_id, project, subject, meta, depends_on=dependency)
    # RQ would wait for ever for one that had failed before it was told to wait.
    if job.get_status() == JobStatus.DEFERRED and job.dependencies_are_met():
        queue = queue_of(redis, kind)
        queue.deferred_job_registry.remove(job)
        queue._enqueue_job(job)


def _make_room(jobs: Iterable[Job], places: list[str]) -> str:
    """The first of `places` in which none of `jobs` runs; those that wait or have failed are deleted: they are no news now."""
    running = {job.id for job in jobs if _status(job) == JobStatus.STARTED}
    free = next((place for place in places if place not in running), places[-1])
    for job in jobs:
        if job.id == free or (job.id not in running and _status(job) != JobStatus.FINISHED):
            job.delete()
    return free


def put_in_line(redis: Redis, kind: str, job_id: str, project: str, subject: Iterable[str | int]) -> None:
    """Queues a job of this id, unless there is one. To be called within `alone`."""
    with contextlib.suppress(DuplicateJobError):
        _enqueue(redis, kind, job_id, project, subject, unique=True)


def _enqueue(
    redis: Redis,
    kind: str,
    job_id: str,
    project: str,
    subject: Iterable[str | int],
    more: Mapping[str, int] | None = None,
    **options: Any,
) -> Job:
    job: Job = queue_of(redis, kind).enqueue_call(
        KINDS[kind].function,
        args=[project, *subject],
        job_id=job_id,
        timeout=KINDS[kind].timeout,
        result_ttl=TASK_ENDED_FOR if any(isinstance(part, int) for part in subject) else ENDED_FOR,
        failure_ttl=_FAILED_FOR,
        retry=Retry(max=len(_RETRY_AFTER), interval=_RETRY_AFTER) if KINDS[kind].retried else None,
        meta={"kind": kind, "project": project, "subject": list(subject), **(more or {})},
        description=" ".join([kind, project, *map(str, subject)]),
        **options,
    )
    return job


def slots(*parts: str | int) -> list[str]:
    """The ids that jobs of one kind and subject may have."""
    return [_job_id(*parts, slot) for slot in _SLOTS]


def _job_id(*parts: str | int) -> str:
    # RQ allows letters, digits, underscores and dashes.
    return re.sub(r"[^A-Za-z0-9_-]", "-", "_".join(map(str, parts)))


def existing(redis: Redis, job_ids: Iterable[str]) -> list[Job]:
    """Those of the jobs that Redis has."""
    return [
        job for job in Job.fetch_many(list(job_ids), connection=redis, serializer=JSONSerializer) if job is not None
    ]


def _status(job: Job) -> JobStatus | None:
    """As it was when the job was fetched."""
    return job.get_status(refresh=False)


class JobRow(TypedDict):
    """One job as `/jobs` shows it. `project`, `task`, `version`: what it is about, as far as it is about one. `text`: what it does
    now, `percent` of it done. `reason`: why it has failed. `curve`: one row an epoch of a training. `at`: when its state last
    changed, ISO 8601; empty where nobody knows."""

    id: str
    kind: str | None
    project: str | None
    task: int | None
    version: str | None
    percent: float
    text: str
    reason: str | None
    curve: list[dict[str, float]]
    cancelled: bool
    at: str


def listing(redis: Redis) -> dict[str, list[JobRow]]:
    """What `/jobs` shows: queued, running, finished and failed jobs, at most a hundred of each, the newest first. One that is shared
    out into parts is one row, which runs as long as one of its parts does."""
    rows: dict[str, list[JobRow]] = {"queued": [], "running": [], "finished": [], "failed": []}
    for queue in _listed(redis):
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
            for job in jobs:
                if job is not None and state == "queued" and is_whole(job) and _status(job) == JobStatus.DEFERRED:
                    shared, row = progress_of(redis, job), row_of(job)
                    row["percent"], row["text"] = shared.percent, shared.text
                    rows["running" if shared.running else state].append(row)
                elif job is not None:
                    rows[state].append(row_of(job))
    for state in rows:
        rows[state].sort(key=lambda row: row["at"], reverse=True)
        del rows[state][_LISTED:]
    return rows


def _listed(redis: Redis) -> list[FairQueue]:
    """The queues of jobs that have a row of their own."""
    return [queue_of(redis, kind) for kind, each in KINDS.items() if each.part_of is None]


def counts(redis: Redis) -> dict[str, int]:
    """How many jobs are queued, running, finished and failed. One that is shared out counts once, as running while a part runs."""
    totals = {"queued": 0, "running": 0, "finished": 0, "failed": 0}
    for queue in _listed(redis):
        totals["queued"] += len(queue) + len(queue.scheduled_job_registry) + len(queue.deferred_job_registry)
        totals["running"] += len(queue.started_job_registry)
        totals["finished"] += len(queue.finished_job_registry)
        totals["failed"] += len(queue.failed_job_registry)
    for shared in in_parts(redis).values():
        totals["running"] += shared
        totals["queued"] -= shared
    return totals


def in_parts(redis: Redis) -> dict[str, int]:
    """By kind, how many of its jobs are shared out and have a part that runs."""
    found = {}
    for kind, each in KINDS.items():
        if each.part_of is not None:
            begun = existing(redis, queue_of(redis, kind).started_job_registry.get_job_ids(cleanup=False))
            waiting = len(queue_of(redis, each.part_of).deferred_job_registry)
            found[each.part_of] = min(waiting, len({(job.meta["project"], job.meta["subject"][0]) for job in begun}))
    return found


def depths(redis: Redis) -> dict[str, dict[str, int]]:
    """How many jobs of each kind are queued, scheduled (wait for their next try), deferred (wait for others), running and
    failed. Asks Redis once."""
    with redis.pipeline(transaction=False) as pipeline:
        for queue in queues(redis):
            pipeline.llen(queue.key)
            for registry in (
                queue.scheduled_job_registry,
                queue.deferred_job_registry,
                queue.started_job_registry,
                queue.failed_job_registry,
            ):
                pipeline.zcard(registry.key)
        numbers = iter(pipeline.execute())
    states = ("queued", "scheduled", "deferred", "running", "failed")
    return {kind: {state: next(numbers) for state in states} for kind in KINDS}


def row_of(job: Job) -> JobRow:
    """A job as it was when it was fetched."""
    meta: Mapping[str, Any] = job.meta
    subject = meta.get("subject") or [None]
    at = job.ended_at or job.started_at or job.enqueued_at or job.created_at
    return JobRow(
        id=job.id,
        kind=meta.get("kind"),
        project=meta.get("project") if meta.get("kind") not in OF_ALL_PROJECTS else None,
        task=next((part for part in subject if isinstance(part, int)), None),
        version=next((part for part in subject if isinstance(part, str)), None),
        percent=meta.get("percent", 0),
        text=meta.get("text", ""),
        reason=meta.get("reason"),
        curve=meta.get("curve", []),
        cancelled=bool(meta.get("cancelled")),
        at=at.isoformat() if at else "",
    )
