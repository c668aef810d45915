"""What web processes and workers on any number of machines have done, counted in Redis, so that it adds up there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from redis import Redis

from ml_backend.labelstudio.payloads import ANNOTATION_ACTIONS, TASK_ACTIONS
from ml_backend.queueing.kinds import KINDS


def text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


Outcome = Literal["done", "retried", "failed", "stopped"]

_COUNTS = "coldblitz:tally"
# Upper bounds in seconds; a job that takes longer is counted beyond them all.
BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_ACTIONS = ANNOTATION_ACTIONS | TASK_ACTIONS | {"START_TRAINING", "PROJECT_UPDATED"}


@dataclass(frozen=True)
class Tally:
    """`jobs`: (kind, outcome) to number. `seconds`: kind to the number of jobs in each of BUCKETS and beyond, not
    cumulated, and their sum in seconds. `events`: action to number. `frames_decoded` and `frames_embedded` in
    `embedding_seconds`. `reconciled`: kinds of work that reconciles found to be missing.
    """

    jobs: Mapping[tuple[str, str], int]
    seconds: Mapping[str, tuple[tuple[int, ...], float]]
    events: Mapping[str, int]
    frames_decoded: int
    frames_embedded: int
    embedding_seconds: float
    reconciled: int


def count_event(redis: Redis, action: str) -> None:
    """Counts an event of Label Studio; actions that it does not have are all counted as `other`."""
    redis.hincrby(_COUNTS, f"event|{action if action in _ACTIONS else 'other'}", 1)


def count_job(redis: Redis, kind: str, outcome: Outcome, seconds: float) -> None:
    bucket = next((n for n, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.hincrby(_COUNTS, f"job|{kind}|{outcome}", 1)
        pipeline.hincrby(_COUNTS, f"bucket|{kind}|{bucket}", 1)
        pipeline.hincrbyfloat(_COUNTS, f"seconds|{kind}", seconds)
        pipeline.execute()


def count_frames(redis: Redis, decoded: int, embedded: int, seconds: float) -> None:
    """Counts what it took to embed one video."""
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.hincrby(_COUNTS, "frames|decoded", decoded)
        pipeline.hincrby(_COUNTS, "frames|embedded", embedded)
        pipeline.hincrbyfloat(_COUNTS, "frames|seconds", seconds)
        pipeline.execute()


def count_reconciled(redis: Redis, missing: int) -> None:
    """Counts the kinds of work that a reconcile found to be missing and queued."""
    redis.hincrby(_COUNTS, "reconciled", missing)


def read_tally(redis: Redis) -> Tally:
    """Everything that has been counted since Redis was new."""
    counts = {text(name): float(value) for name, value in redis.hgetall(_COUNTS).items()}

    def under(first: str) -> dict[str, float]:
        return {name.partition("|")[2]: value for name, value in counts.items() if name.startswith(f"{first}|")}

    jobs, sums = under("job"), under("seconds")
    buckets = {
        kind: tuple(int(counts.get(f"bucket|{kind}|{n}", 0)) for n in range(len(BUCKETS) + 1))
        for kind in KINDS
        if kind in sums
    }
    frames = under("frames")
    return Tally(
        jobs={(kind, outcome): int(n) for (kind, _, outcome), n in ((k.partition("|"), n) for k, n in jobs.items())},
        seconds={kind: (numbers, sums[kind]) for kind, numbers in buckets.items()},
        events={action: int(number) for action, number in under("event").items()},
        frames_decoded=int(frames.get("decoded", 0)),
        frames_embedded=int(frames.get("embedded", 0)),
        embedding_seconds=frames.get("seconds", 0.0),
        reconciled=int(counts.get("reconciled", 0)),
    )
