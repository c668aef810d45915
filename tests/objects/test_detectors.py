"""A detector's answers are checked and sifted; what moves is found, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.objects.boxes import Detections, iou
from ml_backend.objects.detector import Detector, Limits, detect
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.people import PeopleDetector

Picture = NDArray[np.uint8]
PICTURE = np.zeros((90, 160, 3), np.uint8)
WIDTH, HEIGHT = 320, 180


class Answering:
    """A detector that always finds the same."""

    side, batch, rate, names = 160, 4, 5.0, ("cat", "dog")

    def __init__(self, boxes: object, scores: object, names: Sequence[str]) -> None:
        self._found = Detections(np.asarray(boxes, np.float32), np.asarray(scores, np.float32), tuple(names))

    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        return [self._found for _ in pictures]


class Short(Answering):
    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        return []


def found_by(detector: Detector, limits: Limits | None = None) -> Detections:
    return detect(detector, [PICTURE], limits or Limits())[0]


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        (Short(np.zeros((0, 4)), [], []), "answered for 0 of 1 pictures"),
        (Answering([[0, 0, float("nan"), 1]], [0.5], ["cat"]), "not numbers"),
        (Answering([[0, 0, 1, 1]], [float("inf")], ["cat"]), "not numbers"),
        (Answering([[0, 0, 1, 1]], [7.5], ["cat"]), "a score of 7.5"),
        (Answering([[0, 0, 1, 1]], [0.5], ["horse"]), "unknown class 'horse'"),
        (Answering([[10, 20, 60, 40]], [0.5], ["cat"]), "between 0 and 1"),
        (Answering([[0, 0, 1]], [0.5], ["cat"]), r"boxes of shape \(1, 3\)"),
        (Answering([[0, 0, 1, 1]], [0.5, 0.6], ["cat"]), r"scores of shape \(2,\)"),
        (Answering(np.full((2000, 4), 0.1), np.full(2000, 0.5), ["cat"] * 2000), "2000 boxes"),
    ],
)
def test_nonsense_is_one_error_that_says_what_to_do(detector: Detector, said: str) -> None:
    with pytest.raises(CustomModelError, match=said) as error:
        found_by(detector)
    assert error.value.remedy.endswith(".")


def test_boxes_that_reach_out_of_the_picture_are_cut_to_it() -> None:
    found = found_by(Answering([[-0.1, 0.8, 0.4, 0.5], [1.1, 0.1, 0.2, 0.2]], [0.9, 0.8], ["cat", "dog"]))
    np.testing.assert_allclose(found.boxes, [[0, 0.8, 0.3, 0.2]], atol=1e-6)
    assert found.names == ("cat",)


def test_only_what_counts_is_left() -> None:
    detector = Answering(
        [[0, 0, 0.5, 0.5], [0, 0, 0.01, 0.01], [0, 0, 1, 1], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]],
        [0.9, 0.9, 0.9, 0.2, 0.9],
        ["cat", "cat", "cat", "cat", "dog"],
    )
    found = found_by(detector, Limits(least_score=0.5, smallest=1, largest=50, labels={"cat": "Katze"}))
    assert found.names == ("Katze",)
    np.testing.assert_allclose(found.boxes, [[0, 0, 0.5, 0.5]])


def room(seed: int = 1) -> Picture:
    """An empty room, mottled."""
    rng = np.random.default_rng(seed)
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 3)
    return np.clip(130 + 25 * mottled / mottled.std(), 0, 255).astype(np.uint8)


def with_mouse(picture: Picture, left: int, top: int = 60) -> Picture:
    drawn = picture.copy()
    cv2.rectangle(drawn, (left, top), (left + 39, top + 23), (30, 25, 25), -1)
    return drawn


def noisy(pictures: Sequence[Picture], seed: int = 2) -> list[Picture]:
    rng = np.random.default_rng(seed)
    return [np.clip(each + rng.normal(0, 2, each.shape), 0, 255).astype(np.uint8) for each in pictures]


def mouse_at(left: int, top: int = 60) -> NDArray[np.float64]:
    return np.array([left / WIDTH, top / HEIGHT, 40 / WIDTH, 24 / HEIGHT])


def test_what_moves_is_found_from_the_first_picture_on_and_only_where_it_is() -> None:
    lefts = list(range(10, 250, 8))
    found = MotionDetector()(noisy([with_mouse(room(), left) for left in lefts]))
    for left, each in zip(lefts, found, strict=True):
        assert len(each) == 1
        assert iou(each.boxes[0], mouse_at(left)) > 0.8


def test_a_subject_that_pauses_is_found_as_long_as_it_pauses() -> None:
    lefts = [*range(10, 130, 8), *[130] * 14, *range(130, 270, 8)]
    found = MotionDetector()(noisy([with_mouse(room(), left) for left in lefts]))
    assert [len(each) for each in found] == [1] * len(lefts)


def test_a_room_in_which_nothing_moves_has_nothing() -> None:
    assert [len(each) for each in MotionDetector()(noisy([room()] * 20))] == [0] * 20


def test_a_light_that_is_switched_on_is_no_subject() -> None:
    bright = np.clip(room().astype(np.float32) * 1.4, 0, 255).astype(np.uint8)
    lefts = list(range(10, 250, 12))
    pictures = [with_mouse(room() if at < 10 else bright, left) for at, left in enumerate(lefts)]
    assert [len(each) for each in MotionDetector()(noisy(pictures))] == [1] * len(lefts)


def test_a_camera_that_trembles_moves_boxes_and_finds_no_edges() -> None:
    rng = np.random.default_rng(5)
    lefts = list(range(20, 250, 8))
    shifts = [(0.0, 0.0), *rng.uniform(-4, 4, (len(lefts) - 1, 2)).tolist()]
    pictures = [
        cv2.warpAffine(
            with_mouse(room(), left),
            np.array([[1, 0, x], [0, 1, y]]),
            (WIDTH, HEIGHT),
            borderMode=cv2.BORDER_REFLECT,
        )
        for left, (x, y) in zip(lefts, shifts, strict=True)
    ]
    found = MotionDetector()(noisy([np.asarray(each, np.uint8) for each in pictures]))
    for left, (x, y), each in zip(lefts, shifts, found, strict=True):
        assert len(each) == 1
        assert iou(each.boxes[0], mouse_at(left) + np.array([x / WIDTH, y / HEIGHT, 0, 0])) > 0.7


def test_a_cut_to_another_room_is_no_subject_either() -> None:
    detector = MotionDetector()
    detector(noisy([with_mouse(room(1), left) for left in range(10, 250, 12)]))
    other = 255 - room(7)
    found = detector(noisy([with_mouse(other, left, 100) for left in range(10, 250, 12)]))
    assert [len(each) for each in found] == [1] * len(found)


def test_nobody_is_found_where_nobody_is() -> None:
    blank = np.full((300, 400, 3), 128, np.uint8)
    assert [len(each) for each in PeopleDetector()([blank, blank[:50]])] == [0, 0]
