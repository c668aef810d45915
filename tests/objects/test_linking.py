"""Which piece of a track goes on as which other one, when nobody saw it in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Detections
from ml_backend.objects.finishing import finish
from ml_backend.objects.linking import linked
from ml_backend.objects.tracker import Piece, Tracker

FPS = 5.0
GRAY = np.array([0.0, 0.8, 0.6], np.float32)
WHITE = np.array([1.0, 0.0, 0.0], np.float32)


def piece(
    first: int,
    start: tuple[float, float],
    end: tuple[float, float],
    count: int = 10,
    looks: NDArray[np.float32] = GRAY,
    size: float = 0.06,
) -> Piece:
    """One that goes straight from start to end, top left corners, and is found in each of `count` frames."""
    corners = np.linspace(start, end, count)
    boxes = [np.array([left, top, size, size]) for left, top in corners]
    return Piece(
        "object",
        np.array([size, size]),
        looks,
        count,
        list(range(first, first + count)),
        boxes,
        [0.8] * count,
        [True] * count,
    )


def chains(pieces: list[Piece]) -> list[list[int]]:
    at = {id(each): number for number, each in enumerate(pieces)}
    return [[at[id(each)] for each in chain] for chain in linked(pieces, FPS)]


def test_gray_cars_that_follow_each_other_down_a_road_stay_several() -> None:
    cars = [piece(40 * number, (0.5, 0.02), (0.2, 0.9)) for number in range(4)]
    assert chains(cars) == [[0], [1], [2], [3]]


def test_who_comes_back_where_it_left_is_the_same() -> None:
    mouse = [piece(0, (0.5, 0.5), (0.01, 0.5)), piece(60, (0.01, 0.52), (0.4, 0.3))]
    assert chains(mouse) == [[0, 1]]


def test_who_comes_back_elsewhere_is_the_same_where_looks_tell_them_apart() -> None:
    other = piece(0, (0.7, 0.2), (0.7, 0.3), 90, WHITE)
    gone, back = piece(0, (0.5, 0.5), (0.01, 0.5)), piece(60, (0.9, 0.9), (0.4, 0.9))
    assert chains([gone, other, back]) == [[0, 2], [1]]
    alike = piece(0, (0.7, 0.2), (0.7, 0.3), 90, GRAY)
    assert chains([gone, alike, back]) == [[0], [1], [2]]


def test_who_vanishes_amid_the_picture_is_who_appears_there_next() -> None:
    fly = [piece(0, (0.5, 0.7), (0.48, 0.76)), piece(11, (0.3, 0.4), (0.4, 0.4))]
    assert chains(fly) == [[0, 1]]


def test_who_leaves_at_the_rim_is_not_who_appears_elsewhere() -> None:
    one, other = piece(0, (0.5, 0.5), (0.935, 0.5)), piece(11, (0.3, 0.4), (0.4, 0.4))
    assert chains([one, other]) == [[0], [1]]


def test_two_tracks_of_one_object_are_one_and_not_none() -> None:
    twice = [piece(0, (0.2, 0.2), (0.8, 0.6), 30), piece(0, (0.2, 0.2), (0.8, 0.6), 30)]
    assert len(finish([[each] for each in twice], FPS, 10)) == 1


def found(*corners: tuple[float, float], size: float = 0.06) -> Detections:
    boxes = np.array([[left, top, size, size] for left, top in corners], np.float32).reshape(-1, 4)
    return Detections(
        boxes, np.full(len(boxes), 0.8, np.float32), ("object",) * len(boxes), np.stack([GRAY] * len(boxes))
    )


def test_a_jump_amid_the_picture_keeps_its_number_and_steals_nobody_elses() -> None:
    tracker = Tracker(FPS)
    for frame in range(12):
        tracker.update(frame, found((0.3 + 0.01 * frame, 0.3), (0.6, 0.7 - 0.01 * frame)))
    for frame in range(12, 24):
        tracker.update(frame, found((0.75 - 0.01 * (frame - 12), 0.35), (0.6, 0.7 - 0.01 * frame)))
    pieces = tracker.finish()
    assert [(each.frames[0], each.frames[-1]) for each in pieces] == [(0, 23), (0, 23)]
    jumper, walker = pieces
    assert np.ptp([box[0] for box in walker.boxes]) < 0.01
    assert jumper.boxes[12][0] == np.float32(0.75)


def test_a_light_that_flickers_here_and_there_does_not_jump() -> None:
    tracker = Tracker(FPS)
    for frame in range(12):
        tracker.update(frame, found((0.3, 0.3)))
    for frame in range(12, 24):
        tracker.update(frame, found((0.6, 0.6)))
    assert [(each.frames[0], each.frames[-1]) for each in tracker.finish()] == [(0, 11), (12, 23)]


def test_of_two_in_one_box_who_walks_out_is_followed_and_not_a_third_one() -> None:
    tracker = Tracker(FPS)
    for frame in range(12):
        tracker.update(frame, found((0.3 + 0.01 * frame, 0.5), (0.53 - 0.01 * frame, 0.5)))
    for frame in range(12, 16):
        tracker.update(frame, found((0.415, 0.5), size=0.066))
    for frame in range(16, 26):
        tracker.update(frame, found((0.415, 0.5), (0.49 + 0.01 * (frame - 16), 0.5)))
    pieces = [each for each in tracker.finish() if each.frames[-1] == 25]
    assert [each.frames[0] for each in pieces] == [0, 0]
    ends = sorted(float(each.boxes[-1][0]) for each in pieces)
    np.testing.assert_allclose(ends, [0.415, 0.58], atol=0.01)
