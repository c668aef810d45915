"""Which frames of a video, whose tracks are known, are worth a picture: evenly spaced ones or key frames of the tracks, without bad
ones and near-duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.features.hashing import HASH_INPUT, phash, sharpness
from ml_backend.objects.boxes import Track, iou
from ml_backend.objects.keyframes import thin
from sampling.candidates import Candidates, nearest
from sampling.quality import entropy_of, quality

Picture = NDArray[np.uint8]
Frames = NDArray[np.int64]
# A box that overlaps by so much with the one of the same track in another frame is where it was there.
SAME_PLACE = 0.8
_BATCH = 256
_DUPLICATE, _WITHOUT_BOXES = "near-duplicate", "without boxes"


@dataclass(frozen=True)
class FrameChoice:
    """Which frames to take.

    `every`: each so many-th; None is about one a second. `key_frames`: those where a track's box changes its way, instead.
    `good_only`: leave out what `sampling.quality` finds bad. `near`: leave out pictures whose perceptual hash differs in fewer
    bits, of 64, from one that is kept, with the boxes at the same places; 0 keeps them. `boxed_only`: leave out frames without a
    box.
    """

    every: int | None = None
    key_frames: bool = False
    good_only: bool = True
    near: int = 4
    boxed_only: bool = False


@dataclass(frozen=True, eq=False)
class Chosen:
    """`frames`: (k,) int64, ascending frame indices. `considered`: how many there were to choose from. `left_out`: how many are
    left out, by reason."""

    frames: Frames
    considered: int
    left_out: Mapping[str, int]


@dataclass
class Figures:
    """Collects what pictures are judged by, as a video is decoded."""

    frames: list[int] = field(default_factory=list)
    _inputs: list[Picture] = field(default_factory=list)
    _hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    _rows: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, index: int, picture: Picture) -> None:
        """The next frame in the order shown; (h, w, 3) uint8 RGB, of about the same size for all frames of a video."""
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        self.frames.append(index)
        self._rows.append((float(sharpness(grey[None])[0]), float(grey.mean()), entropy_of(grey)))
        small = cv2.resize(grey, (HASH_INPUT, HASH_INPUT), interpolation=cv2.INTER_AREA)
        self._inputs.append(np.asarray(small, np.uint8))
        if len(self._inputs) == _BATCH:
            self._hash()

    def finish(self) -> Candidates:
        self._hash()
        rows = np.array(self._rows, np.float32).reshape(-1, 3)
        hashes = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        return Candidates(np.array(self.frames, np.int64), hashes, rows[:, 0], rows[:, 1], rows[:, 2])

    def _hash(self) -> None:
        if self._inputs:
            self._hashes.append(phash(np.stack(self._inputs)))
            self._inputs.clear()


def choose(tracks: Sequence[Track], figures: Candidates, detected: int, every: int, choice: FrameChoice) -> Chosen:
    """The frames to take of a video.

    `figures`: of each frame that the detector was shown, which is every `detected`-th, and of every `every`-th unless key frames
    are wanted. Those are taken at the nearest frame that the detector was shown, where boxes are surest.
    """
    grid = figures.frames % detected == 0
    keys = _key_frames(tracks, figures.frames[grid]) if choice.key_frames else None
    positions = np.flatnonzero(figures.frames % every == 0 if keys is None else np.isin(figures.frames, keys))
    considered = len(positions)
    left_out: Counter[str] = Counter()
    if choice.good_only and considered:
        reasons = _reasons(figures, grid, positions)
        left_out.update(reason for reason in reasons if reason is not None)
        positions = positions[[reason is None for reason in reasons]]
    if choice.boxed_only:
        boxed = np.isin(figures.frames[positions], np.concatenate([np.empty(0, np.int64), *(t.frames for t in tracks)]))
        left_out[_WITHOUT_BOXES] += int((~boxed).sum())
        positions = positions[boxed]
    if choice.near and figures.hashes is not None:
        new = _new(figures.frames[positions], figures.hashes[positions], tracks, choice.near)
        left_out[_DUPLICATE] += int((~new).sum())
        positions = positions[new]
    return Chosen(figures.frames[positions], considered, {reason: count for reason, count in left_out.items() if count})


def _key_frames(tracks: Sequence[Track], detected: Frames) -> Frames:
    """(k,) those of the ascending frame indices `detected` that are nearest to the tracks' key frames."""
    keys = np.array([key.frame for track in tracks for key in thin(track.frames, track.boxes)], np.int64)
    return detected[np.unique(nearest(detected, keys))] if len(keys) and len(detected) else keys[:0]


def _reasons(figures: Candidates, grid: NDArray[np.bool_], positions: NDArray[np.intp]) -> list[str | None]:
    """Why each of the figures at `positions` is bad, by itself or since the frame on the grid next to it is; None where good."""
    own = quality(figures.only(positions)).reasons
    if not grid.any():
        return list(own)
    around = quality(figures.only(grid)).reasons
    on_grid = np.flatnonzero(grid)
    beside = nearest(figures.frames[on_grid], figures.frames[positions])
    found: list[str | None] = []
    for position, mine, at in zip(positions.tolist(), own, beside.tolist(), strict=True):
        # Wanted frames may be far apart, so that what is usual shows on the grid. Only which one stands still is their own affair.
        theirs = around[at] if around[at] != "frozen" else None
        found.append(theirs or (mine if mine == "frozen" or not grid[position] else None))
    return found


def _new(frames: Frames, hashes: NDArray[np.uint64], tracks: Sequence[Track], near: int) -> NDArray[np.bool_]:
    """(m,) bool: which of the frames, of (m,) hashes, are no near-duplicates of one before that is new."""
    there = [{track.number: box for track in tracks if (box := track.box(at)) is not None} for at in frames.tolist()]
    kinds: dict[tuple[int, ...], list[int]] = {}
    for position, boxes in enumerate(there):
        kinds.setdefault(tuple(boxes), []).append(position)
    new = np.zeros(len(frames), np.bool_)
    for numbers, positions in kinds.items():
        placed = np.array([[there[at][number] for number in numbers] for at in positions], np.float32)
        placed = placed.reshape(len(positions), len(numbers), 4)
        shown = hashes[np.array(positions, np.intp)]
        kept: list[int] = []
        for at, position in enumerate(positions):
            before = np.array(kept, np.intp)
            close = before[np.bitwise_count(shown[at] ^ shown[before]) < near]
            if not (iou(placed[close], placed[at]) >= SAME_PLACE).all(axis=1).any():
                kept.append(at)
                new[position] = True
    return new
