"""The model versions of a project as people ask for them: by the project's number, on the command line and over the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from ml_backend.cards.json_object import (
    JsonObject,
    by_name,
    count,
    flag,
    interval,
    key,
    many,
    maybe,
    number,
    text,
    written,
)
from ml_backend.cards.measurements import ConfusionTable as ConfusionTable
from ml_backend.cards.measurements import Interval as Interval
from ml_backend.cards.measurements import ReliabilityBin as ReliabilityBin
from ml_backend.cards.model_card import ModelCard as ModelCard
from ml_backend.errors import SettingsError
from ml_backend.projects import registry
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import check_folder
from ml_backend.queueing.queue import enqueue

_NOT_MEASURED = "Not measured yet."


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


@dataclass(frozen=True)
class VersionSummary(JsonObject):
    """What a list of versions shows of one; the fields as in `ModelCard` and `Metrics`. `f1`: of each label."""

    name: str = key(text)
    kind: str = key(text)
    active: bool = key(flag)
    created: str = key(text)
    labels: tuple[str, ...] = key(many(text), list)
    lacking: tuple[str, ...] = key(many(text), list)
    videos: int = key(count)
    labelled_frames: int = key(count)
    macro_f1: float | None = key(maybe(number), default=None, always=True)
    macro_f1_interval: Interval | None = key(maybe(interval), list, default=None, always=True)
    judgement: str = key(text, default=_NOT_MEASURED, always=True)
    f1: Mapping[str, float | None] = key(by_name(maybe(number)), default={}, always=True)
    train_seconds: float | None = key(maybe(number), default=None, always=True)
    file_bytes: int | None = key(maybe(count), default=None, always=True)
    decision: str = key(text, default="", always=True)

    @classmethod
    def of(cls, card: ModelCard, active: str | None) -> VersionSummary:
        """`active`: the version that is."""
        found = card.measured
        return cls(
            name=card.name,
            kind=card.kind,
            active=card.name == active,
            created=card.created,
            labels=card.labels,
            lacking=card.lacking,
            videos=card.videos,
            labelled_frames=card.labelled_frames,
            macro_f1=found.macro_f1,
            macro_f1_interval=found.macro_f1_interval,
            judgement=found.judgement or _NOT_MEASURED,
            f1={label: score.f1 for label, score in found.labels.items()},
            train_seconds=card.train_seconds,
            file_bytes=card.file_bytes,
            decision=card.decision,
        )


@dataclass(frozen=True)
class CurvePoint(JsonObject):
    """From how much a version learnt, and its held-out score, None where it was not measured."""

    name: str = key(text)
    videos: int = key(count)
    labelled_frames: int = key(count)
    macro_f1: float | None = key(maybe(number))


@dataclass(frozen=True)
class CardInLine:
    """A model card, and the points of the versions up to it, its own the last."""

    card: ModelCard
    learning_curve: tuple[CurvePoint, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CardInLine:
        """Raises KeyError, TypeError, ValueError or AttributeError for what is none."""
        rest = {name: value for name, value in data.items() if name != "learning_curve"}
        return cls(ModelCard.from_json(rest), many(CurvePoint.from_json)(data.get("learning_curve", [])))

    def as_json(self) -> dict[str, Any]:
        return {**self.card.as_json(), "learning_curve": written(self.learning_curve)}


def summaries(data_dir: Path, redis: Redis, key: str) -> list[VersionSummary]:
    """One for each version, the oldest first."""
    # Imported here and below because it would double the time that any command takes to start.
    from ml_backend.learning.versions import list_versions

    active = registry.active_version(redis, key)
    return [VersionSummary.of(card, active) for card in list_versions(ProjectFolder(data_dir, key).models)]


def model_card(data_dir: Path, key: str, version: str) -> CardInLine:
    """A version's whole model card, with the learning curve up to it.

    Raises StorageError when there is no such version or its card is damaged.
    """
    from ml_backend.learning.versions import list_versions, load_card

    folder = ProjectFolder(data_dir, key).models
    card = load_card(folder, version)
    before = [one for one in list_versions(folder) if one.created <= card.created and one.name != version]
    curve = tuple(
        CurvePoint(one.name, one.videos, one.labelled_frames, one.measured.macro_f1) for one in [*before, card]
    )
    return CardInLine(card, curve)


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
