"""The pictures of labelled frames, decoded once and held on disk, for models that learn from pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import StorageError
from ml_backend.learning.examples import Examples, LabelledVideo, examples, thin
from ml_backend.roi import RegionOfInterest
from ml_backend.video.whole_frames import decode_sized

# What the pictures of one training may take on disk.
MOST_BYTES = 4 * 1024**3


@dataclass(frozen=True, eq=False)
class Pictures:
    """k labelled frames of some videos, video by video.

    `pixels`: (k, height, width, 3) uint8 RGB. `values`: (k, L) int8 as in `FrameLabels`. `weight`: (k,) float32, how many
    frames, in trust, each stands for.
    """

    pixels: NDArray[np.uint8]
    values: NDArray[np.int8]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


def pictures_of(
    videos: Sequence[LabelledVideo],
    labels: Sequence[str],
    path_of: Callable[[LabelledVideo], Path],
    roi_of: Callable[[LabelledVideo], RegionOfInterest | None] = lambda video: None,
    *,
    size: tuple[int, int],
    step: int,
    most: int,
    folder: Path,
    progress: Callable[[float], None] | None = None,
) -> Pictures:
    """Every `step`th known frame, and one of each run that has none of those; at most `most`, evenly left out.

    See `pictures_at` for the rest.
    """
    names = tuple(labels)
    chosen = _chosen(videos, names, step, min(most, most_pictures(size)))
    return pictures_at(videos, chosen, names, path_of, roi_of, size=size, folder=folder, progress=progress)


def most_pictures(size: tuple[int, int]) -> int:
    """How many of this height and width one training may have."""
    return max(MOST_BYTES // (size[0] * size[1] * 3), 1)


def pictures_at(
    videos: Sequence[LabelledVideo],
    chosen: Sequence[Examples],
    labels: Sequence[str],
    path_of: Callable[[LabelledVideo], Path],
    roi_of: Callable[[LabelledVideo], RegionOfInterest | None] = lambda video: None,
    *,
    size: tuple[int, int],
    folder: Path,
    progress: Callable[[float], None] | None = None,
) -> Pictures:
    """The pictures of the `chosen` frames of each video; those that do not decode are left out.

    `size`: height and width. `roi_of`: the part of a video's pictures that is shown.

    The pixels lie in a file without a name under `folder`, which is gone with the process.
    Raises VideoError, and StorageError when the disk is full.
    """
    values: list[NDArray[np.int8]] = []
    weight: list[NDArray[np.float32]] = []
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for done, (video, rows) in enumerate(zip(videos, chosen, strict=True)):
                wanted = {int(frame): position for position, frame in enumerate(rows.frames)}
                got = []
                timeline = video.features.timeline
                for index, picture in decode_sized(path_of(video), timeline, size, wanted.__contains__, roi_of(video)):
                    file.write(picture.tobytes())
                    got.append(wanted[index])
                values.append(rows.values[got])
                weight.append(rows.weight[got])
                if progress is not None:
                    progress((done + 1) / len(videos))
            file.flush()
            shape = (sum(map(len, values)), *size, 3)
            # What is mapped stays when the file is closed.
            pixels = np.memmap(file, np.uint8, "r", shape=shape) if shape[0] else np.zeros(shape, np.uint8)
    except OSError as error:
        raise StorageError(
            f"The pictures to learn from cannot be written under {folder}: {error.strerror or error}.",
            "Free up disk space there.",
        ) from error
    none = np.zeros((0, len(labels)), np.int8)
    return Pictures(pixels, np.concatenate([none, *values]), np.concatenate([np.zeros(0, np.float32), *weight]))


def _chosen(videos: Sequence[LabelledVideo], labels: tuple[str, ...], step: int, most: int) -> list[Examples]:
    found = []
    for video in videos:
        known = video.labels.select(labels).resized(len(video.features.timeline))
        found.append(examples(known, np.arange(0, len(known), step)))
    total = sum(map(len, found))
    return found if total <= most else [thin(rows, len(rows) * most // total) for rows in found]
