"""From the linked pieces of each object to its box in every frame: jitter is smoothed, gaps are filled, and what is no object is
left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ml_backend.objects.boxes import Floats, Track, clipped
from ml_backend.objects.crops import spread
from ml_backend.objects.tracker import Piece

# Gaps of up to so many seconds are filled.
GAP_SECONDS = 2.0
# What is seen for less, or in fewer detections, is no object.
_SHORTEST, _FEWEST = 0.5, 4
# How much less sure a filled frame is than the detections beside it.
_FILLED = 0.7
# What goes less far than this share of its size, in all but the outermost percents of its frames, stands. Its size is that which it
# seldom exceeds.
_STANDS, _MOST_FRAMES, _LARGE = 0.6, (2, 98), 90
# A track that lies in another for so much of its time, by so much of its box, is a part of it.
_WITHIN, _MOSTLY = 0.75, 0.7


def finish(chains: Sequence[Sequence[Piece]], fps: float, most: int, *, moving: bool = False) -> list[Track]:
    """The tracks of objects from the pieces of each, in the order in which they appear; at most `most`, the surest.

    `fps`: frames of the video a second. `moving`: without those that are found in several places and move in none, which to a
    detector of motion are lights and reflections.
    """
    if moving:
        chains = [chain for chain in chains if not all(map(_stands, chain))]
    tracks = [track for chain in chains if (track := _track(chain, fps)) is not None]
    tracks = sorted(_without_parts(tracks), key=lambda track: -track.score)[:most]
    tracks.sort(key=lambda track: (track.first, float(track.boxes[0, 0]), float(track.boxes[0, 1])))
    return [replace(each, number=number) for number, each in enumerate(tracks, start=1)]


def _track(chain: Sequence[Piece], fps: float) -> Track | None:
    frames = np.array([frame for piece in chain for frame in piece.frames], np.int64)
    if len(frames) < _FEWEST or (frames[-1] - frames[0]) / fps < _SHORTEST:
        return None
    boxes = np.array([box for piece in chain for box in piece.boxes], np.float64)
    scores = np.array([score for piece in chain for score in piece.scores], np.float64)
    whole = np.array([each for piece in chain for each in piece.whole], np.bool_)
    every: list[NDArray[np.int64]] = []
    filled: list[NDArray[np.float64]] = []
    sure: list[Floats] = []
    for part in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > GAP_SECONDS * fps) + 1):
        steps, dense, scored = fill(frames[part], boxes[part], whole[part], scores[part])
        every.append(steps)
        filled.append(dense)
        sure.append(scored)
    weights = [len(piece.frames) for piece in chain]
    known = [piece.looks for piece in chain if piece.looks is not None]
    looks = np.average(known, axis=0, weights=weights).astype(np.float32) if len(known) == len(chain) else None
    # Of two equally sure tracks the longer one is the surer.
    score = float(scores.mean() * len(frames) / (len(frames) + _FEWEST))
    return Track(
        0,
        np.concatenate(every),
        clipped(np.concatenate(filled)),
        np.concatenate(sure),
        score,
        chain[0].name,
        looks,
        spread([each for piece in chain for each in piece.crops.kept]),
    )


def fill(
    frames: NDArray[np.int64], boxes: NDArray[np.float64], whole: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], Floats]:
    """Every frame from the first to the last of n `frames`, the box (k, 4) in each, and how sure that is, (k,) float32.

    Between detections boxes are on curves that do not overshoot (Fritsch and Carlson, 1980). `whole`: (n,) whether all of the
    object was seen: where it was not, its size is that of when it was.
    """
    steps = np.arange(frames[0], frames[-1] + 1)
    sure = np.interp(steps, frames, scores) * np.where(np.isin(steps, frames), 1.0, _FILLED)
    if len(frames) == 1:
        return steps, boxes, sure.astype(np.float32)
    middles, sizes = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]
    if whole.any():
        sizes = np.stack([np.interp(frames, frames[whole], sizes[whole, axis]) for axis in (0, 1)], axis=1)
    sizes = _smoothed(sizes, ~whole)
    curve = PchipInterpolator(frames, np.concatenate([middles - sizes / 2, sizes], axis=1))
    return steps, np.asarray(curve(steps), np.float64), sure.astype(np.float32)


def _smoothed(values: NDArray[np.float64], fixed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n, d), each a little nearer to the middle of its neighbors (1, 2, 1); the ends, and what is `fixed`, stay."""
    smooth = values.copy()
    smooth[1:-1] = values[:-2] / 4 + values[1:-1] / 2 + values[2:] / 4
    smooth[fixed] = values[fixed]
    return smooth


def _without_parts(tracks: Sequence[Track]) -> list[Track]:
    """Without tracks that are a part of a larger one nearly all their time."""
    left: list[Track] = []
    for track in sorted(tracks, key=lambda track: -len(track)):
        if not any(_lies_in(track, other) for other in left):
            left.append(track)
    return left


def _stands(piece: Piece) -> bool:
    """Whether its middle, but for a few frames, stays within a part of its size, which may flicker."""
    boxes = np.stack(piece.boxes)
    low, high = np.percentile(boxes[:, :2] + boxes[:, 2:] / 2, _MOST_FRAMES, axis=0)
    return bool((high - low < _STANDS * np.percentile(boxes[:, 2:], _LARGE, axis=0)).all())


def _lies_in(track: Track, other: Track) -> bool:
    shared, mine, theirs = np.intersect1d(track.frames, other.frames, assume_unique=True, return_indices=True)
    if len(shared) < _MOSTLY * len(track):
        return False
    one, all_of_it = track.boxes[mine].astype(np.float64), other.boxes[theirs].astype(np.float64)
    low = np.maximum(one[:, :2], all_of_it[:, :2])
    high = np.minimum(one[:, :2] + one[:, 2:], all_of_it[:, :2] + all_of_it[:, 2:])
    within = np.prod(np.maximum(high - low, 0), axis=1) / np.maximum(np.prod(one[:, 2:], axis=1), 1e-12)
    return float((within >= _WITHIN).sum()) >= _MOSTLY * len(track)
