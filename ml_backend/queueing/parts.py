"""A job that is shared out: its parts are jobs of their own, it goes on when all of them have ended, and other jobs take turns with
them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus

from ml_backend.queueing.kinds import KINDS
from ml_backend.queueing.liveness import living
from ml_backend.queueing.queue import alone, enqueue_after, existing, put_in_line, slots
from ml_backend.queueing.shared import AHEAD, is_whole

Subject = tuple[str | int, ...]
AnyQueue = TypeVar("AnyQueue", bound=Queue)

# Of one job at least so many parts are in line or being done, so that a worker that is started later finds some.
_LANES = 4


def queue_parts(
    redis: Redis, kind: str, project: str, subjects: Sequence[Subject], whole: tuple[str, Subject], total: int
) -> None:
    """Queues a job of this `kind` for each of the subjects, unless it waits or runs already, and one of the kind and subject that
    `whole` names for when all of them have ended, well or not. `total`: how many parts there are, those included that are done.

    Few of the parts are in line at a time, the others each behind one of these: the parts of another job take turns with them.
    """
    lanes = max(_LANES, len(living(redis)) + 1)
    ids: list[str] = []
    for position, subject in enumerate(subjects):
        places = slots(kind, project, *subject)
        with alone(redis, places[0]):
            jobs = existing(redis, places)
            there = next((job for job in jobs if job.get_status(refresh=False) in AHEAD), None)
            if there is None:
                for job in jobs:
                    job.delete()
                if position < lanes:
                    put_in_line(redis, kind, places[0], project, subject)
                else:
                    enqueue_after(redis, [ids[position - lanes]], kind, places[0], project, subject)
            ids.append(there.id if there is not None else places[0])
    kind, subject = whole
    places = slots(kind, project, *subject)
    with alone(redis, places[0]):
        there_already = {job.id: job for job in existing(redis, places)}
        if any(is_whole(job) and job.get_status(refresh=False) == JobStatus.DEFERRED for job in there_already.values()):
            return
        taken = {place for place, job in there_already.items() if job.get_status(refresh=False) in AHEAD}
        # One place is always left: as many run at most as there are workers that have one each, and one waits.
        place = next(place for place in places if place not in taken)
        if place in there_already:
            there_already[place].delete()
        enqueue_after(redis, ids, kind, place, project, subject, parts=total)


def has_waited_for(whole: Job, kind: str, project: str, subject: Subject) -> bool:
    """Whether a job that runs was queued for when the part of this kind and subject had ended. Asks nothing of the part's own job,
    which is forgotten soon after it has ended well."""
    return is_whole(whole) and not set(whole._dependency_ids).isdisjoint(slots(kind, project, *subject))


def in_turn(queues: Sequence[AnyQueue], last: str) -> list[AnyQueue]:
    """The queues in the order in which a worker looks for its next job after one of the queue `last`: after a job about another
    video a waiting part of a long one has its turn, and after a part the other videos have theirs. So neither waits for all of the
    other."""
    kinds = list(KINDS)
    ordered = list(queues)
    for kind, each in KINDS.items():
        if each.part_of is None:
            continue
        first = kinds.index(each.part_of)
        names = [queue.name for queue in ordered]
        others = [f"coldblitz-{other}" for other in kinds[first : kinds.index(kind)]]
        if last in others and others[0] in names and f"coldblitz-{kind}" in names:
            part = ordered.pop(names.index(f"coldblitz-{kind}"))
            ordered.insert(names.index(others[0]), part)
    return ordered
