"""Whether anything that a training would learn from has changed, without reading the annotations."""

from __future__ import annotations

import hashlib
import json

from ml_backend.errors import CustomModelError
from ml_backend.jobs.companion.answers import answers_state
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.custom_model import custom_file_of
from ml_backend.learning.frame_labels import MEANING
from ml_backend.projects import reconcile_state
from ml_backend.queueing.queue import enqueue


def training_state(work: ProjectWork) -> str | None:
    """The same for the same annotations, label config, settings and model file; None when there is nothing to train from.

    Annotations are known by their numbers and by when an annotated task changed last, those of the companion project too.
    A model file that cannot be used is something to train from: the training says what is wrong with it.
    """
    changed, annotated = work.context.client.last_annotated(work.id)
    stamp = _stamp(work)
    answers = answers_state(work)
    if not annotated and stamp is None and not any(answers[1:]):
        return None
    settings = work.context.settings
    said = [
        *(work.project.counts, changed, annotated, work.project.label_config, repr(work.settings), stamp),
        *(settings.backbone, settings.backbone_weights),
        *answers,
        MEANING,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _stamp(work: ProjectWork) -> list[str | int] | None:
    """Tells one state of the project's model file from another; None when it has none."""
    try:
        file = custom_file_of(work)
    except CustomModelError as error:
        return [str(error)]
    if file is None:
        return None
    return [str(file), file.stat().st_mtime_ns, file.stat().st_size] if file.is_file() else [str(file)]


def queue_training(work: ProjectWork) -> str | None:
    """Queues a training unless the last one knew all there is; returns what was done, if anything."""
    redis, state = work.context.redis, training_state(work)
    if state is None or state == reconcile_state.get(redis, work.key, "trained"):
        return None
    # One that failed for good is not tried again before something has changed.
    news = state != reconcile_state.get(redis, work.key, "asked")
    reconcile_state.put(redis, work.key, "asked", state)
    return "annotations to learn from" if enqueue(redis, "train", work.key, again=news) else None
