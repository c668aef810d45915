"""What the text model, where there is one, makes of a project: of its labels, and of the frames of its videos."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ColdblitzError, VideoError
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.prompts import Prompts, known_view, prompts_of, text_view
from ml_backend.features.text import TextModel
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.progress import SILENT, Progress
from ml_backend.jobs.project import ProjectWork, roi_for
from ml_backend.jobs.videos import naming, task_video, video_address
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Prior, prior_for
from ml_backend.projects import registry
from ml_backend.provenance import ModelVersion
from sampling.candidates import Candidates
from sampling.prompted import prompted

log = logging.getLogger(__name__)

_OTHER = (
    "The active model was trained with hints from another text model than the current TEXT_MODEL; new videos are "
    "predicted without them. Set TEXT_MODEL back, or label a frame to train the next version."
)


def text_model(context: JobContext) -> TextModel | None:
    """None when there is none, or it cannot be loaded."""
    found = context.text
    return None if isinstance(found, ColdblitzError) else found


def tell_of_text(context: JobContext, key: str, prior: Prior | None = None) -> None:
    """Tells the admin why label names are not read although TEXT_MODEL, or the `prior` of the version in use, says so."""
    found = context.text
    if isinstance(found, ColdblitzError):
        problems = [f"Label names are not read: {found}"]
    elif prior is not None and (found is None or found.key != prior.prompts.model):
        problems = [_OTHER]
    else:
        problems = []
    registry.set_problems(context.redis, key, "text", problems)


def project_prompts(context: JobContext, question: Question) -> Prompts | None:
    """The labels as the text model understands them. Raises DeviceFull."""
    model = text_model(context)
    return None if model is None else prompts_of(model, question.labels, question.wording)


def with_text(
    work: ProjectWork,
    task: Task,
    features: VideoFeatures,
    progress: Progress = SILENT,
    key: str | None = None,
) -> VideoFeatures:
    """`features` with what the text model `key`, by default that of TEXT_MODEL, sees of the same video.

    Unchanged when that is not known and the model is not there. Raises VideoError, LabelStudioError, StorageError and
    DeviceFull.
    """
    question, roi = work.question, roi_for(work, task)
    content = work.context.videos.content_of(video_address(work.context, question, task).url)
    if (
        key is not None
        and content is not None
        and (seen := known_view(work.context.text_store, content, key, roi)) is not None
    ):
        return replace(features, text=seen)
    model = text_model(work.context)
    if model is None or key not in (None, model.key):
        return features
    if content is not None and (seen := known_view(work.context.text_store, content, model.key, roi)) is not None:
        return replace(features, text=seen)
    video = task_video(work.context, question, task)
    with naming(task, question, video):
        seen = text_view(
            video.path,
            features,
            model,
            work.context.text_store,
            video.content,
            progress.share(f"looking at task {task.id} with its labels in mind"),
            roi,
        )
    return replace(features, text=seen)


def read_as_well(work: ProjectWork, task: Task, features: VideoFeatures) -> VideoFeatures:
    """`features` with what the text model sees, in a project where that is of use: without a model yet, or with Cold."""
    version = registry.wanted_version(work.context.redis, work.key)
    wanted = ModelVersion.parse(version or "")
    if wanted is not None and wanted.kind != "cold":
        return features
    tell_of_text(work.context, work.key)
    return with_text_if_it_can(work, task, features)


def with_names(
    work: ProjectWork, tasks: Iterable[Task], videos: Sequence[LabelledVideo]
) -> tuple[list[LabelledVideo], Prompts | None]:
    """The videos as the text model sees them too, and the labels as it reads them; None where names have no say.

    `tasks`: those of the videos, among others. A video that it cannot look at stays as it is. Raises DeviceFull.
    """
    tell_of_text(work.context, work.key)
    prompts = project_prompts(work.context, work.question)
    if prior_for(videos, work.question.labels, prompts) is None:
        return list(videos), None
    known = {task.id: task for task in tasks}
    return [replace(v, features=with_text_if_it_can(work, known[v.task], v.features)) for v in videos], prompts


def with_text_if_it_can(
    work: ProjectWork, task: Task, features: VideoFeatures, key: str | None = None
) -> VideoFeatures:
    """`with_text`, or `features` as they are when the video cannot be had: its embeddings serve without."""
    try:
        return with_text(work, task, features, work.progress, key)
    except VideoError as error:
        log.warning("task %d is not looked at with its labels in mind: %s", task.id, error)
        return features


def prompted_frames(work: ProjectWork, features: VideoFeatures, good: Candidates) -> NDArray[np.int64] | None:
    """The frames of a video to ask about: every label's best ones, and others that stand for the rest.

    `good`: the embedded frames that may be chosen; without embeddings what the text model saw tells them apart. None when
    the video was not looked at with a text model. Raises DeviceFull.
    """
    prompts, seen = project_prompts(work.context, work.question), features.text
    if prompts is None or seen is None:
        return None
    scores, count = prompts.scores(seen.rows), work.settings.frames_per_video
    gap = len(features) // (4 * count)
    may_be = np.isin(features.frames, good.frames)
    at = np.searchsorted(features.frames, seen.frames).clip(0, len(features.frames) - 1)
    if good.embeddings is None:
        kept = may_be[at] if may_be[at].any() else np.ones(len(at), bool)
        return prompted(scores[kept], count, frames=seen.frames[kept], embeddings=seen.rows[kept], gap=gap)
    every = np.full((len(features.frames), scores.shape[1]), np.nan, np.float32)
    every[at] = scores
    return prompted(every[may_be], count, frames=good.frames, embeddings=good.embeddings, gap=gap)
