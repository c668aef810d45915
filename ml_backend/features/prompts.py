"""Labels as words that a text model understands, what that model sees of a video, and how well the two fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ml_backend.features.blocks import TextView, VideoFeatures
from ml_backend.features.hashing import sampled_frames
from ml_backend.features.store import FeatureStore
from ml_backend.features.text import TextModel
from ml_backend.roi import RegionOfInterest
from ml_backend.video.decode import in_background
from ml_backend.video.view import WHOLE
from ml_backend.video.whole_frames import decode_sized
from sampling.candidates import nearest, unit

Floats = NDArray[np.float32]

TEMPLATES = ("{}", "a photo of {}", "a video frame that shows {}", "a picture of a scene with {}")
# What stands for "none of them": it fits every picture a little.
NEUTRAL = ("a photo", "a video frame", "a picture of a scene")


@dataclass(frozen=True, eq=False)
class Prompts:
    """`labels` as the text model `model` (its key) embeds them.

    `rows`: (L + 1, d) float32 of unit length, the last for none of the labels. `scale`: what cosines are multiplied by.
    """

    model: str
    labels: tuple[str, ...]
    rows: Floats
    scale: float

    def log_scores(self, rows: NDArray[np.floating]) -> Floats:
        """(m, d) embedded frames to (m, L + 1): the logarithm of how probable each label and none of them is."""
        return np.asarray(log_softmax(self.scale * (rows.astype(np.float32) @ self.rows.T), axis=1), np.float32)

    def scores(self, rows: NDArray[np.floating]) -> Floats:
        """(m, d) embedded frames to (m, L) in 0..1: how probable each label is, among all and none of them."""
        return np.exp(self.log_scores(rows)[:, :-1])


def prompts_of(model: TextModel, labels: Sequence[str], wording: Mapping[str, Sequence[str]]) -> Prompts:
    """`wording`: what people read of a label, where that is more than its name. Raises DeviceFull."""
    sentences = [sentences_for(wording.get(label) or (label,)) for label in labels] + [NEUTRAL]
    embedded = model.words([sentence for some in sentences for sentence in some])
    ends = np.cumsum([len(some) for some in sentences])
    rows = np.stack([part.mean(axis=0) for part in np.split(embedded, ends[:-1])])
    return Prompts(model.key, tuple(labels), unit(rows), model.scale)


def sentences_for(wording: Sequence[str]) -> tuple[str, ...]:
    """`left_turn` is read as "left turn"; a hint that is a sentence is taken without its full stop."""
    plain = [re.sub(r"(?<![\W_])[\W_]++$", "", re.sub(r"[\s_]+", " ", text)).strip() or text for text in wording]
    return tuple(template.format(text) for text in plain for template in TEMPLATES)


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
