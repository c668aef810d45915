"""The demo's videos of a mouse in its cage are real, and what happens in each frame is known."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.demo.cages import CONFIG, LABELS, LIGHTS, SCRIPTS, CageScript, make_cages
from ml_backend.demo.clips import Clip
from ml_backend.labelstudio.label_config import parse_label_config

_SHORT = CageScript("short.mp4", Fraction(25, 2), "night", (("rest", 1.2), ("walk", 1.6), ("rest", 0.8)), 3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    (made,) = make_cages(tmp_path_factory.mktemp("cages"), [_SHORT])
    return made


@pytest.fixture(scope="module")
def pictures(clip: Clip) -> NDArray[np.float64]:
    with av.open(str(clip.path)) as container:
        assert container.streams.video[0].average_rate == clip.fps == Fraction(25, 2)
        return np.array([frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)])


def test_every_frame_has_its_label(clip: Clip, pictures: NDArray[np.float64]) -> None:
    assert len(pictures) == len(clip.labels) == 15 + 20 + 10
    truth = json.loads((clip.path.parent / "truth.json").read_text())
    assert truth == {
        "short.mp4": {"fps": 12.5, "light": "night", "segments": [["rest", 0, 14], ["walk", 15, 34], ["rest", 35, 44]]}
    }


def test_it_moves_where_it_walks_and_nowhere_else(clip: Clip, pictures: NDArray[np.float64]) -> None:
    changed = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))
    walks = np.array(clip.labels[1:]) == "walk"
    assert changed[walks].min() > 1.2 * np.median(changed[~walks])


def test_by_day_there_is_color_and_at_night_there_is_none(tmp_path: Path) -> None:
    scripts = [CageScript(f"{light}.mp4", Fraction(25), light, (("rest", 0.2),), 1) for light in LIGHTS]
    spread = []
    for made in make_cages(tmp_path, scripts):
        with av.open(str(made.path)) as container:
            picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)
        spread.append(np.ptp(picture, axis=2).mean())
    assert spread[0] > 2 * spread[1]


def test_the_same_is_drawn_again_and_what_is_there_is_kept(clip: Clip, tmp_path: Path) -> None:
    (again,) = make_cages(tmp_path, [_SHORT])
    assert again.path.read_bytes() == clip.path.read_bytes()
    before = again.path.stat().st_mtime_ns
    make_cages(tmp_path, [_SHORT])
    assert again.path.stat().st_mtime_ns == before


def test_those_of_the_demo_ask_for_movement_and_for_whole_videos_with_one_label_and_an_odd_rate_among_them() -> None:
    asked = {question.from_name: question.labels for question in parse_label_config(CONFIG).questions}
    assert asked == {"does": LABELS, "light": LIGHTS}
    kinds = [{label for label, _ in script.segments} for script in SCRIPTS]
    assert kinds[:2] == [set(LABELS), set(LABELS)], "what is taught has every label"
    assert {"rest"} in kinds[2:]
    assert {script.light for script in SCRIPTS[:2]} == {script.light for script in SCRIPTS[2:]} == set(LIGHTS)
    assert Fraction(25, 2) in {script.fps for script in SCRIPTS[2:]}
