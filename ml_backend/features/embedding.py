"""From a video file to its features: decoded once, embedded, hashed, stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import BLOCKS, VideoFeatures
from ml_backend.features.hashing import hash_input, phash, sampled_frames
from ml_backend.features.motion import GREY, motion
from ml_backend.features.store import FeatureStore
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline

__all__ = ["BLOCKS", "VideoFeatures", "video_features"]

HASHES_PER_SECOND = 4.0


def video_features(
    path: Path,
    backbone: Backbone,
    store: FeatureStore,
    content: str,
    progress: Callable[[float], None] | None = None,
) -> VideoFeatures:
    """The features of the video at `path`, whose content hash is `content`: from `store`, or made and put there.

    `progress` is called with the share of frames done, 0..1. Raises VideoUnreadable, StorageError.
    """
    if (known := store.load(content, backbone.key)) is not None:
        return known
    timeline = read_timeline(path)
    hashed = set(sampled_frames(timeline, HASHES_PER_SECOND).tolist())
    frames, greys, inputs, hash_frames, rows = [], [], [], [], {name: [] for name in BLOCKS[:-1]}
    batch = []

    def flush():
        for name, values in backbone.embed(np.stack(batch)).items():
            rows[name].append(values.astype(np.float16))
        batch.clear()
        if progress:
            progress(len(frames) / len(timeline))

    for picture in decode(path, timeline):
        frames.append(picture.index)
        greys.append(cv2.resize(picture.grey, (GREY, GREY), interpolation=cv2.INTER_AREA))
        if picture.index in hashed:
            hash_frames.append(picture.index)
            inputs.append(hash_input(picture))
        batch.append(picture.rgb)
        if len(batch) == backbone.batch:
            flush()
    if batch:
        flush()
    blocks = {name: np.concatenate(parts) for name, parts in rows.items()}
    blocks["motion"] = motion(np.stack(greys), blocks["appearance"].astype(np.float32)).astype(np.float16)
    features = VideoFeatures(
        timeline.truncated(frames[-1] + 1),
        np.array(frames, np.int64),
        blocks,
        len(timeline),
        np.array(hash_frames, np.int64),
        phash(np.stack(inputs)),
    )
    store.save(content, backbone.key, features)
    return features
