"""Labels of tracks, learned in a real Label Studio: two tracks of one video are labeled in the page and submitted, and the tracks of
another video get their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from box_page import READY, SEEK, SHOWN
from playwright.sync_api import Page

from benchmarks.objects.kinds import DISTINCT, FilmedKinds, film_kinds
from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.objects.boxes import iou

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
CONFIG = """<View><Labels name="who" toName="video"><Label value="mouse"/><Label value="vole"/></Labels>
  <VideoRectangle name="box" toName="video"/><Video name="video" value="$video" framerate="$fps" timelineHeight="120"/></View>"""
QUESTION = parse_label_config(CONFIG).tracks[0]
SELECT = """id => { const selected = window.Htx.annotationStore.selected; selected.unselectAll();
    selected.selectArea(selected.regions.find(each => each.cleanId === id)); }"""
CALLED = (
    "id => [...(window.Htx.annotationStore.selected.regions.find(each => each.cleanId === id).labels || [])].join()"
)


def tracks_of(studio: Studio, task: int) -> tuple[Track, ...]:
    predictions = studio.predictions(task)
    return read_tracks(predictions[-1]["result"], QUESTION).tracks if predictions else ()


def kinds_of(found: tuple[Track, ...], film: FilmedKinds) -> dict[str, str]:
    """By the id of each track what its subject is."""
    kinds = {}
    for truth in film.truth:
        alike = [
            float(np.nan_to_num(iou(each.boxes(truth.frames + 1)[:, :4] / 100, truth.boxes)).mean()) for each in found
        ]
        assert max(alike) > 0.5
        kinds[found[int(np.argmax(alike))].id] = str(truth.label)
    return kinds


def test_two_labeled_tracks_label_those_of_another_video(
    studio: Studio, backend: Backend, page: Page, tmp_path: Path
) -> None:
    mouse, vole, _ = DISTINCT.kinds
    films = [
        film_kinds((mouse, vole), tmp_path / "one.mp4", 41, seconds=6),
        film_kinds((vole, mouse), tmp_path / "other.mp4", 42, seconds=6),
    ]
    project = studio.create_project("Mice and voles", CONFIG)
    one, other = studio.import_tasks(
        project, [{"video": studio.upload(project, film.path), "fps": 25} for film in films]
    )
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, (one, other))
    found = [
        loop.wait_for("two tracks", lambda task=task: each if len(each := tracks_of(studio, task)) == 2 else None)
        for task in (one, other)
    ]
    assert {each.labels for tracks in found for each in tracks} == {()}

    page.goto(f"{studio.url}/projects/{project}/data?task={one}")
    page.wait_for_function(READY, arg=one)
    page.evaluate(SEEK, 30)
    wanted = kinds_of(found[0], films[0])
    for track, kind in wanted.items():
        # As a person does: the region is selected, and the label's digit pressed.
        page.evaluate(SELECT, track)
        page.keyboard.press({"mouse": "1", "vole": "2"}[kind])
        page.wait_for_function(f"([track, kind]) => ({CALLED})(track) === kind", arg=[track, kind])
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{one}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201

    def named() -> dict[str, str] | None:
        labels = {each.id: each.labels[0] for each in tracks_of(studio, other) if each.labels}
        return labels if len(labels) == 2 else None

    assert loop.wait_for("learned labels", named) == kinds_of(found[1], films[1])
    page.goto(f"{studio.url}/projects/{project}/data?task={other}")
    page.wait_for_function(READY, arg=other)
    page.evaluate(SEEK, 30)
    shown = {each["id"]: each["labels"] for each in page.evaluate(SHOWN) if each["id"].startswith("coldblitz-track-")}
    assert shown == {track: [kind] for track, kind in kinds_of(found[1], films[1]).items()}
    page.screenshot(path=_ARTIFACTS / "learned-track-labels.png")
    page.goto(f"{backend.url}/")
    assert "2 tracks of 1 video taught labels (1 mouse, 1 vole); 2 others got theirs." in page.inner_text("body")
