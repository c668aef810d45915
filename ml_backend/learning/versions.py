"""Model versions on disk: immutable, named, and readable without running anything.

A project's directory holds one directory per version: `head.safetensors` with the arrays and `card.json`, the model
card. Nothing is pickled. A version appears by one rename, so a crash leaves none or a whole one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from ml_backend.errors import StorageError

if TYPE_CHECKING:
    from ml_backend.learning.head import Head

log = logging.getLogger(__name__)

_NAME = re.compile(r"^(cold|blitz|custom-[A-Za-z0-9_]+)-v([1-9][0-9]*)$")
_WEIGHTS, _CARD, _NUMBERS = "head.safetensors", "card.json", "numbers.json"


@dataclass(frozen=True)
class ModelCard:
    """What a researcher wants to know of a model version; every field is JSON.

    `annotations`: annotation id to when it was last changed (ISO 8601). `metrics`, `calibration` and `curves` are
    filled in when they have been measured; an empty one means not measured yet. `network` is what is known of the
    fine-tuned network whose embeddings the head was trained on; empty for the frozen one. `train_seconds`: how long the fit took.
    `file_bytes`: size of the weights, or of the researcher's file.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    exclusive: bool
    backbone: str
    created: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    annotations_hash: str = ""
    videos: int = 0
    labelled_frames: int = 0
    lacking: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    structure: Mapping[str, Any] = field(default_factory=dict)
    train_seconds: float | None = None
    file_bytes: int | None = None
    network: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def measured(self) -> Mapping[str, Any]:
        """The full held-out metrics, else those of the quick check that every version passes, else nothing."""
        return self.metrics if "judgement" in self.metrics else self.metrics.get("quick") or {}


def save_version(
    root: Path,
    head: Head,
    *,
    backbone: str,
    annotations: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    curves: Mapping[str, Any] | None = None,
    videos: int = 0,
    labelled_frames: int = 0,
    train_seconds: float | None = None,
    network: Mapping[str, Any] | None = None,
    taken: Iterable[str] = (),
) -> ModelCard:
    """Write the next version of a project and return its card.

    Numbers run on over Cold and Blitz and are never used twice, not even those of deleted versions or of the names
    `taken` (what Label Studio still shows). Raises StorageError when the disk refuses.
    """
    # Reading cards takes no arithmetic; writing and loading heads does, and its imports take a second.
    from ml_backend.learning.headfile import arrays_of

    ids = dict(annotations or {})
    arrays, structure = arrays_of(head)
    weights = save(arrays)
    card = ModelCard(
        name="",
        kind=head.kind,
        labels=head.labels,
        exclusive=head.exclusive,
        backbone=backbone,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=dict(settings or {}),
        annotations=ids,
        annotations_hash=annotations_hash(ids),
        videos=videos,
        labelled_frames=labelled_frames,
        lacking=head.lacking,
        metrics=dict(metrics or {}),
        calibration={"temperature": head.temperature},
        curves=dict(curves or {}),
        weights_sha256=sha256(weights).hexdigest(),
        structure=structure,
        train_seconds=train_seconds,
        file_bytes=len(weights),
        network=dict(network or {}),
    )
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            number = _highest(root, taken) + 1
            card = replace(card, name=f"{head.kind}-v{number}")
            _remember(root, number)
            if publish(root, card, {_WEIGHTS: weights}):
                return card
    except OSError as error:
        raise unwritable(root, error) from error


def publish(
    root: Path, card: ModelCard, files: Mapping[str, bytes], folders: Mapping[str, Path] = MappingProxyType({})
) -> bool:
    """Write a version's directory whole, with copies of `folders`, by one rename; False when there is one of that name.

    Raises OSError.
    """
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made:
        whole = Path(made) / "version"
        whole.mkdir()
        for name, content in files.items():
            _write(whole / name, content)
        for name, folder in folders.items():
            shutil.copytree(folder, whole / name)
        _write(whole / _CARD, _as_bytes(card))
        try:
            whole.rename(root / card.name)
        except OSError:
            if (root / card.name).exists():
                return False
            raise
    return True


def is_custom(version: str) -> bool:
    """Whether a version of this name is a researcher's own file."""
    return version.startswith("custom-")


def load_version(root: Path, name: str) -> tuple[Head, ModelCard]:
    """The head, its temperature set, and its card; raises StorageError when it is missing or damaged."""
    from ml_backend.learning.headfile import head_from

    card = load_card(root, name)
    try:
        weights = (root / name / _WEIGHTS).read_bytes()
        if sha256(weights).hexdigest() != card.weights_sha256:
            raise damaged(name, "its weights are not the ones that were written")
        head = head_from(load(weights), card.structure, card.kind, card.labels, card.exclusive)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise damaged(name, str(error)) from error
    return head.calibrated(float(card.calibration.get("temperature", 1.0))), card


def load_card(root: Path, name: str) -> ModelCard:
    """The model card alone; raises StorageError when it is missing or damaged."""
    if not _NAME.match(name):
        raise StorageError(f"“{name}” is no model version.", "Give a name like cold-v3 or blitz-v4.")
    try:
        data = json.loads((root / name / _CARD).read_text(encoding="utf-8"))
        card = ModelCard(**{**data, "labels": tuple(data["labels"]), "lacking": tuple(data["lacking"])})
    except FileNotFoundError as error:
        raise StorageError(f"There is no model version {name}.", "List the ones there are.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(name, str(error)) from error
    if card.name != name:
        raise damaged(name, f"its card is that of {card.name}")
    return card


def list_versions(root: Path) -> tuple[ModelCard, ...]:
    """All readable versions, oldest first; damaged ones are logged and left out."""
    cards = []
    for name in _names(root):
        try:
            cards.append(load_card(root, name))
        except StorageError as error:
            log.warning("%s", error)
    return tuple(sorted(cards, key=lambda card: (_number(card.name), card.name)))


def add_measurements(
    root: Path,
    name: str,
    *,
    metrics: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Write measurements made after the version was saved into its card; the weights never change."""
    old = load_card(root, name)
    card = replace(
        old,
        metrics={**old.metrics, **(metrics or {})},
        calibration={**old.calibration, **(calibration or {})},
    )
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made:
            _write(Path(made) / _CARD, _as_bytes(card))
            (Path(made) / _CARD).replace(root / name / _CARD)
    except OSError as error:
        raise unwritable(root, error) from error
    return card


def delete_version(root: Path, name: str) -> None:
    """Remove a version; its number is not used again. Raises StorageError when there is none of that name."""
    folder = root / name
    if not _NAME.match(name) or not folder.is_dir():
        raise StorageError(f"There is no model version {name}.", "List the ones there are.")
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".old-") as away:
            folder.rename(Path(away) / name)
            shutil.rmtree(Path(away) / name)
    except OSError as error:
        raise unwritable(root, error) from error


def annotations_hash(annotations: Mapping[str, str]) -> str:
    """What a model was trained on, in one word: the same annotations in the same state give the same hash."""
    return sha256(json.dumps(sorted(annotations.items())).encode()).hexdigest()[:16]


def _names(root: Path) -> list[str]:
    return [entry.name for entry in root.iterdir() if _NAME.match(entry.name)] if root.is_dir() else []


def _number(name: str) -> int:
    match = _NAME.match(name)
    return int(match.group(2)) if match else 0


def _highest(root: Path, taken: Iterable[str]) -> int:
    numbered = [name for name in (*_names(root), *taken) if not name.startswith("custom-")]
    return max([_remembered(root), *(_number(name) for name in numbered)])


def _remembered(root: Path) -> int:
    try:
        return int(json.loads((root / _NUMBERS).read_text())["last"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _remember(root: Path, number: int) -> None:
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made:
        _write(Path(made) / _NUMBERS, json.dumps({"last": number}).encode())
        (Path(made) / _NUMBERS).replace(root / _NUMBERS)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _as_bytes(card: ModelCard) -> bytes:
    return json.dumps(card.as_json(), indent=1, ensure_ascii=False).encode()


def damaged(name: str, why: str) -> StorageError:
    return StorageError(f"Model version {name} is damaged: {why}.", "Delete it and train again.")


def unwritable(root: Path, error: OSError) -> StorageError:
    return StorageError(
        f"A model version cannot be written below {root}: {error.strerror or error}.",
        "Free some space there or correct its permissions.",
    )
