"""Networks that were fine-tuned for a project, on disk: `networks/<digest>` beside its versions, which name the one they use.

A folder holds the weights (safetensors) and `network.json`. It appears by one rename, so a crash leaves none or a whole one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ml_backend.cards.model_card import Network
from ml_backend.errors import StorageError
from ml_backend.store import files

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS, _ABOUT = "weights.safetensors", "network.json"


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
            # The same network, made before, is as good.
            files.put_folder(whole, root / made.digest)
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
        whole = sha256(files.current(path).read_bytes()).hexdigest()[:12] == digest
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
        files.remove_folder(folder)
    return [folder.name for folder in gone]


def _folders(models: Path) -> list[Path]:
    root = models / "networks"
    return [root / name for name in files.names(root) if not name.startswith(".")]


def _read(folder: Path) -> Network | None:
    try:
        return Network.from_json(json.loads(files.current(folder / _ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
