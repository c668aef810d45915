"""Versions of custom models: a copy of the researcher's file, so that a version stays what it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ml_backend.learning.custom import CustomModel, files_of, load_custom
from ml_backend.learning.versions import ModelCard, damaged, list_versions, load_card, publish, unwritable


def save_custom(root: Path, model: CustomModel, *, exclusive: bool, taken: Iterable[str] = ()) -> ModelCard:
    """Keep a copy of a custom model's files as the next version of its name; the same files again are no new version.

    Names are `custom-<file name>-v1` and so on; those `taken` (what Label Studio still shows) are not used again.
    Raises StorageError when the disk refuses.
    """
    kind = f"custom-{re.sub('[^A-Za-z0-9_]+', '_', model.name)}"
    cards = [card for card in list_versions(root) if card.kind == kind]
    for card in cards:
        if (card.weights_sha256, card.labels, card.exclusive) == (model.digest, model.project_labels, exclusive):
            return card
    numbers = [_number(name) for name in (*(card.name for card in cards), *taken) if name.rpartition("-v")[0] == kind]
    card = ModelCard(
        name=f"{kind}-v{max(numbers, default=0) + 1}",
        kind=kind,
        labels=model.project_labels,
        exclusive=exclusive,
        backbone="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        lacking=tuple(label for label, at in zip(model.project_labels, model.columns, strict=True) if not at),
        weights_sha256=model.digest,
        structure={"file": model.file.name, "outputs": list(model.labels), "ignored": list(model.ignored)},
        file_bytes=model.file.stat().st_size,
    )
    try:
        root.mkdir(parents=True, exist_ok=True)
        publish(root, card, {file.name: file.read_bytes() for file in files_of(model.file)})
    except OSError as error:
        raise unwritable(root, error) from error
    return card


def load_custom_version(root: Path, name: str, predicted_values: Mapping[str, str] | None = None) -> CustomModel:
    """The custom model that was kept as version `name`, loaded from its copy. Raises StorageError, CustomModelError."""
    card = load_card(root, name)
    file = root / name / str(card.structure.get("file", ""))
    if not file.is_file():
        raise damaged(name, "its file is missing")
    model = load_custom(file, card.labels, predicted_values)
    if model.digest != card.weights_sha256:
        raise damaged(name, "its file is not the one that was kept")
    return model


def _number(name: str) -> int:
    number = name.rpartition("-v")[2]
    return int(number) if number.isdigit() else 0
