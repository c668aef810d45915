"""The page about sampling as a library: its example runs on a video file, and it names what there is."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ml_backend.demo.clips import SCRIPTS, make_clips

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "worth_labeling.py"
COMPARISON = ROOT / "examples" / "compare_sampling.py"
PAGE = (ROOT / "docs" / "sampling.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`sampling((?:\.\w+)?)\.(\w+)\(([^)`]*)\)`", PAGE)))


def test_the_example_prints_frames_of_a_video_file_without_label_studio(tmp_path: Path) -> None:
    (clip,) = make_clips(tmp_path, SCRIPTS[:1])
    told = subprocess.run(
        [sys.executable, str(EXAMPLE), str(clip.path), "6"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    frames = [int(frame) for frame in re.findall(r"^frame (\d+) at [\d.]+ s$", told, re.MULTILINE)]
    assert 2 <= len(frames) <= 6
    assert frames == sorted(set(frames))
    assert "ml_backend" not in EXAMPLE.read_text(encoding="utf-8")


def test_the_one_with_cells_compares_strategies_on_a_video_file_and_draws_what_they_chose(tmp_path: Path) -> None:
    (clip,) = make_clips(tmp_path, SCRIPTS[:1])
    told = subprocess.run(
        [sys.executable, str(COMPARISON), str(clip.path), "5", "chosen.png"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = dict(re.findall(r"^(uniform|unique|telling|auto): ([\d ]+)$", told, re.MULTILINE))
    assert len(rows) == 4
    for row in rows.values():
        frames = [int(frame) for frame in row.split()]
        assert 2 <= len(frames) <= 5
        assert frames == sorted(set(frames))
        assert all(frame % 5 == 0 and frame < len(clip.labels) for frame in frames)
    with Image.open(tmp_path / "chosen.png") as sheet:
        assert sheet.size == (5 * 160, 4 * 90)
    source = COMPARISON.read_text(encoding="utf-8")
    assert "ml_backend" not in source
    assert source.count("\n# %% ") >= 5


def test_functions_are_named() -> None:
    assert len(NAMED) >= 10


@pytest.mark.parametrize(("module", "function", "arguments"), NAMED)
def test_a_function_that_is_named_takes_the_arguments_that_are_named(
    module: str, function: str, arguments: str
) -> None:
    takes = inspect.signature(getattr(importlib.import_module(f"sampling{module}"), function)).parameters
    assert {argument.strip().rstrip("=") for argument in arguments.split(",")} <= set(takes)
