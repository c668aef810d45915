"""The network whose embeddings a model version was trained on: the frozen backbone, or one that was fine-tuned for it."""

from __future__ import annotations

from pathlib import Path

from ml_backend.errors import StorageError, WeightsError
from ml_backend.features.backbones import Backbone, load_backbone, network_of
from ml_backend.features.weights import file_name
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.learning.networks import keep_networks, network_weights
from ml_backend.learning.versions import ModelCard, list_versions, load_card
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
    ).at(work.settings.roi)


def backbone_of(work: ProjectWork, card: ModelCard) -> Backbone:
    """The network that a version's head was trained on. Raises StorageError when the version's own network is gone, or the
    backbone is not the one that it was trained with: its answers would be wrong and sure."""
    digest, frozen = card.network.get("digest"), work.context.backbone_for(work.settings)
    if not sees_as_then(work, card):
        raise StorageError(
            f"{card.name} was trained on what the backbone {network_of(card.backbone)} sees, and the backbone is now "
            f"{frozen.network}, so it cannot predict.",
            "A new version is trained automatically. To keep this one, set BACKBONE, BACKBONE_WEIGHTS, resolution, and roi back.",
        )
    return load_network(work, str(digest)) if digest else frozen


def sees_as_then(work: ProjectWork, card: ModelCard) -> bool:
    """Whether videos are still shown to the backbone that a version was trained with as they were then; else it cannot predict."""
    name, frozen = work.context.settings.backbone, work.context.backbone_for(work.settings)
    if not card.network.get("digest"):
        return network_of(card.backbone) == frozen.network
    base = str(card.network.get("base", ""))
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
    return tuple(card.network.get("trained_on", ()))


def forget_networks(context: WorkerContext, project_key: str, keep: str) -> None:
    """Deletes the networks that no version uses, and what was converted from them; `keep` is one in the making."""
    models: Path = context.models_dir(project_key)
    used = {str(card.network["digest"]) for card in list_versions(models) if card.network}
    for digest in keep_networks(models, {*used, keep}):
        for path in (context.settings.data_dir / "weights").glob(
            f"{file_name(context.settings.backbone, digest)}[.-]*"
        ):
            path.unlink(missing_ok=True)
