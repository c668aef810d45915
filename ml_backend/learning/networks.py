"""Networks that were fine-tuned for a project, on disk: `networks/<digest>` beside its versions, which name the one they use.

A folder holds the weights (safetensors) and `network.json`. It appears by one rename, so a crash leaves none or a whole one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ml_backend.errors import StorageError
from ml_backend.learning.json_object import (
    Json,
    JsonObject,
    by_name,
    count,
    json_object,
    key,
    many,
    maybe,
    number,
    text,
)

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS, _ABOUT = "weights.safetensors", "network.json"


@dataclass(frozen=True)
class Network(JsonObject):
    """`digest`: first digits of the weights' SHA-256. `base`: key of the frozen network it began from. `purpose`: what it
    was trained for, labels and settings: another purpose needs another network. `trained_on`, `validated_on`: tasks.
    `curve`, `best`: as in `Tuned`. `frames`: pictures it was trained on."""

    digest: str = key(text)
    base: str = key(text)
    purpose: Json = key(json_object, default={}, always=True)
    trained_on: tuple[int, ...] = key(many(count), list, default=(), always=True)
    validated_on: tuple[int, ...] = key(many(count), list, default=(), always=True)
    curve: tuple[Mapping[str, float], ...] = key(many(by_name(maybe(number))), list, default=(), always=True)
    best: int = key(count, default=0, always=True)
    frames: int = key(count, default=0, always=True)
    seconds: float = key(number, default=0.0, always=True)
    device: str = key(text, default="", always=True)
    seed: int = key(count, default=0, always=True)
    created: str = key(text, default="", always=True)


def save_network(models: Path, state: Mapping[str, Tensor], network: Network) -> Network:
    """Keeps a network beside a project's versions and returns it with its digest. Raises StorageError."""
    from safetensors.torch import save

    weights = save({name: tensor.contiguous() for name, tensor in state.items()})
    made = replace(network, digest=sha256(weights).hexdigest()[:12])
    root = models / "networks"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as folder:
            whole = Path(folder) / "network"
            whole.mkdir()
            (whole / _WEIGHTS).write_bytes(weights)
            (whole / _ABOUT).write_text(json.dumps(made.as_json(), indent=1), encoding="utf-8")
            if not (root / made.digest).exists():
                whole.rename(root / made.digest)
    except OSError as error:
        raise StorageError(
            f"A fine-tuned network cannot be written below {root}: {error.strerror or error}.",
            "Free up disk space there, or correct its permissions.",
        ) from error
    return made


def newest_network(models: Path) -> Network | None:
    """The one made last; damaged ones are left out."""
    found = [network for folder in _folders(models) if (network := _read(folder)) is not None]
    return max(found, key=lambda network: network.created, default=None)


def network_weights(models: Path, digest: str) -> Path:
    """The file with the weights of a network. Raises StorageError when it is missing or not what was written."""
    path = models / "networks" / digest / _WEIGHTS
    try:
        whole = sha256(path.read_bytes()).hexdigest()[:12] == digest
    except OSError:
        whole = False
    if not whole:
        raise StorageError(
            f"The fine-tuned network {digest} is missing or damaged.", "Train again, or activate another version."
        )
    return path


def keep_networks(models: Path, digests: Collection[str]) -> list[str]:
    """Deletes all but these; returns the digests of those that are gone."""
    gone = [folder for folder in _folders(models) if folder.name not in digests]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in gone]


def _folders(models: Path) -> list[Path]:
    root = models / "networks"
    return [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []


def _read(folder: Path) -> Network | None:
    try:
        return Network.from_json(json.loads((folder / _ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
