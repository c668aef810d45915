"""Interactive pre-annotations in a real Label Studio: a box that a person draws and labels becomes the track of its object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page
from test_box_tracks import drag, on_screen
from test_found_tracks import CONFIG, RATE, go_to, iou, make_clip, seen, tracks_of

from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
TWO = CONFIG.format('<Label value="rat"/>')
QUESTION = parse_label_config(TWO).tracks[0]
REGIONS = """() => window.Htx.annotationStore.selected.regions.map(region => ({id: region.cleanId, labels: [...(region.labels || [])],
    keys: region.sequence.length}))"""


def test_a_drawn_and_labeled_box_becomes_the_track_of_its_object(
    studio: Studio, backend: Backend, page: Page, tmp_path: Path
) -> None:
    project = studio.create_project("Who is where", TWO)
    [task] = studio.import_tasks(
        project, [{"video": studio.upload(project, make_clip(tmp_path / "s.mp4")), "fps": RATE}]
    )
    studio.connect(project, backend.url, is_interactive=True)
    loop = Loop(studio, backend, project, (task,))
    loop.wait_for("a track", lambda: tracks_of(studio, task).tracks or None)
    # As an annotator who begins with nothing: the predicted tracks stay in their tab.
    studio.patch(f"/api/projects/{project}/", {"show_collab_predictions": False})
    page.goto(f"{studio.url}/projects/{project}/data?task={task}")
    page.wait_for_function(
        "task => window.Htx?.annotationStore?.selected && document.querySelector('video')?.readyState >= 2"
        " && window.Htx.annotationStore.selected.names.get('video').length > 1 && window.Htx.task.id === task",
        arg=task,
    )
    page.get_by_text("Auto-Annotation").first.click()
    page.evaluate("() => [...window.Htx.annotationStore.selected.regions].forEach(region => region.deleteRegion())")
    go_to(page, 60)
    x, y, width, height = on_screen(page)
    drag(page, (x, y), (width, height))
    page.wait_for_function("() => window.Htx.annotationStore.selected.regions.length === 1")
    [drawn] = page.evaluate(REGIONS)
    assert drawn["keys"] == 1
    page.screenshot(path=_ARTIFACTS / "interactive-drawn.png")
    # Label Studio asks when a label is given to the selected box.
    page.mouse.click(x + width / 2, y + height / 2)
    page.wait_for_function("() => window.Htx.annotationStore.selected.selectedRegions.length === 1")
    with page.expect_response(lambda answer: "interactive-annotating" in answer.url) as asked:
        page.keyboard.press("2")
    assert asked.value.status == 200
    page.wait_for_function("() => window.Htx.annotationStore.selected.regions[0]?.sequence.length > 1")
    [tracked] = page.evaluate(REGIONS)
    assert (tracked["id"], tracked["labels"]) == (drawn["id"], ["rat"])
    picture = go_to(page, 150)
    page.screenshot(path=_ARTIFACTS / "interactive-tracked.png")
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{task}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201
    [track] = read_tracks(studio.get(f"/api/tasks/{task}/annotations/")[0]["result"], QUESTION).tracks
    assert (track.id, track.labels) == (drawn["id"], ("rat",))
    there = [float(each) for each in track.boxes(np.array([150]))[0, :4]]
    assert iou(there, seen(picture)) > 0.6
