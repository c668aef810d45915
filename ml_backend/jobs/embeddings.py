"""The embeddings of a task's video: by the frozen backbone or a network fine-tuned for the project, made once, found again by the video's
content."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ml_backend.errors import StorageError, WeightsError
from ml_backend.features.backbones import Backbone, load_backbone, network_of
from ml_backend.features.embedding import VideoFeatures, refine
from ml_backend.features.parts import long_video_features
from ml_backend.features.weights import file_name
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.progress import SILENT, Progress
from ml_backend.jobs.project import ProjectWork, task_roi
from ml_backend.jobs.videos import naming, task_video, video_address
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.networks import keep_networks, network_weights
from ml_backend.learning.versions import ModelCard, list_versions, load_card
from ml_backend.projects import registry
from ml_backend.queueing import counters
from ml_backend.video.view import view_in


def load_network(work: ProjectWork, digest: str) -> Backbone:
    """A fine-tuned network, run like the frozen one. Raises StorageError."""
    settings = work.context.settings
    weights = network_weights(work.context.models_dir(work.key), digest)
    return load_backbone(
        settings.backbone,
        settings.backbone_weights,
        settings.device,
        settings.data_dir / "weights",
        settings.backbone_license,
        weights,
        work.settings.resolution,
        settings.embedding_runtime,
    ).at(work.settings.roi)


def backbone_of(work: ProjectWork, card: ModelCard) -> Backbone:
    """The network that a version's head was trained on. Raises StorageError when the version's own network is gone, or the
    backbone is not the one that it was trained with: its answers would be wrong and sure."""
    frozen = work.context.backbone_for(work.settings)
    if sees_each(card) != work.settings.per_individual:
        raise StorageError(
            f"{card.name} was trained {'on each individual' if sees_each(card) else 'on whole pictures'}, and the setting "
            "per_individual has changed since, so it cannot predict.",
            "A new version is trained automatically. To keep this one, set per_individual back.",
        )
    if not sees_as_then(work, card):
        raise StorageError(
            f"{card.name} was trained on what the backbone {network_of(card.backbone)} sees, and the backbone is now "
            f"{frozen.network}, so it cannot predict.",
            "A new version is trained automatically. To keep this one, set BACKBONE, BACKBONE_WEIGHTS, resolution, and roi back.",
        )
    return load_network(work, card.network.digest) if card.network else frozen


def sees_each(card: ModelCard) -> bool:
    """Whether a version was trained on what is seen of each individual."""
    return bool(card.settings.get("per_individual", False))


def sees_as_then(work: ProjectWork, card: ModelCard) -> bool:
    """Whether videos are still shown to the backbone that a version was trained with as they were then; else it cannot predict."""
    name, frozen = work.context.settings.backbone, work.context.backbone_for(work.settings)
    if sees_each(card) != work.settings.per_individual:
        return False
    if card.network is None:
        return network_of(card.backbone) == frozen.network
    base = card.network.base
    return base.startswith(f"{name}-") and view_in(base) == frozen.view.key


def backbone_of_version(work: ProjectWork, version: str | None) -> Backbone | None:
    """The fine-tuned network of a version; None when it uses the frozen one, or nothing can be told."""
    try:
        card = load_card(work.context.models_dir(work.key), version) if version else None
        return backbone_of(work, card) if card is not None and card.network else None
    except (StorageError, WeightsError):
        return None


def trained_on(card: ModelCard) -> tuple[int, ...]:
    """The tasks whose videos the version's own network was trained on; none for the frozen one."""
    return card.network.trained_on if card.network else ()


def forget_networks(context: JobContext, project_key: str, keep: str) -> None:
    """Deletes the networks that no version uses, and what was converted from them; `keep` is one in the making."""
    models: Path = context.models_dir(project_key)
    used = {card.network.digest for card in list_versions(models) if card.network}
    for digest in keep_networks(models, {*used, keep}):
        for path in (context.settings.data_dir / "weights").glob(
            f"{file_name(context.settings.backbone, digest)}[.-]*"
        ):
            path.unlink(missing_ok=True)


def task_features(
    context: JobContext,
    question: Question,
    task: Task,
    backbone: Backbone,
    progress: Progress = SILENT,
) -> VideoFeatures:
    """The embeddings of a task's video, from the store when it has them; of the part that its data name, else of the one that
    the backbone is shown.

    Raises VideoError, WeightsError, LabelStudioError."""
    used = looking_at(backbone, task)
    content = context.videos.content_of(video_address(context, question, task).url)
    if content is not None and (features := _stored(context, content, used)) is not None:
        return features
    video = task_video(context, question, task, progress.part(0, 10))
    if (features := _stored(context, video.content, used)) is not None:
        return features
    with naming(task, question, video):
        return long_video_features(
            video.path,
            used,
            context.store,
            context.part_store,
            video.content,
            60 * context.settings.video_part_minutes,
            progress.part(10, 100).share(f"embedding the frames of task {task.id}"),
            made=partial(counters.count_frames, context.redis),
        )


def _stored(context: JobContext, content: str, backbone: Backbone) -> VideoFeatures | None:
    """What the backbone sees of a video, as a worker on whatever processor has kept it."""
    found = (context.store.load(content, key) for key in backbone.keys if context.store.has(content, key))
    return next((features for features in found if features is not None), None)


def looking_at(backbone: Backbone, task: Task) -> Backbone:
    """The backbone as it is shown a task's video: of the part that the task's data name, if they do."""
    own = task_roi(task)
    return backbone if own is None else backbone.at(own)


def tell_of_weights(work: ProjectWork) -> None:
    """Tells the admin when the backbone is untrained, since everything works then and nothing is worth much."""
    warning = work.context.backbone_for(work.settings).warning
    registry.set_problems(work.context.redis, work.key, "weights", [warning] if warning else [])


def with_frames(
    context: JobContext,
    question: Question,
    task: Task,
    features: VideoFeatures,
    frames: Iterable[int],
    backbone: Backbone,
) -> VideoFeatures:
    """`features` with these frames embedded as well: what a person labelled is then learnt from as it is, not from what
    its neighbours suggest. Raises VideoError, LabelStudioError."""
    missing = set(frames) - set(features.frames.tolist())
    if not missing:
        return features
    video = task_video(context, question, task)
    with naming(task, question, video):
        return refine(video.path, features, missing, looking_at(backbone, task), context.store, video.content)


def has_features(context: JobContext, question: Question, task: Task, backbone: Backbone) -> bool:
    """Whether the embeddings of a task's video are in the store, so that predicting it takes no time."""
    address = context.studio.videos.address(question.video_of(task.data))
    content = context.videos.content_of(address.url) if address else None
    return content is not None and any(context.store.has(content, key) for key in looking_at(backbone, task).keys)
