"""`make demo OBJECTS=1`: tracks of drawn animals, found by nothing but a connected project, and seen in Label Studio."""

from __future__ import annotations

from pathlib import Path

import pytest
from box_page import READY, SEEK, SHOWN
from playwright.sync_api import Page

from ml_backend.demo.animals import PENS, make_pens
from ml_backend.demo.loop import Loop, upload_tasks
from ml_backend.demo.objects import CONFIG, found_tracks, overlaps
from ml_backend.demo.process import Backend
from ml_backend.demo.run import ON_IT
from ml_backend.demo.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"


def test_every_animal_has_a_track_that_lies_on_it(studio: Studio, backend: Backend, page: Page, tmp_path: Path) -> None:
    (clip,) = make_pens(tmp_path, PENS[:1])
    project = studio.create_project("Animals", CONFIG)
    tasks = upload_tasks(studio, project, [(clip.path, clip.fps)])
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, tuple(tasks))
    found = found_tracks(loop)[tasks[0]]
    assert min(overlaps(found, clip)) >= ON_IT
    page.goto(f"{studio.url}/projects/{project}/data?task={tasks[0]}")
    page.wait_for_function(READY, arg=tasks[0])
    page.evaluate(SEEK, 100)
    page.wait_for_timeout(500)
    shown = page.evaluate(SHOWN)
    assert {tuple(region["labels"]) for region in shown} == {("mouse",)}
    for region in shown:
        x, y = region["box"]["x"] + region["box"]["width"] / 2, region["box"]["y"] + region["box"]["height"] / 2
        inside = [box for box in clip.boxes[:, 99] if box[0] < x < box[0] + box[2] and box[1] < y < box[1] + box[3]]
        assert len(inside) == 1
    page.screenshot(path=_ARTIFACTS / "object-demo.png")
    page.goto(f"{backend.url}/dashboard/projects/{project}/videos/{tasks[0]}?frame=100")
    page.locator("#stage-picture rect.box").first.wait_for()
    loop.wait_for("pictures", lambda: page.reload() is not None and page.locator("img.sheet").count() == 1)
    page.goto(f"{backend.url}/dashboard/projects/{project}/videos/{tasks[0]}?frame=100")
    page.locator("#stage-picture rect.box").first.wait_for()
    page.get_by_role("button", name="Frame on").click()
    page.get_by_text("Frame 101 of").first.wait_for()
    page.screenshot(path=_ARTIFACTS / "object-demo-video.png", full_page=True)
    page.get_by_role("link", name="Paths and numbers").click()
    page.locator(".chart.paths").first.wait_for()
    page.screenshot(path=_ARTIFACTS / "object-demo-paths.png", full_page=True)
