"""Perceptual hashes and sharpness: ImageHash's `phash`, many at a time, and of a whole video in one decode.

The hash is Zauner's (2010): the 8 x 8 lowest frequencies of the discrete cosine transform of a 32 x 32 grey picture,
each one bit: above the median or not. Sharpness is the variance of the Laplacian (Pech-Pacheco et al., 2000). These, the
brightness and the entropy are what suggestions leave bad pictures out by (`sampling/quality.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.roi import RegionOfInterest
from ml_backend.video.decode import Picture, Pulse, Skip, decode, in_background
from ml_backend.video.demux import Packets, demux
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.video.view import WHOLE
from sampling.quality import entropy_of

HASH_INPUT = 32
# What embedding keeps of a video; looking at more frames than these takes a decode of its own.
SAMPLES_PER_SECOND = 4.0
_BITS = 8
_BATCH = 64
# Key frames serve as samples when no gap between them is longer than this many samples' distance,
_TOLERANCE = 1.1
# or than this share of the video.
_CANDIDATES = 300


def phash(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(b, 32, 32) uint8 to (b,) uint64, the first bit of ImageHash's matrix the highest."""
    frequencies = dct(dct(grey.astype(np.float64), axis=1), axis=2)[:, :_BITS, :_BITS].reshape(len(grey), -1)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def hash_input(picture: Picture) -> NDArray[np.uint8]:
    """(32, 32) uint8."""
    return np.asarray(cv2.resize(picture.grey, (HASH_INPUT, HASH_INPUT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Of one (h, w) picture, 0 or more."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def sampled_frames(timeline: Timeline, sample_fps: float) -> NDArray[np.int64]:
    """(k,) int64: the frame shown at each multiple of 1 / `sample_fps` seconds, each frame once."""
    times = (timeline.pts - timeline.pts[0]) * float(timeline.time_base)
    # By frame and not by moment: a damaged time stamp may make a file of a few frames last for years.
    before = np.maximum(np.ceil((times - 1e-6) * sample_fps), 0)
    every = np.append(before, np.floor((times[-1] + 1e-9) * sample_fps) + 1)
    return np.flatnonzero(np.diff(every) > 0).astype(np.int64)


def video_samples(path: Path, sample_fps: float, roi: RegionOfInterest | None = None) -> tuple[Timeline, Samples]:
    """The timeline of `path` and samples of frames about 1 / `sample_fps` seconds apart, from one decode; of a region
    of interest, where there is one.

    Decodes key frames only where they are close enough together, and else leaves out the frames that no other needs: a
    sample is then the first frame decoded at its time or after. Raises VideoUnreadable.
    """
    demuxed = demux(path)
    timeline = Timeline(demuxed.pts, demuxed.time_base, demuxed.duration, demuxed.early)
    sampling = Sampling(sampled_frames(timeline, sample_fps))
    pulse = Pulse()
    skip: Skip = "nonkey" if _key_frames_serve(timeline, demuxed.packets, sample_fps) else "nonref"

    def taken() -> Iterator[FrameIndex]:
        for picture in decode(path, timeline, wanted=sampling.due, skip=skip, pulse=pulse, view=WHOLE.at(roi)):
            sampling.add(picture)
            yield picture.index

    for _ in in_background(taken, 1, pulse=pulse):
        pass
    return timeline, sampling.finish()


def _key_frames_serve(timeline: Timeline, packets: Packets, sample_fps: float) -> bool:
    """Whether key frames are as close as the samples, or in a long video so many that a few can be chosen among them."""
    times = np.concatenate([np.sort(packets.pts[packets.key]), timeline.pts[-1:]]) * float(timeline.time_base)
    if len(times) < 2 or times[0] > float(timeline.pts[0] * timeline.time_base):
        return False
    length = times[-1] - times[0]
    return bool(np.diff(times).max() <= max(_TOLERANCE / sample_fps, length / _CANDIDATES))


class Sampling:
    """Collects samples of a video as it is decoded: of each of the `wanted` frames, or of the next one there is."""

    def __init__(self, wanted: NDArray[np.int64]) -> None:
        self._wanted = deque(wanted.tolist())
        self._frames: list[int] = []
        self._inputs: list[NDArray[np.uint8]] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._figures: list[tuple[float, float, float]] = []

    def due(self, index: FrameIndex) -> bool:
        """Whether the frame `index`, or one before it that was not decoded, is wanted."""
        return bool(self._wanted) and index >= self._wanted[0]

    def add(self, picture: Picture) -> None:
        """Takes a picture that is due."""
        while self.due(picture.index):
            self._wanted.popleft()
        self._frames.append(picture.index)
        self._inputs.append(hash_input(picture))
        self._figures.append((sharpness(picture.grey), float(picture.grey.mean()), entropy_of(picture.grey)))
        if len(self._inputs) == _BATCH:
            self._hash()

    def finish(self) -> Samples:
        self._hash()
        sharp, bright, entropy = np.array(self._figures, np.float32).T.copy()
        return Samples(np.array(self._frames, np.int64), np.concatenate(self._hashes), sharp, bright, entropy)

    def _hash(self) -> None:
        if self._inputs:
            self._hashes.append(phash(np.stack(self._inputs)))
            self._inputs.clear()


def stored_samples(features: VideoFeatures, sample_fps: float) -> Samples | None:
    """The samples that embedding left behind, thinned to about `sample_fps`; None when that is more than it keeps."""
    samples = features.samples
    if sample_fps > SAMPLES_PER_SECOND or not len(samples.frames):
        return None
    wanted = sampled_frames(features.timeline, sample_fps)
    return samples.at(np.unique(np.searchsorted(samples.frames, wanted).clip(0, len(samples.frames) - 1)))
