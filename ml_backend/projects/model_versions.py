"""The model versions of a project as people ask for them: by the project's number, on the command line and over the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from ml_backend.errors import SettingsError
from ml_backend.projects import registry
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import check_folder
from ml_backend.queueing.queue import enqueue

if TYPE_CHECKING:
    from ml_backend.learning.versions import ModelCard


def project_key(data_dir: Path, redis: Redis | None, project: str) -> str:
    """The key of a project given by its number or its key; the newest when Label Studio used the number again.

    Without `redis` only projects that have a folder are known. Raises SettingsError for a project that is not known, and
    StorageError for a data folder of a newer release.
    """
    check_folder(data_dir)
    keys = {folder.key for folder in ProjectFolder.all(data_dir)}
    if redis is not None:
        keys.update(registry.known_keys(redis))
    found = registry.keys_of(keys, project)
    if not found:
        raise SettingsError(f"No project {project} is known in {data_dir}.", "Check the number and DATA_DIR.")
    return found[-1]


def summaries(data_dir: Path, redis: Redis, key: str) -> list[dict[str, Any]]:
    """One JSON object for each version, the oldest first: what a list of them shows."""
    # Imported here and below because it would double the time that any command takes to start.
    from ml_backend.learning.versions import list_versions

    active = registry.active_version(redis, key)
    return [_summary(card, active) for card in list_versions(ProjectFolder(data_dir, key).models)]


def model_card(data_dir: Path, key: str, version: str) -> dict[str, Any]:
    """A version's whole model card, with the learning curve up to it: labelled frames and score of each version before.

    Raises StorageError when there is no such version or its card is damaged.
    """
    from ml_backend.learning.versions import list_versions, load_card

    folder = ProjectFolder(data_dir, key).models
    card = load_card(folder, version)
    before = [one for one in list_versions(folder) if one.created <= card.created and one.name != version]
    curve = [
        {
            "name": one.name,
            "videos": one.videos,
            "labelled_frames": one.labelled_frames,
            "macro_f1": one.measured.get("macro_f1"),
        }
        for one in [*before, card]
    ]
    return {**card.as_json(), "learning_curve": curve}


def activate(data_dir: Path, redis: Redis, key: str, version: str) -> None:
    """Queues the roll-out of a version, be it an older one or one kept back. Raises StorageError."""
    from ml_backend.learning.versions import load_card

    load_card(ProjectFolder(data_dir, key).models, version)
    registry.want(redis, key, version)
    enqueue(redis, "rollout", key, version, again=True)


def delete(data_dir: Path, redis: Redis, key: str, version: str) -> None:
    """Removes a version's files; its predictions stay in Label Studio.

    Raises StorageError, and SettingsError for the version that is active or becomes so.
    """
    from ml_backend.learning.versions import delete_version

    if version == registry.active_version(redis, key):
        raise SettingsError(f"{version} is the active version.", "Activate another one first.")
    if version == registry.wanted_version(redis, key):
        raise SettingsError(f"{version} is being rolled out.", "Activate another one first.")
    delete_version(ProjectFolder(data_dir, key).models, version)


def _summary(card: ModelCard, active: str | None) -> dict[str, Any]:
    return {
        "name": card.name,
        "kind": card.kind,
        "active": card.name == active,
        "created": card.created,
        "labels": list(card.labels),
        "lacking": list(card.lacking),
        "videos": card.videos,
        "labelled_frames": card.labelled_frames,
        "macro_f1": card.measured.get("macro_f1"),
        "macro_f1_interval": card.measured.get("macro_f1_interval"),
        "judgement": card.measured.get("judgement", "Not measured yet."),
        "f1": {label: row["f1"] for label, row in (card.measured.get("labels") or {}).items()},
        "train_seconds": card.train_seconds,
        "file_bytes": card.file_bytes,
        "decision": card.decision,
    }
