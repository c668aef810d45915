"""The demo's videos of animals are real, and the truth about them is where they are drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.demo.animals import HEIGHT, PENS, WIDTH, Pen, PenClip, make_pens, true_boxes
from ml_backend.demo.objects import overlaps
from ml_backend.labelstudio.box_track import Track

_SHORT = Pen("short.mp4", 2, 2, seed=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> PenClip:
    (made,) = make_pens(tmp_path_factory.mktemp("pens"), [_SHORT])
    return made


def _decoded(clip: PenClip) -> list[NDArray[np.int64]]:
    with av.open(str(clip.path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def test_each_animal_is_where_its_box_says(clip: PenClip, tmp_path: Path) -> None:
    pictures = _decoded(clip)
    (without,) = make_pens(tmp_path, [replace(_SHORT, animals=0, seconds=1)])
    empty = _decoded(without)[-1]
    assert clip.boxes.shape == (2, len(pictures), 4) == (2, 50, 4)
    for frame in (0, 20, 49):
        changed = (np.abs(pictures[frame] - empty).max(axis=2) > 40).astype(np.uint8)
        # Without tails, which are no part of the boxes.
        bodies = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
        inside = 0
        for box in clip.boxes[:, frame] / 100 * (WIDTH, HEIGHT, WIDTH, HEIGHT):
            left, top, width, height = box.round().astype(int)
            drawn = bodies[top - 2 : top + height + 2, left - 2 : left + width + 2].sum()
            assert drawn > 0.2 * width * height, (
                "a mouse that walks askew fills half of its box, and its lit side is like the floor"
            )
            inside += drawn
        assert inside > 0.97 * bodies.sum()


def test_the_truth_is_saved_beside_them_and_they_are_kept(clip: PenClip) -> None:
    truth = json.loads((clip.path.parent / "truth.json").read_text())
    assert np.array(truth["short.mp4"]["boxes"]).shape == (2, 50, 4)
    before = clip.path.stat().st_mtime_ns
    make_pens(clip.path.parent, [_SHORT])
    assert clip.path.stat().st_mtime_ns == before


def test_a_track_on_an_animal_overlaps_and_one_elsewhere_does_not(clip: PenClip) -> None:
    rows = [(at + 1, *box, 0.0, True) for at, box in enumerate(clip.boxes[0].tolist())]
    found = overlaps([Track.placed("a", rows)], clip)
    assert found[0] == pytest.approx(1.0)
    assert found[1] < 0.1
    half = overlaps([Track.placed("a", [*rows[:24], (*rows[24][:6], False)])], clip)
    assert half[0] == pytest.approx(0.5), "frames without a box count 0"
    assert overlaps([], clip) == [0.0, 0.0]


def test_the_shipped_ones_have_one_to_three_animals_inside_of_the_picture_that_stay_apart() -> None:
    assert sorted(pen.animals for pen in PENS) == [1, 2, 3]
    for pen in PENS:
        boxes = true_boxes(pen)
        assert boxes[..., :2].min() > 0
        assert (boxes[..., :2] + boxes[..., 2:]).max() < 100
