"""A folder of videos of one's own may hold more than a benchmark can use: the rest is measured, and what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from numbered import numbered_video

from benchmarks.measured import labelled_videos
from benchmarks.throughput.accuracy import truths

TRACKS = {"presence": {"segments": [[0, 10, "empty"], [10, 20, "person"]]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("good.mp4", "unlabelled.mp4", "without-segments.mp4"):
        numbered_video(videos / name, 20)
    (videos / "broken.mp4").write_bytes(b"no video")
    (videos / "empty.mp4").touch()
    entries = {
        "good.mp4": {"tracks": TRACKS},
        "unlabelled.mp4": {"frames": 20},
        "without-segments.mp4": {"tracks": {"presence": {"segments": []}}},
        "broken.mp4": {"tracks": TRACKS},
        "empty.mp4": {"tracks": TRACKS},
        "missing.mp4": {"tracks": TRACKS},
    }
    (videos / "labels.json").write_text(json.dumps(entries))
    return tmp_path


def test_what_has_no_track_or_cannot_be_opened_is_left_out_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labelled_videos(folder) == {"good.mp4": {"tracks": TRACKS}}
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" is left out: ")[0] for line in said] == [
        *("unlabelled.mp4", "without-segments.mp4", "broken.mp4", "empty.mp4", "missing.mp4")
    ]
    assert all(line.partition(" is left out: ")[2] for line in said)


def test_edges_without_a_tolerance_are_taken_as_they_are(folder: Path) -> None:
    assert truths(folder)["good.mp4"].tolerance == 0
