"""What a text model sees of a video: a few frames a second, in one decode, kept beside the embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import TextView, VideoFeatures
from ml_backend.features.hashing import sampled_frames
from ml_backend.features.store import FeatureStore
from ml_backend.features.text import TextModel
from ml_backend.roi import RegionOfInterest
from ml_backend.video.decode import in_background
from ml_backend.video.view import WHOLE
from ml_backend.video.whole_frames import decode_sized
from sampling.spacing import nearest

FRAMES_PER_SECOND = 2.0
# Of a long video, evenly: on a processor the network takes longer than decoding does.
MOST_FRAMES = 600
_BATCH = 32
_BLOCK = "text"


def frames_to_look_at(features: VideoFeatures) -> NDArray[np.int64]:
    """(k,) int64, ascending: the embedded frames nearest to two a second."""
    wanted = sampled_frames(features.timeline, FRAMES_PER_SECOND)
    if len(wanted) > MOST_FRAMES:
        wanted = wanted[np.linspace(0, len(wanted) - 1, MOST_FRAMES).round().astype(np.int64)]
    return np.asarray(np.unique(features.frames[nearest(features.frames, wanted, tie="after")]), np.int64)


def known_view(store: FeatureStore, content: str, model: str, roi: RegionOfInterest | None = None) -> TextView | None:
    """What the text model `model` (its key) saw of a video before, or of this part of its pictures."""
    found = store.load(content, model + WHOLE.at(roi).part)
    return None if found is None else TextView(model, found.frames, np.array(found.blocks[_BLOCK]))


def text_view(
    path: Path,
    features: VideoFeatures,
    model: TextModel,
    store: FeatureStore,
    content: str,
    progress: Callable[[float], None] | None = None,
    roi: RegionOfInterest | None = None,
) -> TextView:
    """What `model` sees of the video at `path`, from `store` or put there. `progress`: share of the frames done, 0..1.
    `roi`: the part of its pictures that is shown, None for all.

    Raises VideoUnreadable, StorageError and DeviceFull.
    """
    if (known := known_view(store, content, model.key, roi)) is not None:
        return known
    asked = frames_to_look_at(features)
    wanted = set(asked.tolist())
    frames: list[int] = []
    rows: list[NDArray[np.float16]] = []
    batch: list[NDArray[np.uint8]] = []

    def embed() -> None:
        rows.append(model.pictures(np.stack(batch)).astype(np.float16))
        batch.clear()
        if progress is not None:
            progress(len(frames) / len(asked))

    size = (model.size, model.size)
    for index, picture in in_background(
        lambda: decode_sized(path, features.timeline, size, wanted.__contains__, roi), 2 * _BATCH
    ):
        frames.append(index)
        batch.append(picture)
        if len(batch) == _BATCH:
            embed()
    if batch:
        embed()
    seen = VideoFeatures(
        features.timeline, np.array(frames, np.int64), {_BLOCK: np.concatenate(rows)}, features.promised
    )
    store.save(content, model.key + WHOLE.at(roi).part, seen)
    return TextView(model.key, seen.frames, seen.blocks[_BLOCK])
