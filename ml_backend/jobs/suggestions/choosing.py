"""Which frames of a video are suggested before there is a model: bad pictures are left out, then the project's strategy picks."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import Samples
from ml_backend.project_settings import ProjectSettings
from ml_backend.video.inspection import Finding
from sampling.at_random import at_random
from sampling.auto import auto
from sampling.candidates import Candidates
from sampling.quality import Quality, quality
from sampling.shots import hash_differences, shots
from sampling.spacing import nearest
from sampling.uniform import thin, uniform
from sampling.unique import unique

Frames = NDArray[np.int64]
NOT_SUGGESTED = "not-suggested"


def judged(samples: Samples) -> Quality:
    """How good the sampled pictures are, compared with each other."""
    figures = Candidates(
        samples.frames,
        hashes=samples.hashes,
        sharpness=samples.sharpness,
        brightness=samples.brightness,
        entropy=samples.entropy,
    )
    return quality(figures)


def first_frames(settings: ProjectSettings, length: int, samples: Samples, found: Quality, content: str) -> Frames:
    """At most `frames_per_video` of a video's `length` frames by the project's strategy; of samples judged as `found`.

    `content`: the video's, which decides what chance draws of it.
    """
    count = settings.frames_per_video
    if settings.sampling == "uniform":
        return _moved(uniform(length, count), samples, found)
    if settings.sampling == "random":
        gap = length // (4 * count)
        drawn = at_random(np.arange(length), count, gap=gap, seed=zlib.crc32(content.encode()))
        return _moved(drawn, samples, found)
    kept = samples.at(np.flatnonzero(found.kept))
    if settings.sampling == "shots":
        return shots(hash_differences(kept.hashes), count, frames=kept.frames)
    if settings.sampling == "unique":
        return thin(unique(kept.frames, kept.hashes, settings.hash_threshold), count)
    return auto(Candidates(kept.frames, hashes=kept.hashes), count, threshold=settings.hash_threshold)


def suggestible(rows: NDArray[np.floating], frames: Frames, samples: Samples, found: Quality) -> Candidates:
    """Of the embedded `frames` (m,), which `rows` (m, d) tell apart, those that are good enough; all of them when none is."""
    kept = ~_bad(frames, samples, found)
    return Candidates(frames, embeddings=rows).only(kept if kept.any() else ~kept)


def left_out(name: str, found: Quality) -> Finding | None:
    """What to say of a video some of whose sampled pictures were not good enough to be suggested."""
    dropped = found.dropped
    if not dropped:
        return None
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items(), key=lambda each: -each[1]))
    message = f"Of {len(found.reasons)} pictures of {name} that were examined, some are not suggested: {reasons}."
    remedy = "They are still predicted; no action is needed."
    return Finding(NOT_SUGGESTED, message, remedy, "note")


def _moved(frames: Frames, samples: Samples, found: Quality) -> Frames:
    """`frames`, but in place of a bad picture the nearest sampled one that was kept."""
    if not len(samples.frames):
        return frames
    kept = samples.frames[found.kept]
    instead = kept[nearest(kept, frames)]
    return np.asarray(np.unique(np.where(_bad(frames, samples, found), instead, frames)), np.int64)


def _bad(frames: Frames, samples: Samples, found: Quality) -> NDArray[np.bool_]:
    """(m,) bool: whether the nearest sample is bad, and not just the same picture once more."""
    if not len(samples.frames):
        return np.zeros(len(frames), bool)
    bad = np.array([reason not in (None, "frozen") for reason in found.reasons])
    near = np.median(np.diff(samples.frames)) / 2 if len(bad) > 1 else 0
    sample = nearest(samples.frames, frames)
    return np.asarray(bad[sample] & (np.abs(frames - samples.frames[sample]) <= near))
