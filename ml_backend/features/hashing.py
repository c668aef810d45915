"""Perceptual hashes: ImageHash's `phash`, many at a time, and of a whole video in one decode.

The hash is Zauner's (2010): the 8 x 8 lowest frequencies of the discrete cosine transform of a 32 x 32 grey picture,
each one bit: above the median or not.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from ml_backend.features.blocks import VideoFeatures
from ml_backend.video.decode import Picture, decode
from ml_backend.video.timeline import Timeline, read_timeline

HASH_INPUT = 32
_BITS = 8
_BATCH = 64


def phash(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(b, 32, 32) uint8 to (b,) uint64, the first bit of ImageHash's matrix the highest."""
    frequencies = dct(dct(grey.astype(np.float64), axis=1), axis=2)[:, :_BITS, :_BITS].reshape(len(grey), -1)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def hash_input(picture: Picture) -> NDArray[np.uint8]:
    """(32, 32) uint8."""
    return np.asarray(cv2.resize(picture.grey, (HASH_INPUT, HASH_INPUT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sampled_frames(timeline: Timeline, sample_fps: float) -> NDArray[np.int64]:
    """(k,) int64: the frame shown at each multiple of 1 / `sample_fps` seconds, each frame once."""
    times = (timeline.pts - timeline.pts[0]) * float(timeline.time_base)
    wanted = np.arange(0, times[-1] + 1e-9, 1 / sample_fps)
    return np.unique(np.searchsorted(times, wanted + 1e-6, side="right") - 1).astype(np.int64)


def video_hashes(path: Path, sample_fps: float) -> tuple[Timeline, NDArray[np.int64], NDArray[np.uint64]]:
    """The timeline of `path`, (k,) frame indices about 1 / `sample_fps` seconds apart, and their hashes, from one decode.

    Raises VideoUnreadable.
    """
    timeline = read_timeline(path)
    hashes = Hashes(sampled_frames(timeline, sample_fps))
    for picture in decode(path, timeline, only=hashes.wanted):
        hashes.add(picture)
    return timeline, *hashes.finish()


class Hashes:
    """Collects the hashes of the `wanted` frames of a video as it is decoded."""

    def __init__(self, wanted: NDArray[np.int64]) -> None:
        self.wanted = frozenset(wanted.tolist())
        self._frames: list[int] = []
        self._inputs: list[NDArray[np.uint8]] = []
        self._hashes: list[NDArray[np.uint64]] = []

    def add(self, picture: Picture) -> None:
        if picture.index in self.wanted:
            self._frames.append(picture.index)
            self._inputs.append(hash_input(picture))
            if len(self._inputs) == _BATCH:
                self._hash()

    def finish(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """(k,) frame indices, ascending, and (k,) hashes."""
        self._hash()
        return np.array(self._frames, np.int64), np.concatenate(self._hashes)

    def _hash(self) -> None:
        self._hashes.append(phash(np.array(self._inputs, np.uint8).reshape(-1, HASH_INPUT, HASH_INPUT)))
        self._inputs.clear()


def stored_hashes(features: VideoFeatures, sample_fps: float) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The hashes that embedding left behind, thinned to about `sample_fps`: (k,) frame indices and (k,) hashes."""
    wanted = sampled_frames(features.timeline, sample_fps)
    nearest = np.unique(np.searchsorted(features.hash_frames, wanted).clip(0, len(features.hash_frames) - 1))
    return features.hash_frames[nearest], features.hashes[nearest]
