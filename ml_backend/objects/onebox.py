"""From one box that a person drew to the track of what it holds, forwards and backwards through the video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Boxes, Track, clipped, in_pixels, in_shares, iou
from ml_backend.objects.detector import Picture
from ml_backend.objects.finder import Scaled, find_tracks, frame_rate
from ml_backend.objects.finishing import fill
from ml_backend.objects.following import Follower
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.segmented import segmented_steps
from ml_backend.video.demux import demux
from ml_backend.video.timeline import Timeline
from ml_backend.video.whole_frames import decode_exactly

if TYPE_CHECKING:
    from ml_backend.features.video_segmentation import VideoSegmenter

# Pictures of a second that are looked at, the longer side of each, and how many are held at a time.
_RATE, _SIDE, _HELD = 8.0, 512, 120
# For how long it may be hidden.
_PATIENCE_SECONDS = 1.0
# A track of what moves is that of the box when it overlaps with it by so much.
_SAME = 0.5


def track_from_box(
    path: Path,
    timeline: Timeline,
    frame: int,
    box: Boxes,
    label: str | None = None,
    progress: Callable[[float], None] | None = None,
    moving: list[Track] | None = None,
) -> Track:
    """The track of what `box`, (4,) shares of the picture, holds at frame index `frame`.

    Where a fixed camera sees it move, its track is that of what differs from the background, in the proportions of the drawn
    box; otherwise it is followed by its looks until it is lost. The box itself stays as it was drawn. `progress` is called with the
    share of the work done, 0..1. `moving`: all tracks of what moves, where they are known already. Raises VideoUnreadable.
    """
    half = (lambda share: progress(share / 2)) if progress is not None else None
    if moving is None:
        moving = find_tracks(path, timeline, MotionDetector(), progress=half)
    of_it = of_what_moves(moving, frame, box)
    found = of_it if of_it is not None else followed(path, timeline, frame, box)
    if progress is not None:
        progress(1.0)
    return found.labeled(label)


def of_what_moves(tracks: list[Track], frame: int, box: Boxes) -> Track | None:
    """The one of these tracks that is at `box` at frame index `frame`, with its boxes in the proportions of that; None when
    there is none."""
    there = [(float(iou(own, box)), track) for track in tracks if (own := track.box(frame)) is not None]
    overlap, best = max(there, key=lambda each: each[0], default=(0.0, None))
    if best is None or overlap < _SAME:
        return None
    own = best.box(frame)
    assert own is not None
    shift, ratio = (box[:2] - own[:2]) / own[2:], box[2:] / own[2:]
    boxes = np.concatenate([best.boxes[:, :2] + shift * best.boxes[:, 2:], best.boxes[:, 2:] * ratio], axis=1)
    return Track(1, best.frames, clipped(boxes), best.scores, best.score, best.label, best.looks, best.crops)


def followed(path: Path, timeline: Timeline, frame: int, box: Boxes, segmenter: VideoSegmenter | None = None) -> Track:
    """The track of what is followed by its looks alone: by a network's masks where there is a `segmenter`, which may raise
    WeightsError and DeviceFull."""
    every = max(1, round(frame_rate(timeline) / _RATE))
    read = demux(path)
    keys = np.sort(read.packets.pts[read.packets.key])
    ahead = list(range(frame, len(timeline), every))
    behind = list(range(frame, -1, -every))
    patience = round(_PATIENCE_SECONDS * frame_rate(timeline) / every)
    ways = [_pictures(path, timeline, behind, keys), _pictures(path, timeline, ahead, keys)]
    if segmenter is None:
        one, other = (_steps(pictures, box, patience) for pictures in ways)
    else:
        one, other = (segmented_steps(pictures, box, patience, segmenter) for pictures in ways)
    steps = [*reversed(one), *other[1:]]
    frames = np.array([index for index, _, _ in steps], np.int64)
    boxes = np.array([each for _, each, _ in steps], np.float64)
    scores = np.array([score for _, _, score in steps], np.float64)
    every_frame, filled, sure = fill(frames, boxes, np.ones(len(frames), np.bool_), scores)
    if segmenter is not None:
        # A mask's box is not quite what a person draws, and boxes are smoothed over time.
        filled[frame - every_frame[0]] = box
    return Track(1, every_frame, clipped(filled), sure, float(scores.mean()))


def _steps(
    pictures: Iterator[tuple[int, Picture]], box: Boxes, patience: int
) -> list[tuple[int, NDArray[np.float64], float]]:
    """Frame index, box (4,) and score from the first picture on, until it is lost; without the last ones, where it was hidden."""
    index, picture = next(pictures)
    height, width = picture.shape[:2]
    follower = Follower(picture, in_pixels(box, width, height), patience)
    steps = [(index, np.asarray(box, np.float64), 1.0)]
    for index, picture in pictures:
        at, score = follower.step(picture)
        if follower.lost:
            break
        steps.append((index, in_shares(at, width, height)[0].astype(np.float64), score))
    while steps[-1][2] == 0:
        steps.pop()
    return steps


def _pictures(
    path: Path, timeline: Timeline, frames: list[int], keys: NDArray[np.int64]
) -> Iterator[tuple[int, Picture]]:
    """The pictures of ascending or descending `frames`, of which only some are held at a time."""
    scale = Scaled(_SIDE)
    for start in range(0, len(frames), _HELD):
        part = frames[start : start + _HELD]
        found = [(int(index), scale(coded.frame)) for index, coded in decode_exactly(path, timeline, part, keys)]
        yield from reversed(found) if part[0] > part[-1] else found
