"""Real cameras: who rests longer than it moves is found all the time, and lights that flicker in one place are no objects."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from filming import Filming
from numpy.typing import NDArray

from benchmarks.objects.real_clips import beside_hand, hand_boxes
from benchmarks.objects.scenes import Scene
from benchmarks.objects.scores import tracking_scores
from ml_backend.objects.background import cleared
from ml_backend.objects.boxes import Track, iou
from ml_backend.objects.finder import Scaled, find_tracks
from ml_backend.objects.finishing import finish
from ml_backend.objects.linking import linked
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.tracker import Piece
from ml_backend.video.timeline import read_timeline

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 320, 180


def floor() -> Picture:
    noise = np.random.default_rng(5).normal(128, 10, (HEIGHT, WIDTH, 3))
    return np.asarray(cv2.GaussianBlur(np.clip(noise, 0, 255).astype(np.uint8), (5, 5), 0), np.uint8)


def with_animal(left: int, color: tuple[int, int, int] = (40, 30, 25)) -> Picture:
    picture = floor()
    cv2.ellipse(picture, (left + 20, 90), (20, 12), 0, 0, 360, color, -1)
    return picture


def box(left: int) -> NDArray[np.float64]:
    return np.array([left / WIDTH, 78 / HEIGHT, 41 / WIDTH, 25 / HEIGHT])


def test_who_rests_for_most_of_the_video_is_found_where_it_rests() -> None:
    resting = [with_animal(60)] * 20
    alone, previewed = MotionDetector(), MotionDetector()
    assert all(len(found) == 0 for found in alone(resting))
    previewed.preview([with_animal(60), with_animal(60), with_animal(220)])
    for found in previewed(resting):
        assert len(found) == 1
        assert float(iou(found.boxes[0], box(60))) > 0.8


def test_where_it_goes_to_in_another_picture_is_not_taken_for_the_background() -> None:
    background = cleared(with_animal(60), [with_animal(220)])
    assert np.abs(background.astype(int) - floor()).max(axis=2).mean() < 1


@pytest.mark.parametrize("color", [(40, 30, 25), (230, 225, 235)])
def test_a_clear_background_stays_whatever_the_others_show(color: tuple[int, int, int]) -> None:
    others = [with_animal(left, color) for left in (20, 100, 180, 240)]
    np.testing.assert_array_equal(cleared(floor(), others), floor())


def test_another_view_says_nothing_about_the_background() -> None:
    other = floor()
    other[:, np.arange(WIDTH) // 16 % 2 == 0] //= 3
    other[:60] = 250
    np.testing.assert_array_equal(cleared(with_animal(60), [other]), with_animal(60))


def piece(middles: NDArray[np.float64], size: float = 0.1, first: int = 0) -> Piece:
    """Detections at every fifth frame."""
    boxes = [np.array([x - size / 2, y - size / 2, size, size]) for x, y in middles]
    count = len(boxes)
    made = Piece("object", np.array([size, size]), None)
    made.frames, made.boxes = list(range(first, first + 5 * count, 5)), boxes
    made.scores, made.whole = [0.8] * count, [True] * count
    return made


def finished(*chain: Piece, moving: bool = True) -> list[Track]:
    return finish([chain], 25.0, 50, moving=moving)


def test_what_flickers_in_its_place_is_no_object_to_a_detector_of_motion() -> None:
    trembling = 0.5 + 0.01 * np.random.default_rng(1).standard_normal((40, 2))
    elsewhere = trembling + 0.3
    assert finished(piece(trembling)) == []
    assert finished(piece(trembling), piece(elsewhere, first=300)) == []
    assert len(finished(piece(trembling), moving=False)) == 1


def test_who_rests_between_two_ways_is_one_track() -> None:
    there = np.stack([np.linspace(0.2, 0.5, 20), np.full(20, 0.5)], axis=1)
    resting = np.full((40, 2), 0.5)
    [track] = finished(piece(there), piece(resting, first=100), piece(there[::-1], first=300))
    assert (track.first, track.last) == (0, 395)


@pytest.mark.parametrize(("seconds", "other", "are_one"), [(6, 0.05, True), (6, 0.4, False), (1, 0.4, True)])
def test_who_comes_after_a_long_gap_is_another_one_unless_its_colors_are_the_same(
    seconds: int, other: float, are_one: bool
) -> None:
    one, later = (piece(np.full((20, 2), 0.5), first=first) for first in (0, 95 + 25 * seconds))
    one.looks = np.array([1.0, 0.0], np.float32)
    later.looks = np.array([np.cos(other), np.sin(other)], np.float32)
    assert len(linked([one, later], 25.0)) == (1 if are_one else 2)


def test_a_scene_in_which_one_stands_most_of_the_time(filming: Filming) -> None:
    filmed = filming(Scene("long_stop", 1, 24.0, stops=(0.0, 16.0), seed=5))
    tracks = find_tracks(filmed.path, read_timeline(filmed.path), MotionDetector())
    assert tracking_scores(filmed.truth, tracks, filmed.frames)["hota"] > 0.8


def test_boxes_drawn_by_hand_are_within_their_pictures_and_counted() -> None:
    for frames in hand_boxes().values():
        every = np.array([each for boxes in frames.values() for each in boxes])
        assert (every[:, :2] >= 0).all()
        assert (every[:, :2] + every[:, 2:] <= 100).all()
    frames = np.arange(20)
    boxes = np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), (20, 1))
    found = Track(1, frames, boxes, np.ones(20, np.float32), 0.9)
    drawn = {5: [[10, 10, 20, 20], [60, 60, 10, 10]], 10: [], 30: [[10, 10, 20, 20]]}
    assert beside_hand(drawn, [found]) == {
        "drawn": 3,
        "recall": pytest.approx(1 / 3),
        "precision": pytest.approx(1 / 2),
        "mean_iou": pytest.approx(1.0, abs=1e-5),
        "tracks": 1,
    }


def test_a_recording_that_changes_its_size_midway_has_pictures_of_one_size() -> None:
    scaled = Scaled(128)
    frames = [
        av.VideoFrame.from_ndarray(np.full((*size, 3), 90, np.uint8)) for size in ((180, 320), (320, 180), (90, 90))
    ]
    assert [scaled(frame).shape for frame in frames] == [(72, 128, 3)] * 3


def test_a_preview_of_another_size_is_not_used() -> None:
    detector = MotionDetector()
    detector.preview([np.ascontiguousarray(with_animal(220)[:90])])
    assert all(len(found) == 0 for found in detector([with_animal(60)] * 20))
