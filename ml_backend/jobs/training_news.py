"""Whether anything that a training would learn from has changed, without reading the annotations."""

from __future__ import annotations

import hashlib
import json

from ml_backend.jobs.custom_model import custom_file_of
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.queueing.queue import request
from ml_backend.records import marks


def training_state(context: WorkerContext, work: ProjectWork) -> str | None:
    """The same for the same annotations, label config, settings and model file; None when there is nothing to train from.

    Annotations are known by their numbers and by when an annotated task changed last. Raises CustomModelError.
    """
    changed, annotated = context.client.last_annotated(work.id)
    file = custom_file_of(context, work)
    if not annotated and file is None:
        return None
    stamp = [str(file), file.stat().st_mtime_ns, file.stat().st_size] if file is not None and file.is_file() else None
    settings = context.settings
    said = [
        *(work.project.counts, changed, annotated, work.project.label_config, repr(work.settings), stamp),
        *(settings.backbone, settings.backbone_weights),
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def queue_training(context: WorkerContext, work: ProjectWork) -> str | None:
    """Queues a training unless the last one knew all there is; returns what was done, if anything."""
    redis, state = context.redis, training_state(context, work)
    if state is None or state == marks.get(redis, work.key, "trained"):
        return None
    # One that failed for good is not tried again before something has changed.
    news = state != marks.get(redis, work.key, "asked")
    marks.put(redis, work.key, "asked", state)
    return "annotations to learn from" if request(redis, "train", work.key, again=news) else None
