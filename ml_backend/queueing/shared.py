"""What is known of a job that was shared out: its parts, which are jobs of their own, and how far they are together."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

AHEAD = (JobStatus.QUEUED, JobStatus.DEFERRED, JobStatus.SCHEDULED, JobStatus.STARTED)


def is_whole(job: Job) -> bool:
    """Whether a job waits, or has waited, for parts of it."""
    return "parts" in job.meta


def parts_in(redis: Redis, whole: Job) -> list[Job]:
    """The jobs of its parts that Redis still has."""
    found = Job.fetch_many(whole._dependency_ids, connection=redis, serializer=JSONSerializer)
    return [job for job in found if job is not None]


@dataclass(frozen=True)
class Shared:
    """How far a job is that was shared out: of `total` parts so many are `done` and `failed`; `percent` counts what is done of those
    that run."""

    done: int
    total: int
    failed: int
    running: bool
    percent: float

    @property
    def text(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.total} parts{failed}"


def progress_of(redis: Redis, whole: Job) -> Shared:
    """How far the parts of a job are that waits for them."""
    total = int(whole.meta["parts"])
    jobs = parts_in(redis, whole)
    states = [job.get_status(refresh=False) for job in jobs]
    failed, left = states.count(JobStatus.FAILED), sum(state in AHEAD for state in states)
    begun = [job for job, state in zip(jobs, states, strict=True) if state == JobStatus.STARTED]
    # Those that Redis has forgotten have ended well a while ago.
    done = total - left - failed
    percent = (100 * done + sum(job.meta.get("percent", 0) for job in begun)) / total
    return Shared(done, total, failed, bool(begun), round(percent, 1))
