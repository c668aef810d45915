"""Embedding more frames of a video whose features exist already, for example around a label's change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import BLOCKS, VideoFeatures
from ml_backend.features.motion import REACH, motion
from ml_backend.features.store import FeatureStore
from ml_backend.video.decode import Picture, Pulse, decode, in_background
from ml_backend.video.timeline import FrameIndex

# Parts of a video further apart than this are sought one by one instead of decoding what lies between.
_FAR = 300
_AHEAD = 32


def refine(
    path: Path,
    features: VideoFeatures,
    frames: Iterable[int],
    backbone: Backbone,
    store: FeatureStore,
    content: str,
) -> VideoFeatures:
    """`features` with the frame indices `frames` embedded as well; the store's entry is replaced by the result.

    Decodes only the parts of the video that these frames are in. Raises VideoUnreadable, StorageError.
    """
    asked = np.unique(np.fromiter(frames, np.int64))
    new = np.setdiff1d(asked[(asked >= 0) & (asked < len(features))], features.frames)
    if not len(new):
        return features
    found: list[NDArray[np.int64]] = [features.frames]
    # An entry of an older version may hold blocks that are no longer made.
    blocks: dict[str, list[NDArray[np.floating]]] = {name: [features.blocks[name]] for name in BLOCKS}
    for part in np.split(new, np.flatnonzero(np.diff(new) > _FAR) + 1):
        got, rows = _part(path, features, part, backbone)
        found.append(got)
        for name in blocks:
            blocks[name].append(rows[name])
    order = np.argsort(np.concatenate(found), kind="stable")
    merged = replace(
        features,
        frames=np.concatenate(found)[order],
        blocks={name: np.concatenate(parts).astype(np.float16)[order] for name, parts in blocks.items()},
    )
    store.save(content, backbone.key, merged)
    return merged


def _part(
    path: Path, features: VideoFeatures, new: NDArray[np.int64], backbone: Backbone
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.floating]]]:
    first, last = max(int(new[0]) - REACH, 0), min(int(new[-1]) + REACH, len(features) - 1)
    asked = set(new.tolist())
    indices: list[int] = []
    grey: list[NDArray[np.uint8]] = []
    got: list[int] = []
    batch: list[Picture] = []
    rows: dict[str, list[NDArray[np.floating]]] = {}

    def embed() -> None:
        for name, values in backbone.embed(np.stack([picture.rgb for picture in batch])).items():
            rows.setdefault(name, []).append(values)
        batch.clear()

    pulse = Pulse()

    def decoded() -> Iterator[Picture]:
        return decode(
            path, features.timeline, first=FrameIndex(first), last=FrameIndex(last), pulse=pulse, view=backbone.view
        )

    for picture in in_background(decoded, _AHEAD, pulse=pulse):
        indices.append(picture.index)
        grey.append(picture.grey)
        if picture.index in asked:
            got.append(picture.index)
            batch.append(picture)
            if len(batch) == backbone.batch:
                embed()
    if batch:
        embed()
    if not got:
        return np.zeros(0, np.int64), {name: features.blocks[name][:0] for name in BLOCKS}
    blocks: dict[str, NDArray[np.floating]] = {name: np.concatenate(parts) for name, parts in rows.items()}
    at = np.array(got, np.int64)
    # Motion counts frames by their position among the decoded ones, and needs an embedding at or beyond either end.
    near = np.unique(np.searchsorted(features.frames, [first, last], side="right").clip(0, len(features.frames) - 1))
    known = slice(max(int(near[0]) - 1, 0), int(near[-1]) + 1)
    positions = np.concatenate([features.frames[known], at])
    appearance = np.concatenate([features.blocks["appearance"][known].astype(np.float32), blocks["appearance"]])
    order = np.argsort(positions)
    moved = motion(np.stack(grey), positions[order] - indices[0], appearance[order])
    blocks["motion"] = moved[np.searchsorted(indices, at)]
    return at, blocks
