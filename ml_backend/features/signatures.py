"""Whether two files are the same video, encoded differently.

The signature of a video is the perceptual hash of frames at fixed fractions of its length. Two are those of one video when
they agree at equal times, and clearly better than at different times: so films of one still scene are not taken for copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.features.hashing import hash_input, phash
from ml_backend.video.decode import decode
from ml_backend.video.demux import demux
from ml_backend.video.timeline import FrameIndex, Timeline
from sampling.duplicates import groups, hash_pairs
from sampling.picture_hashes import image_hashes

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
            found[picture.index] = hash_input(picture)
    else:
        for index in np.unique(wanted).tolist():
            with suppress(VideoUnreadable):
                for picture in decode(path, timeline, first=FrameIndex(index), last=FrameIndex(index)):
                    found[index] = hash_input(picture)
    if not found:
        raise VideoUnreadable(
            f"No frame of {path.name} can be decoded.", "Check that it plays, or upload another file."
        )
    known = np.array(sorted(found))
    # In place of frames that are damaged, their neighbours.
    nearest = known[np.abs(known[None, :] - wanted[:, None]).argmin(axis=1)]
    return Signature(phash(np.stack([found[index] for index in nearest.tolist()])), float(times[-1] - times[0]))


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
