"""Labels out of BORIS into a real Label Studio, onto the frames of the editor, and by ELAN and Label Studio's own JSON into another
project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from box_page import READY
from playwright.sync_api import Page
from test_box_files_loop import coldblitz
from test_box_tracks import submit
from test_found_tracks import HEIGHT, RATE, WIDTH, go_to, iou, make_clip, place, seen

from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
CONFIG = """<View><TimelineLabels name="what" toName="video"><Label value="groom"/><Label value="rear"/></TimelineLabels>
  <Video name="video" value="$video" framerate="$fps" timelineHeight="120"/></View>"""
REGIONS = """() => window.Htx.annotationStore.selected.regions.map(region => ({labels: [...region.labels],
    start: region.ranges[0].start, end: region.ranges[0].end, text: [...(region.meta?.text || [])]}))"""


def project_of(studio: Studio, backend: Backend, clip: Path) -> tuple[Loop, int]:
    project = studio.create_project("What they do", CONFIG)
    [task] = studio.import_tasks(project, [{"video": studio.upload(project, clip), "fps": RATE}])
    return Loop(studio, backend, project, (task,)), task


def said(studio: Studio, task: int) -> list[tuple[Any, ...]]:
    [annotation] = studio.get(f"/api/tasks/{task}/annotations/")
    return [
        (item["value"]["timelinelabels"], item["value"]["ranges"], item.get("meta", {}).get("text"))
        for item in annotation["result"]
    ]


def test_a_project_of_boris_is_shown_on_its_frames_and_goes_on_as_it_was_submitted(
    studio: Studio, backend: Backend, page: Page, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "subject.mp4")
    loop, task = project_of(studio, backend, clip)
    events = [
        [2.4, "mouse-1", "grooming", "", "at the wall", 60],
        [3.2, "mouse-1", "grooming", "", "", 80],
        [6.0, "", "rear", "", "", 150],
    ]
    boris = {
        "behaviors_conf": {
            "0": {"code": "grooming", "type": "State event"},
            "1": {"code": "rear", "type": "Point event"},
        },
        "observations": {"first day": {"file": {"1": ["/videos/Subject.MP4"]}, "events": events, "time offset": 0.0}},
    }
    (tmp_path / "study.boris").write_text(json.dumps(boris))
    told = coldblitz(
        loop,
        "import",
        "labels",
        str(tmp_path / "study.boris"),
        "--project",
        str(loop.project),
        "--label",
        "grooming=groom",
    )
    assert "subject.mp4: task" in told
    page.goto(f"{studio.url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function(READY, arg=task)
    assert page.evaluate(REGIONS) == [
        {"labels": ["groom"], "start": 61, "end": 80, "text": ["who: mouse-1", "at the wall"]},
        {"labels": ["rear"], "start": 151, "end": 151, "text": []},
    ]
    for frame, index in ((61, 60), (80, 79), (151, 150)):
        x, y, width, height = place(index)
        there = [100 * x / WIDTH, 100 * y / HEIGHT, 100 * width / WIDTH, 100 * height / HEIGHT]
        assert iou(seen(go_to(page, frame)), there) > 0.95
    page.screenshot(path=_ARTIFACTS / "imported-labels.png")
    submit(page, task)

    before = said(studio, task)
    assert before[0] == (["groom"], [{"start": 61, "end": 80}], ["who: mouse-1", "at the wall"])
    for form, name in (("elan", "eaf"), ("labelstudio", "tasks.json")):
        coldblitz(loop, "export", str(loop.project), "-o", str(tmp_path / name), "--as", form)
        other, other_task = project_of(studio, backend, clip)
        coldblitz(other, "import-labels", str(tmp_path / name), "--project", str(other.project), "--ground-truth")
        assert said(studio, other_task) == before, form
    rows = json.loads(coldblitz(loop, "stats", "bouts", str(loop.project), "--json"))
    assert [(row["who"], row["label"], row["start_s"], row["end_s"]) for row in rows] == [
        ("mouse-1", "groom", 2.4, 3.2),
        ("", "rear", 6.0, 6.04),
    ]
