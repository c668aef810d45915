"""How far a job is, as `/jobs` shows it, and whether it was cancelled meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ml_backend.errors import JobCancelled
from ml_backend.queueing.interventions import is_cancelled

if TYPE_CHECKING:
    from rq.job import Job

_REPORT_EVERY = 0.3


@dataclass(frozen=True)
class Progress:
    """What a job tells of how far it is. Outside of the queue, where there is no `job`, it does nothing.

    `first`, `last`: what 0 and 100 percent stand for, in percent of the whole job. `watch`: is also told the percentage of the job.
    """

    job: Job | None = None
    first: float = 0.0
    last: float = 100.0
    watch: Callable[[float], None] | None = None

    def part(self, first: float, last: float) -> Progress:
        """The progress of a part of the work, from `first` to `last` percent of this one."""
        of = self.last - self.first
        return replace(self, first=self.first + of * first / 100, last=self.first + of * last / 100)

    def step(self, position: int, steps: int) -> Progress:
        """The progress of one of so many equal parts of the work; the first is at 0."""
        return self.part(100 * position / steps, 100 * (position + 1) / steps)

    def report(self, percent: float, text: str) -> None:
        """Sets what `/jobs` shows. Raises JobCancelled when the admin has cancelled the job."""
        job = self.job
        if job is None:
            return
        percent = self.first + (self.last - self.first) * percent / 100
        now = time.time()
        if percent < 100 and text == job.meta.get("text") and now - job.meta.get("reported", 0) < _REPORT_EVERY:
            return
        job.meta.update(percent=round(percent, 1), text=text, reported=now)
        job.save_meta()  # type: ignore[no-untyped-call]
        if percent < 100:
            self.stop_if_cancelled()
            if self.watch is not None:
                self.watch(percent)

    def share(self, text: str) -> Callable[[float], None]:
        """For what knows of no jobs: a function to call with the share that is done, 0..1. It raises as `report` does."""
        return lambda done: self.report(100 * done, text)

    def show_curve(self, points: Sequence[Mapping[str, float]]) -> None:
        """Sets the training curve that `/jobs` shows, one point an epoch."""
        if self.job is not None:
            self.job.meta["curve"] = [dict(point) for point in points]
            self.job.save_meta()  # type: ignore[no-untyped-call]

    def stop_if_cancelled(self) -> None:
        """Raises JobCancelled when the admin has cancelled the job."""
        if self.job is not None and is_cancelled(self.job.connection, self.job):
            raise JobCancelled("It was cancelled.", "Retry it if you need it.")


SILENT = Progress()
