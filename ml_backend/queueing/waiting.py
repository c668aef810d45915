"""What waits, and for what, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis
from rq.job import JobStatus

from ml_backend.queueing.kinds import KINDS
from ml_backend.queueing.liveness import died, living
from ml_backend.queueing.queue import JobRow, depths, existing, in_parts, queues, row_of, slots

_IN_LINE = (JobStatus.QUEUED, JobStatus.DEFERRED, JobStatus.SCHEDULED)


@dataclass(frozen=True)
class Wait:
    """What a job waits for that could begin now: `workers` live, and do what is `running`, that which began first first."""

    workers: int
    running: tuple[JobRow, ...]


def wait_of(redis: Redis, kind: str, project: str, *subject: str | int) -> Wait | None:
    """Of a job that is in line, or whose worker died, so that another one has to take it up; None where there is none, it has begun, or a
    worker is free to begin it."""
    jobs = existing(redis, slots(kind, project, *subject))
    states = {job.get_status(refresh=False) for job in jobs}
    begun = [job for job in jobs if job.get_status(refresh=False) == JobStatus.STARTED]
    if any(not died(redis, job.worker_name) for job in begun) or (not begun and states.isdisjoint(_IN_LINE)):
        return None
    ids = [job_id for queue in queues(redis) for job_id in queue.started_job_registry.get_job_ids(0, -1, cleanup=False)]
    running = [
        job
        for job in existing(redis, ids)
        if job.get_status(refresh=False) == JobStatus.STARTED and not died(redis, job.worker_name)
    ]
    wait = Wait(len(living(redis)), tuple(sorted(map(row_of, running), key=lambda row: row["at"])))
    return wait if len(wait.running) >= wait.workers else None


def last_try(redis: Redis, kind: str, project: str, *subject: str | int) -> str | None:
    """Why the last try of a job that waits to be tried again has failed; None where none does."""
    jobs = existing(redis, slots(kind, project, *subject))
    reasons = [job.meta.get("reason") for job in jobs if job.get_status(refresh=False) in _IN_LINE]
    return next((str(reason) for reason in reasons if reason), None)


def last_result(redis: Redis, kind: str, project: str, *subject: str | int) -> str | None:
    """What the last such job that ended well has to say; None where none is known."""
    jobs = [
        job
        for job in existing(redis, slots(kind, project, *subject))
        if job.get_status(refresh=False) == JobStatus.FINISHED
    ]
    last = max(jobs, key=lambda job: job.ended_at or job.created_at, default=None)
    return row_of(last)["text"] if last is not None else None


def lines(redis: Redis) -> dict[str, dict[str, int]]:
    """As `depths`, of the kinds that have a row of their own: a job that is shared out counts once, and as running while a part of it
    runs."""
    shared = in_parts(redis)
    found = {kind: dict(states) for kind, states in depths(redis).items() if KINDS[kind].part_of is None}
    for kind, number in shared.items():
        found[kind]["deferred"] = max(found[kind]["deferred"] - number, 0)
        found[kind]["running"] += number
    return found
