"""The smaller version of `python -m benchmarks.alignment`: a few of its clips in a real Label Studio and a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.alignment.__main__ import check
from benchmarks.alignment.clips import CLIPS
from benchmarks.alignment.player import chromium
from ml_backend.demo.studio import Studio

# The frame rates that they are looked at under: their own, none, a higher one, and one that is meant as seconds a frame.
_FEW: dict[str, tuple[str | None, ...]] = {
    "rate-29.97.mp4": ("29.97", None),
    "rate-25.mp4": ("30", "0.04"),
    "variable-reordered.mp4": ("100",),
    "no-edit-list.mp4": ("25",),
    "cut-start.mp4": ("25",),
    "matroska-59.94.mkv": ("59.94",),
    "hevc.mp4": ("25",),
}


@pytest.mark.e2e
@pytest.mark.browser
def test_label_studio_shows_the_frames_that_the_mapping_says(studio: Studio) -> None:
    if chromium() is None:
        pytest.skip("no Chromium: `apt-get install chromium`")
    clips = [replace(clip, framerates=_FEW[clip.name]) for clip in CLIPS if clip.name in _FEW]
    assert len(clips) == len(_FEW)
    figures = check(studio, clips)
    assert figures["frames_off"] == 0, figures
    assert figures["lengths_off"] == []
    assert figures["frames_checked"] >= 200
