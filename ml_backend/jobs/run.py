"""What surrounds every job: progress, the reason when it fails, and whether trying again can help."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, ParamSpec

from rq import get_current_job
from rq.timeouts import JobTimeoutException

from ml_backend.errors import ColdblitzError

log = logging.getLogger(__name__)
_REPORT_EVERY = 0.3

P = ParamSpec("P")


def job(function: Callable[P, str]) -> Callable[P, str]:
    """Makes a function a job. It returns one sentence on what it did, which `/jobs` shows.

    An error that passes is retried with growing pauses; any other fails the job at once, with its reason.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> str:
        name = " ".join([function.__name__, *map(str, args)])
        started = time.monotonic()
        try:
            text = function(*args, **kwargs)
        except ColdblitzError as error:
            _fail(str(error), passes=error.passes, setting=error.setting)
            log.warning("%s: %s", name, error)
            raise
        except JobTimeoutException:
            _fail("It took longer than its time limit. Cut the video into parts, or add a faster worker.", passes=False)
            raise
        except SystemExit:
            _fail("It was stopped with its worker, and is done at the next start.", passes=True, setting=True)
            raise
        except Exception as error:
            _fail(f"Unexpected {type(error).__name__}: {error}. Please report it with the worker's log.", passes=True)
            log.exception("%s failed", name)
            raise
        _succeed()
        report(100, text)
        log.info("%s: %s (%.2f s)", name, text, time.monotonic() - started)
        return text

    return run


def report(percent: float, text: str) -> None:
    """Sets what `/jobs` shows of the running job; outside a job it does nothing."""
    current = get_current_job()
    if current is None:
        return
    now = time.time()
    if percent < 100 and text == current.meta.get("text") and now - current.meta.get("reported", 0) < _REPORT_EVERY:
        return
    current.meta.update(percent=round(percent, 1), text=text, reported=now)
    current.save_meta()  # type: ignore[no-untyped-call]


def _succeed() -> None:
    current: Any = get_current_job()
    if current is not None:
        # What an earlier try failed of.
        current.meta.pop("reason", None)


def _fail(reason: str, passes: bool, setting: bool = False) -> None:
    current: Any = get_current_job()
    if current is None:
        return
    current.meta.update(reason=reason, passes=passes, setting=setting)
    if not passes:
        current.retries_left = 0
    current.save()
