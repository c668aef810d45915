"""The smaller version of `python -m benchmarks.alignment`: a few of its clips in a real Label Studio and a real browser."""

from __future__ import annotations

import pytest

from benchmarks.alignment.__main__ import check
from benchmarks.alignment.clips import CLIPS
from benchmarks.alignment.player import chromium
from ml_backend.demo.studio import environment_folder

_FEW = (
    "rate-29.97.mp4",
    "rate-25.mp4",
    "variable-reordered.mp4",
    "no-edit-list.mp4",
    "cut-start.mp4",
    "matroska-59.94.mkv",
    "hevc.mp4",
)


@pytest.mark.e2e
@pytest.mark.browser
def test_label_studio_shows_the_frames_that_the_mapping_says() -> None:
    if not (environment_folder() / "bin" / "label-studio").exists():
        pytest.skip("no Label Studio: `make setup` installs it")
    if chromium() is None:
        pytest.skip("no Chromium: `apt-get install chromium`")
    clips = [clip for clip in CLIPS if clip.name in _FEW]
    assert len(clips) == len(_FEW)
    figures = check(clips)
    assert figures["frames_off"] == 0, figures
    assert figures["lengths_off"] == []
    assert figures["frames_checked"] >= 200
