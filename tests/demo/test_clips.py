"""The demo's clips are real videos whose every frame has a known label and number."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from ml_backend.demo.clips import LABELS, SCRIPTS, Script, make_clips, read_index

_SHORT = Script("short.mp4", 25, (("clear", 20), ("ball", 30), ("car", 25)), seed=7)


def test_every_frame_decodes_and_tells_its_index(tmp_path: Path) -> None:
    [clip] = make_clips(tmp_path, [_SHORT])
    with av.open(str(clip.path)) as container:
        assert container.streams.video[0].codec.name == "h264"
        assert container.streams.video[0].average_rate == clip.fps == 25
        pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    assert [read_index(picture) for picture in pictures] == list(range(75))
    assert len(clip.labels) == 75


def test_the_truth_is_saved_beside_them(tmp_path: Path) -> None:
    make_clips(tmp_path, [_SHORT])
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth == {"short.mp4": {"fps": 25, "segments": [["clear", 0, 19], ["ball", 20, 49], ["car", 50, 74]]}}


def test_clips_that_are_there_are_kept(tmp_path: Path) -> None:
    [clip] = make_clips(tmp_path, [_SHORT])
    before = clip.path.stat().st_mtime_ns
    make_clips(tmp_path, [_SHORT])
    assert clip.path.stat().st_mtime_ns == before


@pytest.mark.parametrize("shade", [0, 255])
def test_a_picture_without_a_number_has_none(shade: int) -> None:
    assert read_index(np.full((360, 640, 3), shade, np.uint8)) is None


def test_the_shipped_clips_have_every_label_in_two_frame_rates() -> None:
    assert len(SCRIPTS) >= 3
    assert len({script.fps for script in SCRIPTS}) == 2
    for script in SCRIPTS:
        assert {label for label, _ in script.segments} == set(LABELS)
        assert 20 <= sum(frames for _, frames in script.segments) / script.fps <= 40
