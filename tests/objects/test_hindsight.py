"""Subjects that touch when a video begins are told apart from its first frame on, since they are known from when they parted."""

from __future__ import annotations

import numpy as np
import pytest
from filming import Filming
from numpy.typing import NDArray

from benchmarks.objects.scenes import Scene
from ml_backend.objects.boxes import Detections, iou
from ml_backend.objects.finder import find_tracks
from ml_backend.objects.hindsight import Seen, with_hindsight
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.tracker import Piece, Tracker
from ml_backend.video.timeline import read_timeline

RATE, STEP = 5.0, 5
SIZE = (0.1, 0.12)
Boxes = NDArray[np.float64]


def two(frame: int) -> Boxes:
    """(2, 4): side by side at first, then each goes its way."""
    away = max(0.0, 0.003 * (frame - 25))
    return np.array([[0.4 - away, 0.4, *SIZE], [0.47 + away, 0.42, *SIZE]])


def seen(boxes: Boxes) -> Detections:
    """What touches is one box."""
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    if len(boxes) == 2 and boxes[1, 0] - boxes[0, 0] < SIZE[0]:
        boxes = np.array([[left, top, right - left, bottom - top]])
    return Detections(boxes.astype(np.float32), np.ones(len(boxes), np.float32), ("object",) * len(boxes))


def followed(every: list[Seen]) -> list[Piece]:
    tracker = Tracker(RATE)
    for frame, found in every:
        tracker.update(frame, found)
    return tracker.finish()


def back(every: list[Seen]) -> list[Piece]:
    return with_hindsight(followed(every), every, RATE)


def test_two_that_touch_at_first_are_two_from_the_first_frame() -> None:
    every = [(frame, seen(two(frame))) for frame in range(0, 250, STEP)]
    assert max(piece.frames[0] for piece in followed(every)) > 0
    pieces = back(every)
    assert [piece.frames for piece in pieces] == [list(range(0, 250, STEP))] * 2
    first = [two(0)[int(iou(two(0), piece.boxes[0]).argmax())] for piece in pieces]
    assert min(float(iou(box, piece.boxes[0])) for box, piece in zip(first, pieces, strict=True)) > 0.6
    assert not np.array_equal(*first)


@pytest.mark.parametrize("came", [30, 60])
def test_who_comes_later_is_not_there_before(came: int) -> None:
    every = [(frame, seen(two(frame + 60)[: 1 + (frame >= came)])) for frame in range(0, 250, STEP)]
    assert sorted(piece.frames[0] for piece in back(every)) == [0, came]


def test_who_leaves_early_stays_known() -> None:
    every = [(frame, seen(two(frame + 60)[: 1 + (frame <= 50)])) for frame in range(0, 250, STEP)]
    assert sorted(piece.frames[-1] for piece in back(every)) == [50, 245]


def test_a_video_without_anything_has_no_pieces() -> None:
    assert back([(frame, Detections.none()) for frame in range(0, 250, STEP)]) == []


def test_what_is_there_to_the_end_is_followed_to_the_last_frame(filming: Filming) -> None:
    filmed = filming(Scene("two_crossing", 2, 8.0, crossing=True, seed=2))
    tracks = find_tracks(filmed.path, read_timeline(filmed.path), MotionDetector())
    assert {track.last for track in tracks} == {filmed.frames - 1}
