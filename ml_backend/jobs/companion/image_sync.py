"""Whether the images of a companion project may lack any, or hold some that nobody needs, without reading them."""

from __future__ import annotations

from collections.abc import Mapping

from ml_backend.jobs.backlog import WINDOW
from ml_backend.jobs.project import ProjectWork
from ml_backend.projects import companions, reconcile_state, registry
from ml_backend.queueing.queue import enqueue, waiting


def want_images(work: ProjectWork, task: int | None = None) -> None:
    """To be called when other frames are suggested or asked about: of one task, or of many. When as many jobs wait as
    may, a task's turn comes with a later comparison."""
    if not work.settings.companion:
        return
    if task is not None and waiting(work.context.redis, "companion") >= WINDOW:
        reconcile_state.put(work.context.redis, work.key, "images", "more")
    else:
        enqueue(work.context.redis, "companion", work.key, *(() if task is None else (task,)))


def queue_images(work: ProjectWork, changed: str, stored: Mapping[str, int]) -> str | None:
    """Queues a comparison unless the last one saw all there is; returns what was done, if anything.

    `changed`: when a task changed last, `stored`: predictions of each version.
    """
    redis, key = work.context.redis, work.key
    if not work.settings.companion:
        companions.forget(redis, key)
        for source in ("companion", "companion framerate", "companion video"):
            registry.set_problems(redis, key, source, [])
        return None
    if reconcile_state.get(redis, key, "images") == images_state(work, changed, stored):
        return None
    return "images of suggested frames" if enqueue(redis, "companion", key) else None


def images_state(work: ProjectWork, changed: str, stored: Mapping[str, int]) -> list[object]:
    """The same while nothing has changed in either project that the images follow."""
    known = companions.recall(work.context.redis, work.key)
    version = registry.active_version(work.context.redis, work.key)
    images = list(work.context.client.newest_task(known.id)) if known is not None else None
    return [changed, dict(stored), version, work.project.label_config, list(work.project.counts), images]
