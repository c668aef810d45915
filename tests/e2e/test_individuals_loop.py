"""A timeline for each individual in a real Label Studio: predicted below the tracks, corrected by a person, learned again, exported with
who does what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_page import READY
from playwright.sync_api import Page

from benchmarks.objects.acts import ACTS, FilmedActs, film_acts
from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.objects.boxes import iou

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(1200)]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
CONFIG = f"""<View><Labels name="who" toName="video"><Label value="mouse"/></Labels><VideoRectangle name="box" toName="video"/>
  <TimelineLabels name="does" toName="video">{"".join(f'<Label value="{act}"/>' for act in ACTS)}</TimelineLabels>
  <Choices name="whole" toName="video"><Choice value="reviewed"/></Choices>
  <Video name="video" value="$video" framerate="$fps" timelineHeight="200"/></View>"""
BOXES = parse_label_config(CONFIG).tracks[0]
TREE = """() => window.Htx.annotationStore.selected.regions.filter(each => each.type === 'timelineregion')
    .map(each => [each.cleanId, each.parentID, each.meta?.text?.[0], [...each.labels].join(), each.ranges[0].start, each.ranges[0].end])"""
SELECT = """id => { const selected = window.Htx.annotationStore.selected; selected.unselectAll();
    selected.selectArea(selected.regions.find(each => each.cleanId === id)); }"""
# What the list of regions does when one is dropped onto another.
DROP = """([region, track]) => { const regions = window.Htx.annotationStore.selected.regions;
    const onto = regions.find(each => each.cleanId === track); regions.find(each => each.cleanId === region).setParentID(onto.id); }"""
DELETE = "id => window.Htx.annotationStore.selected.regions.find(each => each.cleanId === id).deleteRegion()"


def tracks_of(studio: Studio, task: int, film: FilmedActs) -> list[str] | None:
    """The ids of the predicted tracks of the first and the second animal."""
    predictions = studio.predictions(task)
    found = read_tracks(predictions[-1]["result"], BOXES).tracks if predictions else ()
    best = []
    for truth in film.tracks:
        alike = [
            float(np.nan_to_num(iou(each.boxes(truth.frames + 1)[:, :4] / 100, truth.boxes)).mean()) for each in found
        ]
        if not alike or max(alike) < 0.4:
            return None
        best.append(found[int(np.argmax(alike))].id)
    return best if len(set(best)) == len(best) else None


def act_items(film: FilmedActs, number: int, about: dict[str, Any]) -> list[dict[str, Any]]:
    acts = film.acts[number]
    edges = [0, *(np.flatnonzero(np.diff(acts)) + 1).tolist(), len(acts)]
    return [
        {
            "id": f"hand{number}x{start}",
            "from_name": "does",
            "to_name": "video",
            "type": "timelinelabels",
            "origin": "manual",
            "value": {"ranges": [{"start": start + 1, "end": stop}], "timelinelabels": [ACTS[acts[start]]]},
            **about,
        }
        for start, stop in pairwise(edges)
    ]


def regions_of(studio: Studio, task: int, version: str) -> list[dict[str, Any]] | None:
    """The regions of individuals in what a version predicts."""
    found = [each for each in studio.predictions(task) if each["model_version"] == version]
    items = [each for each in (found[-1]["result"] if found else []) if each.get("parentID")]
    return [each for each in items if each["value"].get("timelinelabels")] or None


def test_each_individual_has_its_own_timeline(studio: Studio, backend: Backend, page: Page, tmp_path: Path) -> None:
    films = [film_acts(2, tmp_path / f"{number}.mp4", 62 + number, seconds=10) for number in range(2)]
    project = studio.create_project("Who does what", CONFIG)
    tasks = studio.import_tasks(
        project, [{"video": studio.upload(project, film.path), "fps": 25, "name": film.path.name} for film in films]
    )
    studio.connect(project, backend.url, {"per_individual": True, "mode": "cold"})
    loop = Loop(studio, backend, project, tuple(tasks))
    one, asked = tasks
    known, found = (
        loop.wait_for("the tracks", lambda task=task, film=film: tracks_of(studio, task, film))
        for task, film in zip(tasks, films, strict=True)
    )
    reviewed = {
        "id": "whole",
        "from_name": "whole",
        "to_name": "video",
        "type": "choices",
        "value": {"choices": ["reviewed"]},
    }
    boxes = [each for each in studio.predictions(one)[-1]["result"] if each["type"] == "videorectangle"]
    # What the first one does is below its track; of what the other one does the meta says who it is.
    said = act_items(films[0], 0, {"parentID": known[0]})
    said += act_items(films[0], 1, {"meta": {"text": [f"Who: {name_of(known[1]).upper()}"]}})
    studio.post(f"/api/tasks/{one}/annotations/", {"result": [*boxes, *said, reviewed], "was_cancelled": False})
    version = loop.wait_for("a version", lambda: learned(loop), 500)
    items = loop.wait_for("regions of individuals", lambda: regions_of(studio, asked, version), 400)
    assert {each["parentID"] for each in items} == set(found)

    page.goto(f"{studio.url}/projects/{project}/data?task={asked}")
    page.wait_for_function(READY, arg=asked)
    page.wait_for_timeout(1000)
    shown = page.evaluate(TREE)
    assert {(each[0], each[1]) for each in shown if each[3]} == {(each["id"], each["parentID"]) for each in items}
    assert all(each[2] == f"who: {name_of(each[1])}" for each in shown if each[1])
    wrong = max((each for each in shown if each[3]), key=lambda each: each[5] - each[4])
    page.evaluate(SELECT, wrong[0])
    page.wait_for_timeout(500)
    page.screenshot(path=_ARTIFACTS / "individuals.png")

    # A person says that it is about the other one, who does nothing else meanwhile, and that it is something else.
    elsewhere = next(track for track in found if track != wrong[1])
    page.evaluate(DROP, [wrong[0], elsewhere])
    for each in shown:
        if each[1] == elsewhere and each[4] <= wrong[5] and each[5] >= wrong[4]:
            page.evaluate(DELETE, each[0])
    page.evaluate(SELECT, wrong[0])
    label = next(act for act in ACTS if act != wrong[3])
    page.keyboard.press(str(2 + ACTS.index(label)))
    page.wait_for_timeout(300)
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{asked}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201
    [corrected] = [each for each in posted.value.json()["result"] if each["id"] == wrong[0]]
    assert (corrected["parentID"], corrected["value"]["timelinelabels"]) == (elsewhere, [label])
    # Both videos are answered, so it has nothing to predict, and is not shown.
    loop.wait_for("a newer version", lambda: of_two(backend, project), 500)
    out = tmp_path / "labels.json"
    coldblitz(loop, "export", str(project), "-o", str(out))
    rows = {each["task"]: each["frames"] for each in json.loads(out.read_text())}
    assert {row["who"] for row in rows[one]} == {name_of(track) for track in known}
    for number, track in enumerate(known):
        mine = {row["frame"]: row["label"] for row in rows[one] if row["who"] == name_of(track)}
        # Where a found track is on its animal.
        assert len(mine) > 0.9 * films[0].frames
        assert np.mean([ACTS[films[0].acts[number][frame]] == label for frame, label in mine.items()]) > 0.97
    start, end = wrong[4], wrong[5]
    said = {
        row["label"]
        for row in rows[asked]
        if row["who"] == name_of(elsewhere) and row["source"] == "human" and start <= row["frame"] <= end - 2
    }
    assert label in said

    page.goto(f"{backend.url}/dashboard/projects/{project}/videos/{asked}")
    text = page.inner_text("body")
    assert "mouse-1" in text
    assert "mouse-2" in text
    page.screenshot(path=_ARTIFACTS / "individuals-dashboard.png", full_page=True)


def name_of(track: str) -> str:
    return f"mouse-{track.rpartition('-')[2]}"


def learned(loop: Loop) -> str | None:
    """The version that is shown, if it is a trained one; it may be measured still."""
    version = loop.shown_version()
    return version if version.startswith("cold-v") else None


def of_two(backend: Backend, project: int) -> str | None:
    """The newest version, once it has learned from both videos."""
    newest = backend.get(f"/models?project={project}")["models"][-1]
    return str(newest["name"]) if newest["videos"] == 2 else None


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
