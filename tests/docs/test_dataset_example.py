"""The example with cells reads a dataset that was exported, and learns from it what other videos show."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from numbered import video

from ml_backend.demo.clips import LABELS, Clip, Script, make_clips
from ml_backend.export.choose import Choice, plan
from ml_backend.export.dataset import Source, write_dataset
from ml_backend.export.project import Run

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "read_exported_dataset.py"


def runs(clip: Clip) -> Iterator[Run]:
    for label, frames in groupby(range(len(clip.labels)), key=clip.labels.__getitem__):
        own = list(frames)
        yield Run(own[0], own[-1] + 1, label, 1.0, "human")


def test_it_counts_what_is_there_and_learns_what_unseen_videos_show(tmp_path: Path) -> None:
    shown = (("clear", 24), ("ball", 24), ("car", 24))
    clips = make_clips(tmp_path, [Script(f"street-{seed}.mp4", 25, shown, seed) for seed in range(1, 6)])
    videos = [video(task, list(runs(clip)), clip.path) for task, clip in enumerate(clips, start=1)]
    choice = Choice(every=4, shares=(0.6, 0.2, 0.2))
    source = Source(1, "A street", "http://label.studio", LABELS)
    files = {one.task.id: clip.path for one, clip in zip(videos, clips, strict=True)}
    write_dataset(
        tmp_path / "set", source, videos, plan(videos, choice), choice, "huggingface", lambda one: files[one.task.id]
    )
    told = subprocess.run(
        [sys.executable, str(EXAMPLE), "set"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "A street: 90 pictures of 5 videos" in told
    assert "train: 54 pictures, 18 ball, 18 car, 18 clear" in told
    assert "said by human: 90" in told
    right = re.search(r"^right: ([\d.]+)$", told, re.MULTILINE)
    assert right is not None
    assert float(right[1]) >= 0.8
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "import ml_backend" not in text
    assert "from ml_backend" not in text
    assert text.count("\n# %% ") >= 5
