"""The demo's videos of animals are real, and the truth about them is where they are drawn."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from ml_backend.demo.animals import HEIGHT, PENS, WIDTH, Pen, PenClip, make_pens, true_boxes
from ml_backend.demo.objects import overlaps
from ml_backend.labelstudio.box_track import Track

_SHORT = Pen("short.mp4", 2, 2, seed=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> PenClip:
    (made,) = make_pens(tmp_path_factory.mktemp("pens"), [_SHORT])
    return made


def test_each_animal_is_where_its_box_says(clip: PenClip) -> None:
    with av.open(str(clip.path)) as container:
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert clip.boxes.shape == (2, len(pictures), 4) == (2, 50, 4)
    for frame in (0, 20, 49):
        red = pictures[frame][..., 0] - pictures[frame][..., 2] > 100
        rows, columns = np.nonzero(red)
        seen = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        wanted = clip.boxes[0, frame] / 100 * (WIDTH, HEIGHT, WIDTH, HEIGHT)
        np.testing.assert_allclose(seen, wanted, atol=3)


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
