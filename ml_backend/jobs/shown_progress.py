"""How far a training or roll-out is, in the title of the model in Label Studio: its Model page shows nothing else that can be set."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from redis.exceptions import RedisError

from ml_backend.errors import ColdblitzError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.connections import Connection, plain_title
from ml_backend.projects import activity, links

log = logging.getLogger(__name__)

# Seconds after the beginning at which the title is renewed: each time Label Studio calls us three times. What is over sooner is not shown.
_DUE = (5.0, 20.0, 60.0, 180.0, 600.0, 1800.0)


class ShownProgress:
    """Takes what a job reports. `doing`: such as `training cold-v4`, asked for once, when it is first shown."""

    def __init__(self, work: ProjectWork, doing: Callable[[], str]) -> None:
        self._context, self._key, self._project = work.context, work.key, work.id
        self._doing = doing
        self._said: str | None = None
        self._due = list(_DUE)
        self._began = time.monotonic()
        self.is_shown = False

    def report(self, percent: float) -> None:
        """`percent`: of the whole job."""
        seconds = time.monotonic() - self._began
        if not _DUE[0] <= seconds:
            return
        if self._said is None:
            try:
                self._said = self._doing()
            except ColdblitzError as error:
                log.info("What is shown in Label Studio cannot be told: %s", error.message)
                self._said, self._due = "training the next version", []
        text = f"{self._said}, {percent:.0f} %"
        activity.note(self._context.redis, self._key, text)
        if self._due and seconds >= self._due[0]:
            self._due = [due for due in self._due if due > seconds]
            self.is_shown = True
            if not rename(self._context, self._key, self._project, text):
                self._due = []


@contextmanager
def shown_in_studio(work: ProjectWork, doing: Callable[[], str]) -> Iterator[ProjectWork]:
    """The same work, whose progress Label Studio's Model page shows once it has taken some seconds; at most six times, and
    no failure of it is one of the work."""
    shown = ShownProgress(work, doing)
    try:
        yield replace(work, context=work.context.reporting(replace(work.progress, watch=shown.report)))
    except SystemExit:
        # The worker stops now; the next reconcile takes the text away.
        shown.is_shown = False
        raise
    finally:
        with suppress(RedisError):
            activity.forget(work.context.redis, work.key)
        if shown.is_shown:
            rename(work.context, work.key, work.id, None)


def rename(context: JobContext, key: str, project: int, text: str | None) -> bool:
    """Has the project's entry for us say `text` behind the title that people gave it; None: nothing. Whether it could be done."""
    link = links.recall(context.redis, key)
    if link is None or link.entry is None:
        return False
    try:
        context.studio.backends.say(project, link.entry, text)
    except ColdblitzError as error:
        log.info("The model's title in Label Studio cannot be changed: %s", error.message)
        return False
    return True


def mend_title(context: JobContext, key: str, project: int, entry: Connection) -> None:
    """Takes away what a worker that died has left there."""
    if entry.title != plain_title(entry.title) and activity.recall(context.redis, key) is None:
        rename(context, key, project, None)
