"""Questions about tracks in a real Label Studio: a person reads one, goes to its frame, answers it with a digit, and submits."""

from __future__ import annotations

from pathlib import Path

import pytest
from box_page import READY, SEEK
from playwright.sync_api import Page
from test_learned_track_labels import CALLED, CONFIG, QUESTION, SELECT, kinds_of, tracks_of

from benchmarks.objects.kinds import DISTINCT, film_kinds
from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.tracks import is_untouched, read_tracks
from ml_backend.provenance import RegionId

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
VIDEO = "window.Htx.annotationStore.selected.names.get('video')"


def questions(studio: Studio, task: int) -> list[tuple[str, int]]:
    """The id of each question in a task's prediction, and the frame that it is about."""
    predictions = studio.predictions(task)
    asked = []
    for each in predictions[-1]["result"] if predictions else ():
        ours = RegionId.parse(each["id"])
        if ours is not None and ours.kind == "track question":
            [key] = each["value"]["sequence"]
            asked.append((each["id"], key["frame"]))
    return asked


def test_a_question_leads_to_its_frame_and_a_digit_answers_it(
    studio: Studio, backend: Backend, page: Page, tmp_path: Path
) -> None:
    mouse, vole, _ = DISTINCT.kinds
    films = [
        film_kinds((mouse, vole), tmp_path / "one.mp4", 41, seconds=6),
        film_kinds((vole, mouse), tmp_path / "other.mp4", 42, seconds=6),
    ]
    project = studio.create_project("What is asked", CONFIG)
    one, other = studio.import_tasks(
        project, [{"video": studio.upload(project, film.path), "fps": 25} for film in films]
    )
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, (one, other))
    asked = loop.wait_for("two questions", lambda: each if len(each := questions(studio, one)) == 2 else None)
    loop.wait_for("the other video's", lambda: questions(studio, other) or None)
    kinds = kinds_of(tracks_of(studio, one), films[0])
    page.goto(f"{backend.url}/dashboard/projects/{project}/videos")
    assert page.inner_text("#asked") == "Boxes worth a look"

    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(f"{studio.url}/projects/{project}/data?task={one}")
    page.wait_for_function(READY, arg=one)
    region, frame = asked[0]
    page.evaluate(SEEK, 1)
    page.evaluate(SELECT, region)
    page.get_by_text("Press the digit of its label").first.wait_for()
    # The key (and the button) for the next key frame leads there.
    page.keyboard.press("Control+Alt+ArrowRight")
    page.wait_for_function(f"frame => {VIDEO}.frame === frame", arg=frame)
    there = f"id => {{ const video = {VIDEO}; const region = window.Htx.annotationStore.selected.regions"
    there += ".find(each => each.cleanId === id); return region.isInLifespan(video.frame); }"
    assert page.evaluate(there, region)
    page.wait_for_timeout(500)
    page.screenshot(path=_ARTIFACTS / "track-question.png")
    kind = kinds[f"coldblitz-track-{region.split('-')[3]}"]
    page.keyboard.press({"mouse": "1", "vole": "2"}[kind])
    page.wait_for_function(f"([region, kind]) => ({CALLED})(region) === kind", arg=[region, kind])
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{one}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201
    # As Label Studio has stored it: the tracks are what they were, and the questions are none.
    [annotation] = studio.get(f"/api/tasks/{one}/annotations/")
    assert len(annotation["result"]) == 4
    kept = read_tracks(annotation["result"], QUESTION).tracks
    assert {each.id for each in kept} == kinds.keys()
    assert all(map(is_untouched, kept))
    # The answer is the track's label, the question that was left alone is none, and the task is asked about nothing more.
    told = f"Only 1 {kind} so far"

    def learned() -> bool | None:
        page.goto(f"{backend.url}/")
        return told in page.inner_text("body") or None

    loop.wait_for("one learned label", learned)
    page.goto(f"{backend.url}/dashboard/projects/{project}/videos")
    listed = page.locator("section[aria-labelledby=asked] tbody th").all_inner_texts()
    assert set(listed) == {str(other)}
    page.screenshot(path=_ARTIFACTS / "boxes-worth-a-look.png")
