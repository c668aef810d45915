"""In which frames boxes are exported, and that the picture beside a box is the one that Label Studio shows with it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from boxed_export_scene import (
    Export,
    by_frame,
    context,
    expected,
    export,
    number_shown,
    project,
    redis,
    redis_settings,
    studio,
)
from boxed_film import turn
from boxed_project import HEIGHT, SIZE, WIDTH, add_video, boxed_project, key, region, submit
from studio import Studio

from benchmarks.alignment.clips import phone, uneven
from benchmarks.alignment.encode import Recipe, encode, steady
from ml_backend.export.boxed_tasks import BoxChoice

__all__ = ["context", "export", "project", "redis", "redis_settings", "studio"]

RATES = [
    ("29.97", steady(Fraction(30_000, 1001), 90), 29.97),
    ("uneven", uneven(7, 60), 25.0),
    ("phone", phone(90), 30.0),
    ("slow file", steady(10, 30), 25.0),
    ("low framerate", steady(50, 90), 25.0),
]


@pytest.mark.parametrize(("times", "fps"), [each[1:] for each in RATES], ids=[each[0] for each in RATES])
def test_the_picture_of_a_box_is_the_one_that_label_studio_shows_with_it(
    studio: Studio, export: Export, tmp_path: Path, times: list[Fraction], fps: float
) -> None:
    """Every frame says its own number, and every Label Studio frame has its own box: not one frame is off."""
    boxed_project(studio)
    encode(tmp_path / "film.mp4", Recipe(times, size=SIZE))
    add_video(studio, 1, tmp_path / "film.mp4", fps=fps)
    last = int(float(times[-1]) * fps)
    way = [key(1, 0, 0, 20, 20), key(last, 80, 60, 20, 20, on=False)]
    submit(studio, 1, region("byhand", way))
    export("set")
    told = json.loads((tmp_path / "out" / "set" / "annotations.json").read_text())
    assert len(told["images"]) > 20
    # Label Studio goes to (frame - 1) / fps, rounded to 2 ms, plus 2 ms: what is due then, and the first frame that shows it.
    seeks = np.floor(np.arange(last) / fps / 0.002 + 0.5) * 0.002 + 0.002
    due = np.searchsorted([float(each) for each in times], seeks, "right") - 1
    shown, first = np.unique(due, return_index=True)
    at = dict(zip(shown.tolist(), (first + 1).tolist(), strict=True))
    off = 0
    for image in told["images"]:
        [box] = [each for each in told["annotations"] if each["image_id"] == image["id"]]
        off += number_shown(tmp_path / "out" / "set" / "images" / image["file_name"]) != image["frame"]
        assert image["seconds"] == pytest.approx(float(times[image["frame"]]), abs=1e-4)
        if image["frame"] in at:
            off += box["bbox"] != pytest.approx(expected(at[image["frame"]], way), abs=0.02)
    assert off == 0
    assert {image["frame"] for image in told["images"]} >= set(shown.tolist())


class TestWhichFrames:
    def test_every_so_many_of_those_with_a_box(self, project: Studio, export: Export) -> None:
        told = export("boxes.json", choice=BoxChoice(every=10))
        assert (sorted(by_frame(told, 1)), sorted(by_frame(told, 2))) == ([0, 10, 20], [4, 14])

    def test_key_frames_alone(self, project: Studio, export: Export) -> None:
        told = export("boxes.json", choice=BoxChoice(key_frames=True))
        assert (sorted(by_frame(told, 1)), sorted(by_frame(told, 2))) == ([0, 25], [4, 14])

    def test_gaps_stay_gaps_and_what_lies_beyond_the_end_or_the_picture_is_none(
        self, project: Studio, export: Export
    ) -> None:
        project.tasks[1]["annotations"] = []
        gap = [key(2, 5, 5, 9, 9), key(4, 5, 5, 9, 9, on=False), key(8, 5, 5, 9, 9), key(900, 5, 5, 9, 9, on=False)]
        outside = region("outside", [key(1, 120, 5, 9, 9), key(50, 120, 5, 9, 9, on=False)])
        over = region("over", [key(20, -5, 90, 10, 20, on=False)])
        submit(project, 1, region("gap", gap), outside, over)
        found = by_frame(export("boxes.json", choice=BoxChoice(sources="human")))
        assert sorted(found) == [1, 2, 3, *range(7, 50)]
        assert [each["bbox"] for each in found[19]][1] == [0, 162, 16, 18]

    def test_a_turned_box_is_its_upright_hull(self, project: Studio, export: Export) -> None:
        project.tasks[1]["annotations"] = []
        submit(project, 1, region("turned", [key(3, 50, 20, 10, 10, turn=90, on=False)]))
        [box] = by_frame(export("boxes.json", choice=BoxChoice(sources="human")))[2]
        # 32 x 18 pixels, turned clockwise about its corner at 160, 36.
        assert box["bbox"] == pytest.approx([142, 36, 18, 32])

    def test_a_video_that_is_shown_turned(self, project: Studio, export: Export, tmp_path: Path) -> None:
        turn(project.files["1.mp4"])
        told = export("boxes.json")
        assert {(each["width"], each["height"]) for each in told["images"]} == {(HEIGHT, WIDTH)}
        [box] = by_frame(told)[0]
        assert box["bbox"] == pytest.approx([18, 32, 36, 64])
