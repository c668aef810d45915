"""Trying a researcher's model file on a real video, the way a worker runs it, before any project depends on it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.learning.custom.loader import listed
from ml_backend.learning.custom.model import BATCH, CustomModel, files_of, load_custom, video_probabilities, words_of
from ml_backend.learning.custom.versions import fit
from ml_backend.video.timeline import FrameIndex, Timeline, read_timeline
from ml_backend.video.whole_frames import decode_sized

# Three batches: enough to time the model, and soon over with a slow one.
FRAMES = 3 * BATCH
_SHOWN = 8
_LEARNT = "learnt"


@dataclass(frozen=True)
class TriedFrame:
    """`index`: frame index; `probabilities` in 0..1, as many as there are labels."""

    index: int
    seconds: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class CustomCheck:
    """What a model file did on the first frames of a video.

    `labels`: what the probabilities stand for: the project's labels, or the file's own. `outputs`: what the file calls
    them. `size`: height and width of the pictures it was given. `shape`: of all its answers, frames and labels.
    `lowest`, `highest`: the range of its probabilities. `frames_per_second`: decoding included. `fit_seconds`: what its
    `fit` took on 32 frames with made-up labels, by which it then predicted; None when it does not learn. `notes`: what
    works and is probably not meant.
    """

    file: str
    labels: tuple[str, ...]
    outputs: tuple[str, ...]
    size: tuple[int, int]
    shape: tuple[int, int]
    lowest: float
    highest: float
    frames_per_second: float
    fit_seconds: float | None
    first: tuple[TriedFrame, ...]
    notes: tuple[str, ...]


def check_custom(
    file: Path,
    video: Path,
    project_labels: Sequence[str] | None = None,
    predicted_values: Mapping[str, str] | None = None,
) -> CustomCheck:
    """Load a copy of the file, as each version is one, and run it on the first 96 frames of `video`.

    Without `project_labels` the file's own stand in for them. Raises CustomModelError with file and line, VideoError.
    """
    file = file.absolute()
    timeline = read_timeline(video)
    timeline = timeline.truncated(min(FRAMES, len(timeline)))
    words = words_of(file, lambda size: _pictures(video, timeline, size))
    labels = words if project_labels is None else tuple(project_labels)
    learns = load_custom(file, labels, predicted_values, tried=False).learning is not None
    if not learns:
        load_custom(file, labels, predicted_values)
    with tempfile.TemporaryDirectory() as folder:
        for each in files_of(file):
            shutil.copy2(each, folder)
        copy = Path(folder) / file.name
        model = _copied(copy, labels, predicted_values, tried=not learns)
        fit_seconds = None
        if learns:
            fit_seconds = _fitted(model, _pictures(video, timeline.truncated(min(BATCH, len(timeline))), model.size))
            # Read in a fresh start, as another worker would.
            model = load_custom(copy, labels, predicted_values, learnt=copy.with_name(_LEARNT))
        started = time.perf_counter()
        found = video_probabilities(model, video, timeline, exclusive=False)
        seconds = time.perf_counter() - started
    unmeant = [word for word in words if word not in model.labels] + list(model.ignored)
    return CustomCheck(
        file.name,
        labels,
        model.labels,
        model.size,
        (len(found), len(labels)),
        float(found.min()),
        float(found.max()),
        round(len(found) / seconds, 1),
        fit_seconds,
        tuple(
            TriedFrame(index, round(float(timeline.seconds(FrameIndex(index))), 3), tuple(map(float, row)))
            for index, row in enumerate(found[:_SHOWN])
        ),
        tuple(_notes(model, found, unmeant)),
    )


def _pictures(video: Path, timeline: Timeline, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.stack([picture for _, picture in islice(decode_sized(video, timeline, size), len(timeline))])


def _fitted(model: CustomModel, pictures: NDArray[np.uint8]) -> float:
    """Has the file learn that each label fills a part of the pictures, one of them unknown; returns seconds."""
    part = np.arange(len(pictures)) * len(model.labels) // len(pictures)
    made = np.eye(len(model.labels), dtype=np.float32)[part]
    made[0] = np.nan
    started = time.perf_counter()
    fit(model, pictures, made, model.file.with_name(_LEARNT))
    return round(time.perf_counter() - started, 2)


def _copied(
    copy: Path, labels: Sequence[str], predicted_values: Mapping[str, str] | None, *, tried: bool
) -> CustomModel:
    try:
        return load_custom(copy, labels, predicted_values, tried=tried)
    except CustomModelError as error:
        raise CustomModelError(
            f"The file loads from its own folder, but a copy elsewhere does not: {error.message}",
            "Each version is a copy of the file: refer to files by full paths, and import only installed packages.",
        ) from error


def _notes(model: CustomModel, found: NDArray[np.float32], unmeant: Sequence[str]) -> list[str]:
    notes = [model.unfit] if model.unfit else []
    if unmeant:
        notes.append(f"It answers {listed(unmeant)}, which no label of the project means; that is ignored.")
    if missing := [label for label, at in zip(model.project_labels, model.columns, strict=True) if not at]:
        notes.append(f"It never predicts {listed(missing)}.")
    if len(found) > 1 and float(np.ptp(found, axis=0).max(initial=0)) < 1e-4:
        notes.append("All frames got the same answer. If they look different, check the input size and normalization.")
    return notes
