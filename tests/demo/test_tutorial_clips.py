"""The tutorials' videos are real, and what is said of each frame is what it shows."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.demo.animals import ACTS, PAIRS, make_pens
from ml_backend.demo.film import FilmScript, make_films
from ml_backend.demo.signing import REST, SCRIPTS, SIGNS, make_signs
from ml_backend.demo.traffic import HEIGHT, WIDTH, RoadScript, Vehicle, make_roads
from ml_backend.demo.tutorials import MAKERS

ROOT = Path(__file__).resolve().parents[2]


def decoded(path: Path) -> NDArray[np.float64]:
    """(frames, height, width) gray."""
    with av.open(str(path)) as container:
        return np.array([frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)])


def changes(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each picture differs from the one before; of the first, from the second."""
    found = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))
    return np.concatenate((found[:1], found))


def test_a_mouse_moves_where_it_walks_and_stays_where_it_rests(tmp_path: Path) -> None:
    pen = replace(PAIRS[0], seconds=2, rests=(((0.6, 1.4),), ((0.0, 2.0),)))
    (clip,) = make_pens(tmp_path, [pen])
    assert len(decoded(clip.path)) == len(clip.acts[0]) == 50
    assert clip.acts[0] == (ACTS[0],) * 15 + (ACTS[1],) * 20 + (ACTS[0],) * 15
    assert set(clip.acts[1]) == {ACTS[1]}
    moved = np.abs(np.diff(clip.boxes[:, :, :2], axis=1)).max(axis=2)
    assert moved[1].max() == 0
    assert moved[0][15:34].max() < 1e-9 < moved[0][:14].min()
    told = json.loads((tmp_path / "truth.json").read_text())
    assert told[pen.name]["rests"] == [[[0.6, 1.4]], [[0.0, 2.0]]]


def test_each_sign_is_made_by_each_person_and_hands_move_while_it_is_made(tmp_path: Path) -> None:
    assert sorted((script.signer, script.sign) for script in SCRIPTS) == sorted((n, s) for n in range(3) for s in SIGNS)
    (clip,) = make_signs(tmp_path, SCRIPTS[:1])
    pictures = decoded(clip.path)
    assert len(pictures) == len(clip.labels)
    signing = np.array(clip.labels) != REST
    assert set(clip.labels) == {REST, "hello"}
    apart = np.abs(pictures - pictures[0]).mean(axis=(1, 2))
    raised = np.flatnonzero(signing)[8:-8]
    assert apart[raised].min() > 2 * apart[~signing].max()


def test_each_vehicle_is_where_its_box_says_and_two_are_busy(tmp_path: Path) -> None:
    script = RoadScript("short.mp4", 5, (Vehicle("car", 0.2, 0), Vehicle("truck", 1.6, 1, 140)), 5)
    (clip,) = make_roads(tmp_path, [script])
    pictures = decoded(clip.path)
    empty = decoded(make_roads(tmp_path / "empty", [replace(script, vehicles=())])[0].path)
    assert len(pictures) == len(clip.labels) == 75
    for _, boxes in clip.vehicles:
        middle = int(np.flatnonzero(~np.isnan(boxes[:, 0])).mean())
        left, top, width, height = (boxes[middle] / 100 * (WIDTH, HEIGHT, WIDTH, HEIGHT)).round().astype(int)
        differs = np.abs(pictures[middle] - empty[middle])
        assert (differs[top : top + height, left : left + width] > 15).mean() > 0.5
    there = np.sum([~np.isnan(boxes[:, 0]) for _, boxes in clip.vehicles], axis=0)
    assert [label == "busy" for label in clip.labels] == (there >= 2).tolist()
    assert {"quiet", "busy"} == set(clip.labels)
    told = json.loads((tmp_path / "truth.json").read_text())["short.mp4"]
    assert [kind for kind, _ in told["vehicles"]] == ["car", "truck"]
    # 240 pixels to the middle, and half of its own 48.
    assert told["vehicles"][0][1] == pytest.approx(0.2 + (240 + 24) / 150, abs=0.01)


def test_a_film_is_cut_where_it_says_and_black_is_black(tmp_path: Path) -> None:
    script = FilmScript("short.mp4", (("landscape", 20), ("dialog", 16), ("dialog", 14), ("black", 10)), 4)
    (clip,) = make_films(tmp_path, [script])
    pictures = decoded(clip.path)
    assert len(pictures) == len(clip.labels) == 60
    told = json.loads((tmp_path / "truth.json").read_text())["short.mp4"]
    assert told["cuts"] == [0, 20, 36, 50]
    assert told["segments"] == [["landscape", 0, 19], ["dialog", 20, 49], ["black", 50, 59]]
    assert sorted(np.argsort(changes(pictures))[-3:].tolist()) == [20, 36, 50]
    assert pictures[52:].mean() < 20 < pictures[:50].mean(axis=(1, 2)).min()


def test_a_reader_gets_them_by_a_script_that_names_what_there_is(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "examples" / "tutorial_clips.py")]
    told = subprocess.run(
        [*script, "mouse", "x"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert all(name in told.stderr for name in MAKERS)
    assert not (tmp_path / "x").exists()
