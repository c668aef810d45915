"""The detectors that were trained for a project, on disk: a folder `detector-v<n>` for each, with its card and its weights.

A folder appears by one rename, so a crash leaves none or a whole one. Imports nothing heavy: the web reads cards.
"""

from __future__ import annotations

import contextlib
import errno
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from ml_backend.cards.detector_card import FORMAT, DetectorCard, DetectorFigures, number_of
from ml_backend.errors import StorageError
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, write_whole
from ml_backend.store import files

__all__ = ["DetectorCard", "DetectorFigures", "DetectorReport"]

_CARD, _WEIGHTS, _REPORT = "card.json", "weights.safetensors", "report.json"
_UNFINISHED = "unfinished.pt"
_AGAIN = "It is trained again by itself; until then tracks stay as they are."
# The active one, and the one before it, to which a person may go back.
_KEPT = 2


def cards(data_dir: Path, project: str) -> list[DetectorCard]:
    """Those that can be read, the oldest first."""
    folder = ProjectFolder(data_dir, project).detectors
    found = [
        card
        for name in files.names(folder)
        if number_of(name) is not None and (card := _card(folder / name)) is not None
    ]
    return sorted(found, key=lambda card: card.number)


def active_card(data_dir: Path, project: str) -> DetectorCard | None:
    """The one that is in use; None before there is one."""
    return next((card for card in reversed(cards(data_dir, project)) if card.active), None)


def weights_of(data_dir: Path, project: str, card: DetectorCard) -> bytes:
    """safetensors. Raises StorageError when they are missing, or not what was written."""
    path = ProjectFolder(data_dir, project).detectors / card.name / _WEIGHTS
    try:
        found = files.current(path).read_bytes()
    except OSError:
        found = b""
    if sha256(found).hexdigest() != card.weights_sha256:
        raise StorageError(f"The weights of {card.name} are missing or damaged.", _AGAIN)
    return found


def save(data_dir: Path, project: str, card: Callable[[str], DetectorCard], weights: bytes) -> DetectorCard:
    """Keeps a detector as the next version; `card` is given its name. Raises StorageError."""
    root = ProjectFolder(data_dir, project).detectors
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as folder:
            taken = [number for name in files.names(root) if (number := number_of(name)) is not None]
            made = card(f"detector-v{max(taken, default=0) + 1}")
            made = replace(made, weights_sha256=sha256(weights).hexdigest(), file_bytes=len(weights))
            whole = Path(folder) / "version"
            whole.mkdir()
            (whole / _WEIGHTS).write_bytes(weights)
            (whole / _CARD).write_text(json.dumps(made.as_json(), indent=1, ensure_ascii=False), encoding="utf-8")
            if not files.put_folder(whole, root / made.name):
                raise FileExistsError(errno.EEXIST, f"{made.name} is there already")
    except OSError as error:
        raise StorageError(
            f"A trained detector cannot be written to {root} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error
    return made


def retire(data_dir: Path, project: str) -> list[str]:
    """Deletes the weights of all but the one in use and the one in use before it; cards stay. Returns the names of those that have
    lost them now."""
    every = cards(data_dir, project)
    kept = {card.name for card in [each for each in every if each.active][-_KEPT:]}
    gone = []
    for card in every:
        path = ProjectFolder(data_dir, project).detectors / card.name / _WEIGHTS
        if card.name not in kept and files.exists(path):
            with contextlib.suppress(OSError):
                files.remove(path)
                gone.append(card.name)
    return gone


def drop(data_dir: Path, project: str, card: DetectorCard) -> None:
    """Takes a version whose weights are damaged out of use. Raises StorageError."""
    path = ProjectFolder(data_dir, project).detectors / card.name / _CARD
    why = f"{card.name} is not used any more: its weights are missing or damaged."
    # What it has learned is to be learned again.
    told = replace(card, active=False, lessons={}, decision=why)
    write_whole(path, json.dumps(told.as_json(), indent=1, ensure_ascii=False).encode(), "The card of a detector")


def keep_unfinished(data_dir: Path, project: str, content: bytes) -> None:
    """What a training knows after an epoch, for when its worker dies. Raises StorageError."""
    write_whole(ProjectFolder(data_dir, project).detectors / _UNFINISHED, content, "An unfinished training")


def unfinished(data_dir: Path, project: str) -> bytes | None:
    try:
        return files.current(ProjectFolder(data_dir, project).detectors / _UNFINISHED).read_bytes()
    except OSError:
        return None


def drop_unfinished(data_dir: Path, project: str) -> None:
    with contextlib.suppress(OSError):
        files.remove(ProjectFolder(data_dir, project).detectors / _UNFINISHED)


@dataclass(frozen=True)
class DetectorReport:
    """What a project's detector learns from. `videos`: with people's boxes, `tracked` of them with whole tracks; `needed`: how many
    there must be. `boxes`: key frames that people stand for. `sentence`: how it stands, for people."""

    videos: int = 0
    tracked: int = 0
    needed: int = 0
    boxes: int = 0
    sentence: str = ""


def save_report(data_dir: Path, project: str, report: DetectorReport) -> None:
    """Raises StorageError."""
    path = ProjectFolder(data_dir, project).detectors / _REPORT
    write_whole(path, json.dumps(asdict(report)).encode(), "What a detector learns from")


def load_report(data_dir: Path, project: str) -> DetectorReport | None:
    """None before anything was submitted, and where it cannot be read."""
    try:
        path = ProjectFolder(data_dir, project).detectors / _REPORT
        said = json.loads(files.current(path).read_text(encoding="utf-8"))
        return read_as(DetectorReport, said)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _card(folder: Path) -> DetectorCard | None:
    """None for one that a newer release has written, or that is damaged."""
    try:
        card = DetectorCard.from_json(json.loads(files.current(folder / _CARD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return card if card.format <= FORMAT and card.name == folder.name else None
