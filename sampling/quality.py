"""Frames that are too bad to be worth a person's time: what to leave out of suggestions, and why.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000),
noise and emptiness show in the entropy of the grey values (Shannon, 1948). Nothing is compared with a fixed threshold.
A frame is bad when it stands out, on the bad side, from the frames around it as no more than a few frames of this video
do: beyond Tukey's outer fence (*Exploratory Data Analysis*, 1977) and by a factor. A scene that is dark or out of focus
throughout is what the video shows, and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from sampling.candidates import Candidates, Floats

Reason = Literal["black", "under-exposed", "over-exposed", "noisy", "blurred", "frozen"]
_Mask = NDArray[np.bool_]

# The frames around a frame, itself in the middle.
_AROUND = 9
# Fewer frames do not tell what is usual in a video.
_ENOUGH = 12
_FENCE = 3.0
# Besides the fence: half as sharp, half as bright, twice as detailed as the frames around.
_FACTOR = 2.0
# Of the video's 90th percentiles: a picture with less entropy and less brightness than these shares is empty, and dark.
_EMPTY, _DARK = 0.25, 0.1
# Of the video's 75th percentile: figures that change by less than this share are those of the same picture.
_STILL = 0.02
_MOST_BITS = 8.0
_WHITE = 255.0


@dataclass(frozen=True, eq=False)
class Quality:
    """`reasons`: (m,) of each frame why it is left out; None of those that are kept, of which there is one at least."""

    reasons: tuple[Reason | None, ...]

    @property
    def kept(self) -> _Mask:
        """(m,) bool."""
        return np.array([reason is None for reason in self.reasons], bool)

    @property
    def dropped(self) -> Mapping[Reason, int]:
        """How many frames are left out for each reason, 1 or more."""
        return Counter(reason for reason in self.reasons if reason is not None)


def quality(candidates: Candidates) -> Quality:
    """Which of the candidates are good enough to be shown to a person, by as many of their figures as are known.

    black: next to no entropy, and dark. under-exposed and over-exposed: half as far from black or white as the frames
    around. noisy: half as far from the greatest possible entropy, and twice as sharp. blurred: half as sharp. frozen: the
    picture before, once more. A reason that would leave nothing is passed over, so that something always stays. Of fewer
    than 12 frames only black and frozen ones are told.
    """
    reasons: NDArray[np.object_] = np.full(len(candidates), None)
    black = _black(candidates)
    # Many black frames would say nothing about what is usual among the others.
    others = np.arange(len(candidates)) if black is None or black.all() else np.flatnonzero(~black)
    reasons[np.setdiff1d(np.arange(len(candidates)), others)] = "black"
    seen = candidates.only(others)
    kept: _Mask = np.ones(len(seen), bool)
    # Frozen last: a bad picture that stands still is bad each time.
    for reason, found in [*_unlike_those_around(seen), ("frozen", _frozen(seen))]:
        if found is not None and (kept & ~found).any():
            reasons[others[kept & found]] = reason
            kept = kept & ~found
    return Quality(tuple(reasons))


def good(candidates: Candidates) -> Candidates:
    """The filter: those that `quality` keeps."""
    return candidates.only(quality(candidates).kept)


def entropy_of(grey: NDArray[np.uint8]) -> float:
    """Of one picture's grey values, 0..8 bits."""
    return float(entropies(grey[None])[0])


def entropies(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(b,) of the grey values of (b, h, w) pictures, each 0..8 bits."""
    pictures = len(grey)
    levels = grey.reshape(pictures, -1) + np.arange(pictures)[:, None] * 256
    counts = np.bincount(levels.ravel(), minlength=pictures * 256).reshape(pictures, 256)
    share = counts / max(levels.shape[1], 1)
    return np.asarray(-(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1) + 0.0, np.float64)


def _frozen(candidates: Candidates) -> _Mask | None:
    """The same hash, and figures that change next to nothing where others of the video do."""
    figures = [
        figure for figure in (candidates.sharpness, candidates.brightness, candidates.entropy) if figure is not None
    ]
    if candidates.hashes is None or not figures or not len(candidates):
        return None
    still: _Mask = candidates.hashes[1:] == candidates.hashes[:-1]
    for figure in figures:
        change = np.abs(np.diff(figure.astype(np.float64)))
        still &= change <= _STILL * np.percentile(change, 75) if len(change) else False
    return np.append(False, still)


def _black(candidates: Candidates) -> _Mask | None:
    if candidates.entropy is None or candidates.brightness is None or not len(candidates):
        return None
    empty = candidates.entropy <= _EMPTY * np.percentile(candidates.entropy, 90)
    return np.asarray(empty & (candidates.brightness <= _DARK * np.percentile(candidates.brightness, 90)))


def _unlike_those_around(candidates: Candidates) -> list[tuple[Reason, _Mask | None]]:
    if len(candidates) < _ENOUGH:
        return []
    sharp = None if candidates.sharpness is None else _against_neighbours(candidates.sharpness)
    found: list[tuple[Reason, _Mask | None]] = []
    if candidates.brightness is not None:
        found.append(("under-exposed", _low(_against_neighbours(candidates.brightness))))
        found.append(("over-exposed", _low(_against_neighbours(_WHITE - candidates.brightness))))
    if candidates.entropy is not None and sharp is not None:
        full = _low(_against_neighbours(_MOST_BITS - candidates.entropy))
        found.append(("noisy", full & _low(-sharp)))
    if sharp is not None:
        found.append(("blurred", _low(sharp)))
    return found


def _against_neighbours(figure: NDArray[np.floating]) -> Floats:
    """(m,) log ratio of each frame's figure, 0 or more, to the median of those around it."""
    values = np.maximum(figure.astype(np.float64), 0)
    floor = max(float(np.percentile(values, 90)) * 1e-3, 1e-9)
    around = median_filter(values, min(_AROUND, len(values)), mode="nearest")
    return np.asarray(np.log((values + floor) / (around + floor)))


def _low(ratio: Floats) -> _Mask:
    low, high = np.percentile(ratio, [25, 75])
    return np.asarray(ratio < min(low - _FENCE * (high - low), -np.log(_FACTOR)))
