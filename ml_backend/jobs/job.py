"""What surrounds every job: its context, the reason when it fails, and whether trying again can help."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Concatenate, Generic, ParamSpec

from redis.exceptions import RedisError
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from ml_backend.errors import ColdblitzError, Gone, JobCancelled
from ml_backend.jobs.backlog import ask_for_more
from ml_backend.jobs.context import JobContext, worker_context
from ml_backend.jobs.progress import Progress
from ml_backend.logs import about, without_secrets
from ml_backend.queueing import counters
from ml_backend.queueing.counters import Outcome
from ml_backend.queueing.interventions import note_failure
from ml_backend.queueing.kinds import OF_ALL_PROJECTS

log = logging.getLogger(__name__)
_TOO_LONG = "It exceeded its time limit. Cut the video into parts, or add a faster worker."
_TOO_LARGE = "It needs more memory than a worker can use. Give the machine or container more memory, or encode the video at a smaller size."

P = ParamSpec("P")


class QueueFunction(Generic[P]):
    """What is made of a function by `@job`. RQ finds it by the function's name, and calls it without a context."""

    def __init__(self, function: Callable[Concatenate[JobContext, P], str]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Does the job that RQ has taken from the queue, with what this worker process holds."""
        return self.within(worker_context().reporting(Progress(get_current_job())), *args, **kwargs)

    def within(self, context: JobContext, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Does the job within a context; without a job of the queue in it, nothing is reported or counted."""
        current, kind = context.progress.job, self._function.__name__
        with _counted(current) as ended, _told_about(current, kind, args):
            started = time.monotonic()
            try:
                context.progress.stop_if_cancelled()
                text = self._function(context, *args, **kwargs)
            except Gone as gone:
                text = str(gone)
            except ColdblitzError as error:
                ended.outcome = _fail(current, str(error), error)
                log.warning("%s", error)
                raise
            except JobTimeoutException:
                _fail(current, _TOO_LONG)
                log.warning("%s", _TOO_LONG)
                raise
            except MemoryError:
                _fail(current, _TOO_LARGE)
                log.warning("%s", _TOO_LARGE)
                raise
            except SystemExit:
                _fail(current, "It was stopped with its worker and runs again at the next start.", _Stopped("", ""))
                ended.outcome = "stopped"
                raise
            except Exception as error:
                reason = f"Unexpected {type(error).__name__}: {error}. Please report it with the worker's log."
                ended.outcome = _fail(current, reason, error)
                log.exception("%s failed", kind)
                raise
            ended.outcome = "done"
            if current is not None:
                # What an earlier try failed of.
                current.meta.pop("reason", None)
            context.progress.report(100, text)
            log.info("%s (%.2f s)", text, time.monotonic() - started)
            return text


def job(function: Callable[Concatenate[JobContext, P], str]) -> QueueFunction[P]:
    """Makes a function a job. It gets the context, and what was queued for it, a project first; it returns one sentence on what
    it did, which `/jobs` shows.

    An error that passes is retried with growing pauses; any other fails the job at once, with its reason. A task or
    project that is gone from Label Studio is none. After each job the next ones are queued, if some had to wait.
    """
    return QueueFunction(function)


@dataclass
class _Ended:
    outcome: Outcome = "failed"


@contextlib.contextmanager
def _counted(current: Job | None) -> Iterator[_Ended]:
    """Counts a try of the job at hand when it has ended, as what its `outcome` says."""
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


def _told_about(current: Job | None, kind: str, args: Sequence[object]) -> contextlib.AbstractContextManager[None]:
    """The log's lines tell which job they are of. Its first argument is its project; a number is a task, a name a version."""
    subject = args[1] if len(args) > 1 else None
    return about(
        kind=kind,
        project=args[0] if args and kind not in OF_ALL_PROJECTS else None,
        task=subject if isinstance(subject, int) else None,
        version=subject if isinstance(subject, str) else None,
        job=current.id if current is not None else None,
    )


def _fail(current: Any, reason: str, error: Exception | None = None) -> Outcome:
    """Notes why the job failed, if it is one of the queue; returns whether it is tried again."""
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


def note_unstarted(job: Job, error: BaseException | None) -> None:
    """To be called when a job has failed before it came to its function: its module cannot be imported, say, or the settings are wrong.
    Notes why, and whether it is tried again, as for any other; nothing of one that has said why it failed."""
    if "reason" in job.meta or not isinstance(error, Exception):
        return
    # RQ says that there is no such function, whatever kept its module from being imported.
    try:
        import_module(str(job.func_name).rpartition(".")[0])
    except Exception as said:
        error = said
    reason = (
        str(error)
        if isinstance(error, ColdblitzError)
        else f"It could not be started ({type(error).__name__}: {error}). Check that Coldblitz is installed completely where the worker "
        "runs, then restart the worker; its log says more."
    )
    log.error("%s could not be started", job.description, exc_info=error)
    with _counted(job) as ended:
        ended.outcome = _fail(job, reason, error)


class _Stopped(ColdblitzError):
    passes = True
    setting = True
