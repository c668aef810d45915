"""Versions of custom models: a copy of the researcher's file, so that a version stays what it was; and letting such a file learn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.cards.measurements import Measurements
from ml_backend.errors import CustomModelError
from ml_backend.learning.comparison import FILE, HeldAnswers, as_file
from ml_backend.learning.custom.loader import Floats, Pictures
from ml_backend.learning.custom.model import CustomModel, files_of, load_custom
from ml_backend.learning.examples import Examples, LabelledVideo
from ml_backend.learning.frame_labels import NO, UNTOUCHED_WEIGHT, YES
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
from ml_backend.researcher_files import blamed
from ml_backend.store.files import current_folder

# The folder of a version that its file has saved in, and what the card knows of it.
_LEARNT = "learnt"


@dataclass(frozen=True)
class Learnt:
    """What a version's file learnt. `folder`: what it saved. `fingerprint`: what it learnt from, in one word. The rest as in
    `modelcard.Learnt`."""

    folder: Path
    fingerprint: str
    annotations: Mapping[str, str]
    metrics: Measurements
    videos: int
    labelled_frames: int
    train_seconds: float
    answers: HeldAnswers | None = None


def known_version(root: Path, model: CustomModel, *, exclusive: bool, fingerprint: str = "") -> ModelCard | None:
    """The version that was made of the same files and, where the file learns, of the same annotations."""
    wanted = (model.digest, model.project_labels, exclusive, fingerprint)
    for card in _versions_of(root, model):
        if (card.weights_sha256, card.labels, card.exclusive, card.fingerprint) == wanted:
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
                metrics=learnt.metrics,
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
    file = current_folder(root / name) / str(card.structure.get("file", ""))
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


# Labelled frames that `fit` gets at most: 300 MB of pictures of 224 x 224.
MOST_FRAMES = 2000


def evenly(videos: Sequence[LabelledVideo], labels: Sequence[str], most: int = MOST_FRAMES) -> list[Examples]:
    """At most `most` labelled frames, evenly from all that is said of a frame (a set of labels), for each evenly from the
    videos, and in each video evenly over time. What a model drew and nobody touched is left out."""
    names = tuple(labels)
    known = [video.labels.select(names).resized(len(video.features.timeline)) for video in videos]
    frames = [np.flatnonzero(each.known & (each.weight > UNTOUCHED_WEIGHT)) for each in known]
    rows = np.concatenate(
        [np.zeros((0, len(names)), np.int8), *(k.values[f] for k, f in zip(known, frames, strict=True))]
    )
    said = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    of_video = np.repeat(np.arange(len(videos)), [len(each) for each in frames])
    index = np.concatenate([np.zeros(0, np.int64), *frames])
    kept: list[list[NDArray[np.int64]]] = [[] for _ in videos]
    for one, part in enumerate(_shared(np.bincount(said), most)):
        mine = said == one
        for video, count in enumerate(_shared(np.bincount(of_video[mine], minlength=len(videos)), part)):
            there = index[mine & (of_video == video)]
            kept[video].append(there[np.linspace(0, len(there) - 1, count).round().astype(np.int64)])
    chosen = [np.sort(np.concatenate([np.zeros(0, np.int64), *parts])) for parts in kept]
    return [Examples(at, each.values[at], each.weight[at]) for at, each in zip(chosen, known, strict=True)]


def targets(model: CustomModel, values: NDArray[np.int8]) -> Floats:
    """(k, L) int8 of the project's labels, as in `FrameLabels`, as (k, O) float32 of the file's outputs.

    Of several outputs with one meaning nobody has said which it is, only that it is none of them; what no label of the
    project means is unknown.
    """
    found = np.full((len(values), len(model.labels)), np.nan, np.float32)
    for column, outputs in enumerate(model.columns):
        for output in outputs:
            found[values[:, column] == NO, output] = 0
            if len(outputs) == 1:
                found[values[:, column] == YES, output] = 1
    return found


def fit(model: CustomModel, frames: Pictures, labels: Floats, folder: Path) -> None:
    """Has the file learn, and save what it learnt in `folder`, which is made. `model` predicts by it from then on.

    Raises CustomModelError with file and line.
    """
    if model.learning is None:
        raise CustomModelError(f"{model.file.name} cannot learn.", "Define fit, save and load in it.")
    folder.mkdir(parents=True)
    with blamed(model.file):
        model.learning.fit(frames, labels)
        model.learning.save(str(folder))


def digest_of(folder: Path) -> str:
    """The same for the same files of the same names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    said = [f"{path.relative_to(folder)} {sha256(path.read_bytes()).hexdigest()}" for path in files]
    return sha256("\n".join(said).encode()).hexdigest()[:16]


def _shared(counts: NDArray[np.intp], most: int) -> list[int]:
    """How many to take of each, at most `most` together: as equally as what there is allows."""
    taken = [0] * len(counts)
    for done, at in enumerate(np.argsort(counts, kind="stable").tolist()):
        taken[at] = min(int(counts[at]), most // (len(counts) - done))
        most -= taken[at]
    return taken
