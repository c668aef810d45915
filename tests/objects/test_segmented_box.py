"""A drawn box that a network follows: both ways through the video, across the pictures that are held at a time.

The network has random weights, so that where its boxes are means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filming import Filming
from tiny_sam2 import tiny_sam2

from benchmarks.objects.scenes import Filmed, Scene
from ml_backend.features.video_segmentation import Seen, VideoSegmenter, load_segmenter
from ml_backend.objects import onebox
from ml_backend.objects.detector import Picture
from ml_backend.objects.onebox import followed
from ml_backend.objects.segmented import segmented_steps
from ml_backend.video.timeline import read_timeline

SCENE = Scene("alone", 1, 6.0, seed=1)


@pytest.fixture
def filmed(filming: Filming) -> Filmed:
    return filming(SCENE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("detectors")
    for name, there in (("sees", 10.0), ("blind", -10.0)):
        (made / "hf" / name).mkdir(parents=True)
        tiny_sam2(made / "hf" / name, there)
    return made


def test_it_is_followed_to_both_ends_and_its_box_stays_in_its_frame(filmed: Filmed, folder: Path) -> None:
    box = filmed.truth[0].boxes[75]
    track = followed(filmed.path, read_timeline(filmed.path), 75, box, load_segmenter("hf/sees", "cpu", folder))
    assert track.first <= 3
    assert track.last >= filmed.frames - 4
    assert np.array_equal(track.frames, np.arange(track.first, track.last + 1))
    assert track.boxes.shape == (len(track.frames), 4)
    assert ((track.boxes >= 0) & (track.boxes <= 1)).all()
    assert ((track.scores >= 0) & (track.scores <= 1)).all()
    assert np.allclose(track.box(75), box, atol=1e-6)


def test_how_many_pictures_are_held_makes_no_difference(
    filmed: Filmed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sees, timeline, box = (
        load_segmenter("hf/sees", "cpu", folder),
        read_timeline(filmed.path),
        filmed.truth[0].boxes[75],
    )
    whole = followed(filmed.path, timeline, 75, box, sees)
    monkeypatch.setattr(onebox, "_HELD", 7)
    parts = followed(filmed.path, timeline, 75, box, sees)
    assert np.array_equal(parts.frames, whole.frames)
    assert np.allclose(parts.boxes, whole.boxes, atol=1e-5)


def test_what_is_never_seen_has_the_drawn_box_alone(filmed: Filmed, folder: Path) -> None:
    box = filmed.truth[0].boxes[75]
    track = followed(filmed.path, read_timeline(filmed.path), 75, box, load_segmenter("hf/blind", "cpu", folder))
    assert track.frames.tolist() == [75]
    assert np.allclose(track.boxes, [box], atol=1e-6)


def test_who_is_hidden_for_a_while_is_lost_only_after_that() -> None:
    there = np.array([10.0, 20.0, 30.0, 40.0])
    picture = np.zeros((100, 200, 3), np.uint8)

    def script(pictures: Iterator[Picture], box: np.ndarray) -> Iterator[Seen]:
        assert np.allclose(box, [20, 10, 40, 20])
        for at, _ in enumerate(pictures):
            yield (None, 0.0) if at in (2, 3, 6, 7, 8, 9) else (there, 0.8)

    shown = [(4 * at, picture) for at in range(20)]
    box = np.array([0.1, 0.1, 0.2, 0.2], np.float32)
    steps = segmented_steps(iter(shown), box, 2, VideoSegmenter("script", script))
    assert [(index, round(score, 3)) for index, _, score in steps] == [
        (0, 1.0),
        (4, 0.8),
        (8, 0.0),
        (12, 0.0),
        (16, 0.8),
        (20, 0.8),
    ]
    assert np.allclose(steps[0][1], box)
    assert np.allclose([each for _, each, _ in steps[1:]], [0.05, 0.2, 0.15, 0.4])
