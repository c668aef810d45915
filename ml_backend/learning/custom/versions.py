"""Versions of custom models: a copy of the researcher's file, so that a version stays what it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_backend.learning.custom.fit import digest_of
from ml_backend.learning.custom.model import CustomModel, files_of, load_custom
from ml_backend.learning.heldout import FILE, HeldAnswers, as_file
from ml_backend.learning.versions import (
    ModelCard,
    annotations_hash,
    damaged,
    list_versions,
    load_card,
    publish,
    unwritable,
)
from ml_backend.provenance import ModelVersion

# The folder of a version that its file has saved in, and what the card knows of it.
_LEARNT = "learnt"


@dataclass(frozen=True)
class Learnt:
    """What a version's file learnt. `folder`: what it saved. `fingerprint`: what it learnt from, in one word. The rest as in
    `modelcard.Learnt`."""

    folder: Path
    fingerprint: str
    annotations: Mapping[str, str]
    metrics: Mapping[str, Any]
    videos: int
    labelled_frames: int
    train_seconds: float
    answers: HeldAnswers | None = None


def known_version(root: Path, model: CustomModel, *, exclusive: bool, fingerprint: str = "") -> ModelCard | None:
    """The version that was made of the same files and, where the file learns, of the same annotations."""
    wanted = (model.digest, model.project_labels, exclusive, fingerprint)
    for card in _versions_of(root, model):
        if (card.weights_sha256, card.labels, card.exclusive, card.settings.get("fingerprint", "")) == wanted:
            return card
    return None


def save_custom(
    root: Path, model: CustomModel, *, exclusive: bool, taken: Iterable[str] = (), learnt: Learnt | None = None
) -> ModelCard:
    """Keep a copy of a custom model's files, and of what it has `learnt`, as the next version of its name; the same again
    is no new version.

    Names are `custom-<file name>-v1` and so on; those `taken` (what Label Studio still shows) are not used again.
    Raises StorageError when the disk refuses.
    """
    mark = learnt.fingerprint if learnt else ""
    if known := known_version(root, model, exclusive=exclusive, fingerprint=mark):
        return known
    kind, cards = _kind_of(model), _versions_of(root, model)
    structure: dict[str, Any] = {
        "file": model.file.name,
        "outputs": list(model.labels),
        "ignored": list(model.ignored),
    }
    versions = filter(None, map(ModelVersion.parse, (*(card.name for card in cards), *taken)))
    numbers = [version.number for version in versions if version.kind == kind]
    card = ModelCard(
        name=str(ModelVersion(kind, max(numbers, default=0) + 1)),
        kind=kind,
        labels=model.project_labels,
        exclusive=exclusive,
        backbone="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        lacking=tuple(label for label, at in zip(model.project_labels, model.columns, strict=True) if not at),
        weights_sha256=model.digest,
        structure=structure,
        file_bytes=model.file.stat().st_size,
    )
    try:
        root.mkdir(parents=True, exist_ok=True)
        folders = {}
        if learnt is not None:
            folders = {_LEARNT: learnt.folder}
            card = replace(
                card,
                settings={"fingerprint": mark},
                structure={**structure, _LEARNT: digest_of(learnt.folder)},
                annotations=dict(learnt.annotations),
                annotations_hash=annotations_hash(learnt.annotations),
                metrics=dict(learnt.metrics),
                videos=learnt.videos,
                labelled_frames=learnt.labelled_frames,
                train_seconds=learnt.train_seconds,
            )
        files = {file.name: file.read_bytes() for file in files_of(model.file)}
        if learnt is not None and learnt.answers is not None:
            files[FILE] = as_file({card.question: learnt.answers})
        publish(root, card, files, folders)
    except OSError as error:
        raise unwritable(root, error) from error
    return card


def load_custom_version(root: Path, name: str, predicted_values: Mapping[str, str] | None = None) -> CustomModel:
    """The custom model that was kept as version `name`, loaded from its copy. Raises StorageError, CustomModelError."""
    card = load_card(root, name)
    file = root / name / str(card.structure.get("file", ""))
    if not file.is_file():
        raise damaged(name, "its file is missing")
    folder = root / name / _LEARNT if card.structure.get(_LEARNT) else None
    if folder is not None and digest_of(folder) != card.structure[_LEARNT]:
        raise damaged(name, "what it learned is not what was kept")
    model = load_custom(file, card.labels, predicted_values, learnt=folder)
    if model.digest != card.weights_sha256:
        raise damaged(name, "its file is not the one that was kept")
    return model


def _kind_of(model: CustomModel) -> str:
    """The kind of its versions, which their names begin with."""
    return f"custom-{re.sub('[^A-Za-z0-9_]+', '_', model.name)[:200]}"


def _versions_of(root: Path, model: CustomModel) -> list[ModelCard]:
    kind = _kind_of(model)
    return [card for card in list_versions(root) if card.kind == kind]
