"""Boxes out of one project and into another: a predicted track that a person has moved and submitted is exported with the person's
boxes, and the file is shown in a second project of a real Label Studio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from box_page import READY
from playwright.sync_api import Page
from test_found_tracks import (
    CONFIG,
    HEIGHT,
    RATE,
    WIDTH,
    go_to,
    iou,
    make_clip,
    opened,
    place,
    seen,
    shown_box,
    tracks_of,
)

from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
SHIFT = 6.0


def coldblitz(loop: Loop, *arguments: str) -> str:
    environment = {
        **os.environ,
        "LABEL_STUDIO_URL": loop.studio.url,
        "LABEL_STUDIO_API_KEY": loop.studio.token,
        "DATA_DIR": str(loop.backend.data),
    }
    line = [sys.executable, "-m", "ml_backend.cli", *arguments]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_moved_track_is_exported_as_the_person_left_it_and_imported_into_another_project(
    studio: Studio, backend: Backend, page: Page, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "subject.mp4")
    loop, task = opened(studio, backend, clip)
    loop.wait_for("a track", lambda: tracks_of(studio, task).tracks or None)

    model = json.loads(
        coldblitz(loop, "export", str(loop.project), "-o", str(tmp_path / "m"), "--as", "crops", "--json")
    )
    assert model["counts"].keys() == {""}
    assert model["boxes"] == len(list((tmp_path / "m" / "mouse").glob("*.jpg"))) > 150
    card = json.loads((tmp_path / "m" / "dataset.json").read_text())
    assert [(each["source"], each["version"]) for each in card["tasks"]] == [("model", "keyframes-v1")]

    # A person opens the task, drags the whole track down, and submits.
    [prediction] = studio.predictions(task)
    [item] = prediction["result"]
    for key in item["value"]["sequence"]:
        key["y"] += SHIFT
    submitted = {**item, "origin": "prediction"}
    studio.post(f"/api/tasks/{task}/annotations/", {"result": [submitted], "was_cancelled": False})
    boxes = tmp_path / "boxes.json"
    coldblitz(loop, "export", str(loop.project), "-o", str(boxes), "--as", "coco", "--source", "human")
    told = json.loads(boxes.read_text())
    frames = {each["id"]: each["frame"] for each in told["images"]}
    assert len(frames) > 150
    assert {(each["source"], each["label"]) for each in told["annotations"]} == {("human", "mouse")}
    [track] = told["tracks"]
    assert (track["region"], track["number"], track["untouched"]) == ("coldblitz-track-1", 1, False)
    lower = [
        iou(each["bbox"], [x, y + SHIFT * HEIGHT / 100, width, height])
        for each in told["annotations"]
        for x, y, width, height in [place(frames[each["image_id"]])]
    ]
    assert np.mean(lower) > 0.8

    second = studio.create_project("Another project", CONFIG.format(""))
    [other] = studio.import_tasks(second, [{"video": studio.upload(second, clip), "fps": RATE}])
    said = json.loads(coldblitz(loop, "import-boxes", str(boxes), "--project", str(second), "--json"))
    assert [(each["state"], each["task"], each["tracks"]) for each in said["videos"]] == [("imported", other, 1)]
    assert studio.get(f"/api/projects/{second}")["model_version"] == said["version"] == "import-boxes"
    page.goto(f"{studio.url}/projects/{second}/data?task={other}")
    page.wait_for_function(READY, arg=other)
    boxes_of = {frames[each["image_id"]]: each["bbox"] for each in told["annotations"]}
    for frame in (5, 60, 105, 130, 190):
        there = seen(go_to(page, frame))
        region, box = shown_box(page)
        assert (region["id"], region["labels"]) == ("imported-track-1", ["mouse"])
        in_file = np.array(boxes_of[frame - 1]) / [WIDTH, HEIGHT, WIDTH, HEIGHT] * 100
        assert iou(box, in_file.tolist()) > 0.9, frame
        assert box[1] - there[1] == pytest.approx(SHIFT, abs=2.5)
    page.screenshot(path=_ARTIFACTS / "imported-boxes.png")

    for state in ("imported", "present"):
        submitted_as = coldblitz(loop, "import-boxes", str(boxes), "--project", str(second), "--annotations", "--json")
        assert [each["state"] for each in json.loads(submitted_as)["videos"]] == [state]
    [annotation] = studio.get(f"/api/tasks/{other}/annotations/")
    [own] = annotation["result"]
    assert (own["id"], own["origin"], own["value"]["labels"]) == ("imported-track-1", "manual", ["mouse"])
    again = tmp_path / "again.json"
    coldblitz(loop, "export", str(second), "-o", str(again), "--as", "coco", "--source", "human")
    back = json.loads(again.read_text())
    assert [each["frame"] for each in back["images"]] == list(frames.values())
    pairs = zip(back["annotations"], told["annotations"], strict=True)
    assert min(iou(one["bbox"], other["bbox"]) for one, other in pairs) >= 0.9
