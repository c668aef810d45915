"""Letting a researcher's file learn: which frames it is given, what its labels mean to it, and what it keeps.

`fit(frames, labels)` gets (N, H, W, 3) uint8 RGB at the file's `input_size` and (N, L) float32, a column for each of the
file's own labels: 1 yes, 0 no, NaN unknown. `save(folder)` then writes what was learnt, and `load(folder)` reads it in
another process.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.learning.custom.loader import Floats, Pictures, blamed
from ml_backend.learning.custom.model import CustomModel
from ml_backend.learning.examples import Examples, LabelledVideo
from ml_backend.learning.frame_labels import NO, UNTOUCHED_WEIGHT, YES

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
