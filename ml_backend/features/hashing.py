"""Perceptual hashes and sharpness: ImageHash's `phash`, many at a time, of a whole video in one decode; and by them whether two files are
the same video."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from ml_backend.errors import VideoUnreadable
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.roi import RegionOfInterest
from ml_backend.video.decode import Picture, Pulse, Skip, decode, in_background
from ml_backend.video.demux import Packets, demux
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.video.view import GREY, WHOLE
from sampling.duplicates import groups, hash_pairs
from sampling.quality import entropies
from sampling.unique import image_hashes

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


def hash_inputs(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(b, 64, 64) to (b, 32, 32) uint8."""
    # Half as high and wide, so that no picture reaches into the next one.
    small = cv2.resize(grey.reshape(-1, GREY), (HASH_INPUT, len(grey) * HASH_INPUT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(-1, HASH_INPUT, HASH_INPUT)


def sharpness(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The variance of the Laplacian: (b,), 0 or more, of (b, h, w) pictures."""
    pictures, height, width = grey.shape
    # One below another, each between its second row and its last but one, as if mirrored at its rim.
    tall = np.empty((pictures, height + 2, width), np.uint8)
    tall[:, 1:-1], tall[:, 0], tall[:, -1] = grey, grey[:, min(1, height - 1)], grey[:, max(height - 2, 0)]
    edges = cv2.Laplacian(tall.reshape(-1, width), cv2.CV_32F).reshape(tall.shape)
    return np.asarray(edges[:, 1:-1].var(axis=(1, 2)), np.float32)


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
        self._grey: list[NDArray[np.uint8]] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._figures: list[NDArray[np.float32]] = []

    def due(self, index: FrameIndex) -> bool:
        """Whether the frame `index`, or one before it that was not decoded, is wanted."""
        return bool(self._wanted) and index >= self._wanted[0]

    def add(self, picture: Picture) -> None:
        """Takes a picture that is due."""
        while self.due(picture.index):
            self._wanted.popleft()
        self._frames.append(picture.index)
        self._grey.append(picture.grey)
        if len(self._grey) == _BATCH:
            self._look()

    def finish(self) -> Samples:
        self._look()
        # None at all of a view that shows one moment, where time stamps are damaged.
        sharp, bright, entropy = np.concatenate([np.empty((3, 0), np.float32), *self._figures], axis=1)
        hashes = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        return Samples(np.array(self._frames, np.int64), hashes, sharp, bright, entropy)

    def _look(self) -> None:
        """At many at once: where other threads decode, each small step waits for its turn."""
        if self._grey:
            grey = np.stack(self._grey)
            self._hashes.append(phash(hash_inputs(grey)))
            self._figures.append(
                np.stack([sharpness(grey), grey.mean(axis=(1, 2)), entropies(grey)]).astype(np.float32)
            )
            self._grey.clear()


def stored_samples(features: VideoFeatures, sample_fps: float) -> Samples | None:
    """The samples that embedding left behind, thinned to about `sample_fps`; None when that is more than it keeps."""
    samples = features.samples
    if sample_fps > SAMPLES_PER_SECOND or not len(samples.frames):
        return None
    wanted = sampled_frames(features.timeline, sample_fps)
    return samples.at(np.unique(np.searchsorted(samples.frames, wanted).clip(0, len(samples.frames) - 1)))


FRAMES = 24
# Bits of 64, on average. Copies at half the size differ in .8, tiny ones in up to 8; other pictures in about 30.
# One person in two clips, moving alike, differs by half of what the clips do at other times, a copy by 35 % at most.
_MOST_BITS = 8.0
_CLEARLY = 0.6
_CLEARLY_BITS = 2.0
_LENGTH = 0.02
_LENGTH_SECONDS = 0.5
# Samples further apart than this, in seconds, do not show the same picture as those of another file.
_SAMPLES_APART = 0.5
_PAIRS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Signature:
    """`hashes`: (FRAMES,) uint64. `seconds`: from the first frame to the last."""

    hashes: NDArray[np.uint64]
    seconds: float

    def text(self) -> str:
        return "".join(map(str, image_hashes(self.hashes)))

    @classmethod
    def parse(cls, text: str, seconds: float) -> Signature:
        """Raises ValueError when `text` is not what `text()` gives."""
        if len(text) != 16 * FRAMES:
            raise ValueError("not a signature")
        return cls(np.array([int(text[at : at + 16], 16) for at in range(0, len(text), 16)], np.uint64), seconds)


def signature(path: Path, timeline: Timeline) -> Signature:
    """Decodes only what is needed for it. Raises VideoUnreadable when nothing decodes."""
    times = _times(timeline)
    wanted = np.searchsorted(times, _moments(times), side="right") - 1
    sparse = int(demux(path).packets.key.sum()) < 2 * FRAMES
    found: dict[int, NDArray[np.uint8]] = {}
    if sparse:
        for picture in decode(path, timeline, wanted=set(wanted.tolist()).__contains__):
            found[picture.index] = picture.grey
    else:
        for index in np.unique(wanted).tolist():
            with suppress(VideoUnreadable):
                for picture in decode(path, timeline, first=FrameIndex(index), last=FrameIndex(index)):
                    found[index] = picture.grey
    if not found:
        raise VideoUnreadable(
            f"No frame of {path.name} can be decoded.", "Check that it plays, or upload another file."
        )
    known = np.array(sorted(found))
    # In place of frames that are damaged, their neighbours.
    nearest = known[np.abs(known[None, :] - wanted[:, None]).argmin(axis=1)]
    hashes = phash(hash_inputs(np.stack([found[index] for index in nearest.tolist()])))
    return Signature(hashes, float(times[-1] - times[0]))


def signature_of_features(features: VideoFeatures) -> Signature | None:
    """From the hashes that embedding left behind; None when they are too far apart."""
    return signature_of_samples(features.timeline, features.samples)


def signature_of_samples(timeline: Timeline, samples: Samples) -> Signature | None:
    """From the hashes of some frames of a video; None when they are too far apart."""
    times = _times(timeline)
    sampled = times[samples.frames[samples.frames < len(times)]]
    if not len(sampled):
        return None
    moments = _moments(times)
    nearest = np.abs(sampled[None, :] - moments[:, None]).argmin(axis=1)
    if np.abs(sampled[nearest] - moments).max() > _SAMPLES_APART:
        return None
    return Signature(samples.hashes[nearest], float(times[-1] - times[0]))


def alike(one: Signature, other: Signature) -> bool:
    """Whether both are of the same video."""
    first, second = (each.hashes[None] for each in (one, other))
    return bool(_alike(first, second, np.array([one.seconds]), np.array([other.seconds]))[0])


def copy_among(one: Signature, hashes: NDArray[np.uint64], seconds: NDArray[np.float64]) -> int | None:
    """The position of the first of v signatures, given as (v, FRAMES) hashes and (v,) seconds, of the same video as `one`."""
    near = np.flatnonzero(np.abs(seconds - one.seconds) <= 2 * max(_LENGTH_SECONDS, _LENGTH * one.seconds))
    same = np.bitwise_count(hashes[near] ^ one.hashes).mean(axis=1) <= _MOST_BITS
    for position in near[same].tolist():
        if alike(Signature(hashes[position], float(seconds[position])), one):
            return int(position)
    return None


def copies(signatures: Sequence[Signature | None]) -> NDArray[np.intp]:
    """(v,) for each signature the position of the first that it is a copy of, be it over others: its own when of none.

    Two are compared when they nearly agree at one of the moments, so that many videos cost little more than a few.
    """
    known = np.array([position for position, each in enumerate(signatures) if each is not None], np.intp)
    if not len(known):
        return np.arange(len(signatures), dtype=np.intp)
    hashes = np.stack([each.hashes for each in signatures if each is not None])
    seconds = np.array([each.seconds for each in signatures if each is not None])

    def pairs() -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        for moment in range(FRAMES):
            for left, right in hash_pairs(hashes[:, moment]):
                for at in range(0, len(left), _PAIRS_AT_ONCE):
                    one, other = left[at : at + _PAIRS_AT_ONCE], right[at : at + _PAIRS_AT_ONCE]
                    same = _alike(hashes[one], hashes[other], seconds[one], seconds[other])
                    yield known[one[same]], known[other[same]]

    return groups(len(signatures), pairs())


def _alike(
    one: NDArray[np.uint64], other: NDArray[np.uint64], seconds: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(p,) of p pairs of signatures, given as (p, FRAMES) hashes and (p,) seconds."""
    same = np.bitwise_count(one ^ other).mean(axis=1)
    found = np.abs(seconds - others) <= np.maximum(_LENGTH_SECONDS, _LENGTH * seconds)
    found &= same <= _MOST_BITS
    # Most pairs end here.
    at = np.flatnonzero(found)
    bits = np.bitwise_count(one[at][:, :, None] ^ other[at][:, None, :]).sum(axis=(1, 2), dtype=np.float64)
    different = (bits - FRAMES * same[at]) / (FRAMES * (FRAMES - 1))
    found[at] = different - same[at] >= np.maximum(_CLEARLY * different, _CLEARLY_BITS)
    return np.asarray(found, np.bool_)


def _times(timeline: Timeline) -> NDArray[np.float64]:
    return np.asarray(timeline.microseconds / 1e6, np.float64)


def _moments(times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(times[0] + (np.arange(FRAMES) + 0.5) / FRAMES * (times[-1] - times[0]) + 1e-4, np.float64)
