"""Model versions on disk: immutable, named, and readable without running anything.

A project's directory holds one directory per version: `head.safetensors` with the arrays and `card.json`, the model
card. Nothing is pickled. A version appears by one rename, so a crash leaves none or a whole one.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from ml_backend.cards.json_object import Json
from ml_backend.cards.measurements import Calibration, Comparison, Measurements, Metrics, TrainingCurves
from ml_backend.cards.model_card import ModelCard as ModelCard
from ml_backend.cards.model_card import Network, QuestionCard
from ml_backend.errors import StorageError
from ml_backend.provenance import ModelVersion
from ml_backend.store.files import current, has_folder, names, put, put_folder, remove_folder, shared
from ml_backend.wording import cut

if TYPE_CHECKING:
    from ml_backend.learning.comparison import HeldAnswers
    from ml_backend.learning.head import Head
    from ml_backend.learning.whole_head import WholeHead

log = logging.getLogger(__name__)

# What reading raises where a file is not what was written.
_DAMAGED = (
    *(OSError, SafetensorError, LookupError, ValueError),
    *(TypeError, AttributeError, ArithmeticError, RecursionError),
)
_WEIGHTS, _CARD, _NUMBERS = "head.safetensors", "card.json", "numbers.json"


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt about one question; the fields as in `ModelCard`. `answers`: to what it was not taught, where that was
    measured."""

    question: str
    head: Head | WholeHead
    backbone: str
    metrics: Measurements = field(default_factory=Measurements)
    curves: TrainingCurves = field(default_factory=TrainingCurves)
    network: Network | None = None
    videos: int = 0
    labelled_frames: int = 0
    train_seconds: float | None = None
    answers: HeldAnswers | None = None


def save_version(
    root: Path,
    head: Head | WholeHead,
    *,
    backbone: str,
    annotations: Mapping[str, str] | None = None,
    settings: Json | None = None,
    metrics: Measurements | None = None,
    curves: TrainingCurves | None = None,
    videos: int = 0,
    labelled_frames: int = 0,
    train_seconds: float | None = None,
    network: Network | None = None,
    taken: Iterable[str] = (),
    question: str = "",
    others: Sequence[Learnt] = (),
    account: Json | None = None,
    answers: HeldAnswers | None = None,
    video_marks: Iterable[str] = (),
) -> ModelCard:
    """Write the next version of a project and return its card.

    Numbers run on over Cold and Blitz and are never used twice, not even those of deleted versions or of the names
    `taken` (what Label Studio still shows). `question`: the control that `head` is about; `others`: what was learnt about the
    project's other ones. `account`: what became of the regions that were read. `answers`: of `head`, as in
    `Learnt`. `video_marks`: as in `ModelCard`. Raises StorageError when the disk refuses.
    """
    ids = dict(annotations or {})
    first = Learnt(
        question,
        head,
        backbone,
        metrics or Measurements(),
        curves or TrainingCurves(),
        network,
        videos,
        labelled_frames,
        train_seconds,
    )
    weights, own = _described(first)
    files = {_WEIGHTS: weights}
    more: dict[str, QuestionCard] = {}
    for one in others:
        content, more[one.question] = _described(one)
        files[weights_file(one.question)] = content
    held = {question: own for question, own in ((question, answers), *((o.question, o.answers) for o in others)) if own}
    if held:
        from ml_backend.learning.comparison import FILE, as_file

        files[FILE] = as_file(held)
    card = replace(
        ModelCard.of(own, name="", created=datetime.now(UTC).isoformat(timespec="seconds"), question=question),
        settings=dict(settings or {}),
        annotations=ids,
        annotations_hash=annotations_hash(ids),
        others=more,
        account=dict(account or {}),
        video_marks=tuple(video_marks),
    )
    return add_version(root, card, files, taken)


def add_version(root: Path, card: ModelCard, files: Mapping[str, bytes], taken: Iterable[str] = ()) -> ModelCard:
    """Write the next version of a project, by the kind of its card; `files`: its weights. Raises StorageError."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            number = next_number(root, taken)
            card = replace(card, name=f"{card.kind}-v{number}")
            _remember(root, number)
            if publish(root, card, files):
                return card
    except OSError as error:
        raise unwritable(root, error) from error


def _described(learnt: Learnt) -> tuple[bytes, QuestionCard]:
    """The file of a head, and what its card says of it."""
    # Reading cards takes no arithmetic; writing and loading heads does, and its imports take a second.
    from ml_backend.learning.head import Head, arrays_of

    head = learnt.head
    arrays, structure = arrays_of(head) if isinstance(head, Head) else head.arrays()
    weights = save(arrays)
    calibration = Calibration(head.temperature, told_apart=head.told_apart, confused=head.confused)
    return weights, QuestionCard(
        kind=head.kind,
        labels=head.labels,
        exclusive=head.exclusive,
        backbone=learnt.backbone,
        videos=learnt.videos,
        labelled_frames=learnt.labelled_frames,
        lacking=head.lacking,
        metrics=learnt.metrics,
        calibration=calibration,
        curves=learnt.curves,
        weights_sha256=sha256(weights).hexdigest(),
        structure=structure,
        train_seconds=learnt.train_seconds,
        file_bytes=len(weights),
        network=learnt.network,
    )


def weights_file(question: str) -> str:
    """The file of the head about a control that a card is not about in the first place."""
    return f"head-{sha256(question.encode()).hexdigest()[:16]}.safetensors"


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
        return put_folder(whole, root / card.name)


def is_custom(version: str) -> bool:
    """Whether a version of this name is a researcher's own file."""
    parsed = ModelVersion.parse(version)
    return parsed is not None and parsed.is_custom


def load_version(root: Path, name: str) -> tuple[Head, ModelCard]:
    """The head, its temperature set, and its card; raises StorageError when it is missing or damaged."""
    from ml_backend.learning.head import head_from

    card = load_card(root, name)
    try:
        head = head_from(_weights(root, card), card.structure, card.kind, card.labels, card.exclusive)
    except _DAMAGED as error:
        raise damaged(name, str(error)) from error
    return head.calibrated(card.temperature), card


def load_heads(root: Path, name: str) -> tuple[tuple[Head | WholeHead, ModelCard], ...]:
    """The head about each control that a version has learnt, with the card of that control. Raises StorageError."""
    from ml_backend.learning.head import head_from
    from ml_backend.learning.whole_head import WholeHead

    found: list[tuple[Head | WholeHead, ModelCard]] = []
    whole = load_card(root, name)
    for position, card in enumerate(whole.each()):
        try:
            arrays = _weights(root, card, weights_file(card.question) if position else _WEIGHTS)
            if card.is_whole:
                found.append((WholeHead.of(arrays, card.structure, card.labels, card.exclusive), card))
                continue
            head = head_from(arrays, card.structure, card.kind, card.labels, card.exclusive)
        except _DAMAGED as error:
            raise damaged(name, str(error)) from error
        found.append((head.calibrated(card.temperature), card))
    return tuple(found)


def _weights(root: Path, card: ModelCard, file: str = _WEIGHTS) -> dict[str, Any]:
    content = current(root / card.name / file).read_bytes()
    if sha256(content).hexdigest() != card.weights_sha256:
        raise damaged(card.name, "its weights are not the ones that were written")
    return load(content)


def weights_of(root: Path, card: ModelCard) -> dict[str, bytes]:
    """The files of a version's heads, by name, each as it was written. Raises StorageError."""
    names = [_WEIGHTS, *map(weights_file, card.others)]
    try:
        found = {name: current(root / card.name / name).read_bytes() for name in names}
    except OSError as error:
        raise damaged(card.name, str(error)) from error
    for name, one in zip(names, card.each(), strict=True):
        if sha256(found[name]).hexdigest() != one.weights_sha256:
            raise damaged(card.name, "its weights are not the ones that were written")
    return found


def load_card(root: Path, name: str) -> ModelCard:
    """The model card alone; raises StorageError when it is missing or damaged."""
    if ModelVersion.parse(name) is None:
        raise StorageError(f"“{cut(name)}” is not a model version.", "Enter a version such as cold-v3 or blitz-v4.")
    try:
        card = ModelCard.from_json(json.loads(current(root / name / _CARD).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise StorageError(
            f"There is no model version {name}.", "Run `coldblitz models list` to see the versions."
        ) from error
    except _DAMAGED as error:
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
    metrics: Metrics | None = None,
    calibration: Calibration | None = None,
    against: Comparison | None = None,
    question: str | None = None,
) -> ModelCard:
    """Write full metrics and a calibration made after the version was saved into its card, and with what it was compared then; the
    weights never change.

    `question`: the control that was measured; None for the one that the card is about.
    """
    old = load_card(root, name)
    known = old if question in (None, old.question) else old.others[str(question)]
    full = replace(known.metrics, full=known.metrics.full.renewed(metrics or Metrics()))
    full = full if against is None else replace(full, against=against, compared=True)
    shown = known.calibration.renewed(calibration or Calibration())
    if isinstance(known, ModelCard):
        return _changed(root, replace(known, metrics=full, calibration=shown))
    renewed = replace(known, metrics=full, calibration=shown)
    return _changed(root, replace(old, others={**old.others, str(question): renewed}))


def note_decision(root: Path, name: str, decision: str) -> ModelCard:
    """Writes into a version's card why it was rolled out or kept back. Raises StorageError."""
    return _changed(root, replace(load_card(root, name), decision=decision))


def _changed(root: Path, card: ModelCard) -> ModelCard:
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made:
            _write(Path(made) / _CARD, _as_bytes(card))
            put(Path(made) / _CARD, root / card.name / _CARD)
    except OSError as error:
        raise unwritable(root, error) from error
    return card


def delete_version(root: Path, name: str) -> None:
    """Remove a version; its number is not used again. Raises StorageError when there is none of that name."""
    folder = root / name
    if ModelVersion.parse(name) is None or not has_folder(folder):
        raise StorageError(f"There is no model version {name}.", "Run `coldblitz models list` to see the versions.")
    try:
        if shared(root) is not None:
            remove_folder(folder)
            return
        with tempfile.TemporaryDirectory(dir=root, prefix=".old-") as away:
            folder.rename(Path(away) / name)
            shutil.rmtree(Path(away) / name)
    except OSError as error:
        raise unwritable(root, error) from error


def annotations_hash(annotations: Mapping[str, str]) -> str:
    """What a model was trained on, in one word: the same annotations in the same state give the same hash."""
    return sha256(json.dumps(sorted(annotations.items())).encode()).hexdigest()[:16]


def _names(root: Path) -> list[str]:
    return [name for name in names(root) if ModelVersion.parse(name)]


def _number(name: str) -> int:
    parsed = ModelVersion.parse(name)
    return parsed.number if parsed else 0


def _highest(root: Path, taken: Iterable[str]) -> int:
    numbered = filter(None, map(ModelVersion.parse, (*_names(root), *taken)))
    return max([_remembered(root), *(version.number for version in numbered if not version.is_custom)])


def next_number(root: Path, taken: Iterable[str] = ()) -> int:
    """The number that the next version of a project gets; `taken`: as in `save_version`."""
    return _highest(root, taken) + 1


def _remembered(root: Path) -> int:
    try:
        return int(json.loads(current(root / _NUMBERS).read_text())["last"])
    except _DAMAGED:
        return 0


def _remember(root: Path, number: int) -> None:
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made:
        _write(Path(made) / _NUMBERS, json.dumps({"last": number}).encode())
        put(Path(made) / _NUMBERS, root / _NUMBERS)


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
        "Free up disk space there, or correct its permissions.",
    )
