"""What surrounds every job: progress, the reason when it fails, and whether trying again can help."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec

from redis.exceptions import RedisError
from rq import get_current_job
from rq.timeouts import JobTimeoutException

from ml_backend.errors import ColdblitzError, Gone, JobCancelled
from ml_backend.jobs.backlog import ask_for_more
from ml_backend.logs import about, without_secrets
from ml_backend.queueing import counters
from ml_backend.queueing.counters import Outcome
from ml_backend.queueing.interventions import is_cancelled, note_failure

log = logging.getLogger(__name__)
_REPORT_EVERY = 0.3
_TOO_LONG = "It exceeded its time limit. Cut the video into parts, or add a faster worker."
_TOO_LARGE = "It needs more memory than a worker can use. Give the machine or container more memory, or encode the video at a smaller size."

P = ParamSpec("P")

# What 0 and 100 percent stand for in the part of the job that is being done.
_part: ContextVar[tuple[float, float]] = ContextVar("part", default=(0.0, 100.0))


def job(function: Callable[P, str]) -> Callable[P, str]:
    """Makes a function a job. It returns one sentence on what it did, which `/jobs` shows.

    An error that passes is retried with growing pauses; any other fails the job at once, with its reason. A task or
    project that is gone from Label Studio is none. After each job the next ones are queued, if some had to wait.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> str:
        with _counted() as ended, _told_about(function.__name__, args):
            started = time.monotonic()
            try:
                _stop_if_cancelled()
                text = function(*args, **kwargs)
            except Gone as gone:
                text = str(gone)
            except ColdblitzError as error:
                ended.outcome = _fail(str(error), error)
                log.warning("%s", error)
                raise
            except JobTimeoutException:
                _fail(_TOO_LONG)
                log.warning("%s", _TOO_LONG)
                raise
            except MemoryError:
                _fail(_TOO_LARGE)
                log.warning("%s", _TOO_LARGE)
                raise
            except SystemExit:
                _fail("It was stopped with its worker and runs again at the next start.", _Stopped("", ""))
                ended.outcome = "stopped"
                raise
            except Exception as error:
                reason = f"Unexpected {type(error).__name__}: {error}. Please report it with the worker's log."
                ended.outcome = _fail(reason, error)
                log.exception("%s failed", function.__name__)
                raise
            ended.outcome = "done"
            _succeed()
            report(100, text)
            log.info("%s (%.2f s)", text, time.monotonic() - started)
            return text

    return run


@dataclass
class _Ended:
    outcome: Outcome = "failed"


@contextlib.contextmanager
def _counted() -> Iterator[_Ended]:
    """Counts a try of the job at hand when it has ended, as what its `outcome` says."""
    current = get_current_job()
    ended = _Ended()
    started = time.monotonic()
    try:
        yield ended
    finally:
        if current is not None:
            # A number less is no reason to fail.
            with contextlib.suppress(RedisError):
                kind = str(current.meta.get("kind"))
                counters.count_job(current.connection, kind, ended.outcome, time.monotonic() - started)
                ask_for_more(current.connection, kind, str(current.meta.get("project")))


def _told_about(kind: str, args: Sequence[object]) -> contextlib.AbstractContextManager[None]:
    """The log's lines tell which job they are of. Its first argument is its project; a number is a task, a name a version."""
    current = get_current_job()
    subject = args[1] if len(args) > 1 else None
    return about(
        kind=kind,
        # Looking for lost projects is about a host, not about one of them.
        project=args[0] if args and kind != "discover" else None,
        task=subject if isinstance(subject, int) else None,
        version=subject if isinstance(subject, str) else None,
        job=current.id if current is not None else None,
    )


@contextlib.contextmanager
def part(first: float, last: float) -> Iterator[None]:
    """What is reported within, 0..100 of its own, is the job's progress from `first` to `last` percent of what surrounds it."""
    low, high = _part.get()
    before = _part.set((low + (high - low) * first / 100, low + (high - low) * last / 100))
    try:
        yield
    finally:
        _part.reset(before)


def report(percent: float, text: str) -> None:
    """Sets what `/jobs` shows of the running job; outside a job it does nothing. Raises JobCancelled when the admin has
    cancelled it."""
    low, high = _part.get()
    percent = low + (high - low) * percent / 100
    current = get_current_job()
    if current is None:
        return
    now = time.time()
    if percent < 100 and text == current.meta.get("text") and now - current.meta.get("reported", 0) < _REPORT_EVERY:
        return
    current.meta.update(percent=round(percent, 1), text=text, reported=now)
    current.save_meta()  # type: ignore[no-untyped-call]
    if percent < 100:
        _stop_if_cancelled()


def show_curve(points: Sequence[Mapping[str, float]]) -> None:
    """Sets the training curve that `/jobs` shows of the running job, one point an epoch; outside a job it does nothing."""
    current = get_current_job()
    if current is not None:
        current.meta["curve"] = [dict(point) for point in points]
        current.save_meta()  # type: ignore[no-untyped-call]


def _stop_if_cancelled() -> None:
    current = get_current_job()
    if current is not None and is_cancelled(current.connection, current):
        raise JobCancelled("It was cancelled.", "Retry it if you need it.")


def _succeed() -> None:
    current: Any = get_current_job()
    if current is not None:
        # What an earlier try failed of.
        current.meta.pop("reason", None)


def _fail(reason: str, error: Exception | None = None) -> Outcome:
    """Notes why the job failed; returns whether it is tried again."""
    current: Any = get_current_job()
    if current is None:
        return "failed"
    ours = error if isinstance(error, ColdblitzError) else None
    passes = ours.passes if ours else error is not None
    if not passes:
        current.retries_left = 0
    current.meta.update(
        reason=without_secrets(reason),
        # A mistake of ours that comes again every time is for a person to look at, not for the next reconcile.
        passes=passes and (ours is not None or bool(current.retries_left)),
        setting=ours is not None and ours.setting,
        error=type(error).__name__,
        cancelled=isinstance(error, JobCancelled),
    )
    current.save()
    if current.retries_left:
        return "retried"
    note_failure(current.connection, current)
    return "failed"


class _Stopped(ColdblitzError):
    passes = True
    setting = True
