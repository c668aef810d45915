"""A small subject's short event is embedded more often than the stride hits it, and ordinary video hardly costs more."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from ml_backend.features.flow import EVERY, Unusual, flow
from ml_backend.features.selection import Density, Selection
from ml_backend.video.decode import Picture

STRIDE = 16
FRAMES = 1600
SIZE = 64


class Drawn:
    """A picture as far as choosing frames looks at it."""

    nbytes = 0

    def __init__(self, index: int, shown: np.ndarray) -> None:
        self.index, self.grey, self.soft = index, shown, shown

    def release(self) -> None:
        pass


def animal(events: list[range], seed: int) -> np.ndarray:
    """(FRAMES, 64, 64) of a subject of 2 % of the picture that walks about; it rears, in place, during the events."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.integers(110, 190, (SIZE, SIZE)).astype(np.float32), (0, 0), 1.5)
    busy = {frame for event in events for frame in event}
    at, heading, shown = np.array([32.0, 32.0]), 0.0, []
    for frame in range(FRAMES):
        heading += rng.normal(0, 0.1)
        if frame not in busy:
            step = at + 0.35 * np.array([np.cos(heading), np.sin(heading)])
            inside = (step > 12) & (step < SIZE - 12)
            heading += 0.0 if inside.all() else 0.5
            at = np.where(inside, step, at)
        picture = ground + rng.normal(0, 1.0, ground.shape)
        axes = (4.0, 6.0) if frame in busy else (7.0, 3.5)
        mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.ellipse(mask, ((float(at[0]), float(at[1])), axes, float(np.degrees(heading))), 1.0, -1)
        picture -= 55 * cv2.GaussianBlur(mask, (0, 0), 0.7)
        shown.append(picture.clip(0, 255).astype(np.uint8))
    return np.stack(shown)


def events_of(seed: int) -> list[range]:
    """Of 4 to 8 frames, some 160 frames apart, when the subject has been looked at for a while."""
    rng = np.random.default_rng(seed)
    starts = np.arange(300, FRAMES - 40, 160) + rng.integers(0, 40, len(range(300, FRAMES - 40, 160)))
    return [range(int(first), int(first) + int(rng.integers(4, 9))) for first in starts]


def wanted(shown: np.ndarray, watching: bool = True) -> np.ndarray:
    """The frames to embed of a video that the network finds to be all alike."""
    selection = Selection(Density(pixels=255.0))
    if not watching:
        selection._unusual.look = lambda flow, known: None  # type: ignore[method-assign]
    pictures: list[Picture] = [Drawn(index, each) for index, each in enumerate(shown)]  # type: ignore[misc]
    selection.begin(pictures[0])
    for first in range(0, len(pictures) - 1, STRIDE):
        selection.add(pictures[first : first + STRIDE + 1])
    found = []
    while selection.wanted:
        position, _ = selection.wanted.popleft()
        found.append(position)
        selection.put(position, {}, np.array([1.0, 0.0], np.float32))
    return np.array(sorted(found))


def hit(frames: np.ndarray, events: list[range]) -> float:
    return float(np.mean([np.isin(frames, list(event)).any() for event in events]))


def test_short_events_of_a_small_subject_are_embedded_that_the_stride_alone_misses() -> None:
    before, after = [], []
    for seed in range(3):
        shown = animal(events_of(seed), seed)
        before.append(hit(wanted(shown, watching=False), events_of(seed)))
        after.append(hit(wanted(shown), events_of(seed)))
    assert np.mean(before) < 0.66
    assert np.mean(after) >= 0.85


def test_a_video_in_which_nothing_stands_out_is_embedded_hardly_more_often() -> None:
    shown = animal([], 7)
    usual = len(wanted(shown, watching=False))
    assert len(wanted(shown)) <= 1.07 * usual


def test_movement_at_every_frame_is_what_it_is_for_the_whole_video_at_once() -> None:
    shown = animal([range(50, 56)], 1)[:130]
    selection = Selection(Density())
    pictures: list[Picture] = [Drawn(index, each) for index, each in enumerate(shown)]  # type: ignore[misc]
    selection.begin(pictures[0])
    for first in range(0, len(pictures) - 1, STRIDE - 1):
        selection.add(pictures[first : first + STRIDE])
    intervals = list(selection._intervals)
    frames = np.concatenate([interval.flow_frames for interval in intervals])
    assert frames.tolist() == list(range(EVERY, 130, EVERY))
    whole = flow(shown, frames)
    assert np.allclose(np.concatenate([interval.flow for interval in intervals]), whole, atol=1e-4)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_video_of_few_frames_has_nothing_unusual(rows: int) -> None:
    watching = Unusual()
    for _ in itertools.repeat(None, 20):
        assert watching.look(np.zeros((rows, 120), np.float32), np.zeros(rows, bool)) is None
