"""Whose project is it: two backends on one Label Studio, and one that is disconnected and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from ml_backend.demo.backend import Backend, coldblitz
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e
OpenProject = Callable[..., Loop]


@pytest.fixture(scope="module")
def another(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A second Coldblitz, with a DATA_DIR and a Redis of its own, for the same Label Studio."""
    data = tmp_path_factory.mktemp("another")
    with coldblitz(studio.url, studio.token, data, settings={"BACKBONE_WEIGHTS": "none"}) as running:
        yield running


def test_a_second_backend_touches_only_the_project_that_it_is_connected_to(
    open_project: OpenProject, another: Backend, clips: list[Clip]
) -> None:
    production = open_project(clips[:2])
    production.suggestions()
    production.answer(production.tasks[0], clips[0])
    version, _ = production.timelines()
    production.wait_for("end of all jobs", lambda: production.backend.idle)
    before = state(production)

    theirs = open_project(clips[2:3], backend=another)
    theirs.suggestions()
    reconcile(another)
    theirs.wait_for("end of all jobs", lambda: another.idle)
    assert state(production) == before
    assert projects_of(another) == {theirs.project}
    assert theirs.project not in projects_of(production.backend)

    # Nor does it when it has forgotten everything, and has to look for its projects.
    production.answer(production.tasks[1], clips[1])
    newer, _ = production.timelines(newer_than=version)
    assert newer != version
    assert projects_of(another) == {theirs.project}


def test_a_project_that_lets_go_of_us_is_let_go_and_connecting_it_again_brings_all_back(
    open_project: OpenProject, clips: list[Clip]
) -> None:
    loop = open_project(clips[:2])
    first, second = loop.tasks
    loop.suggestions()
    loop.answer(first, clips[0])
    version, _ = loop.timelines()
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)

    [entry] = loop.studio.get("/api/ml/", project=loop.project)
    loop.studio.call("DELETE", f"/api/ml/{entry['id']}")
    reconcile(loop.backend, loop.project)
    loop.wait_for("farewell", lambda: webhooks(loop) == [])
    told = loop.wait_for("word to the admin", lambda: problems(loop))
    assert "disconnected" in told[0]

    body = {"model_version": SUGGESTIONS}
    loop.studio.call("DELETE", f"/api/projects/{loop.project}/model-versions/", json=body)
    before = state(loop)
    annotate(loop, second)
    requests.post(f"{loop.backend.url}/webhook", json=event(loop), timeout=10).raise_for_status()
    reconcile(loop.backend, loop.project)
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    assert state(loop) == before

    loop.studio.connect(loop.project, loop.backend.url)
    newer, _ = loop.timelines(newer_than=version)
    assert number(newer) == number(version) + 1
    assert webhooks(loop) == [f"{loop.backend.url}/webhook"]
    assert not any("disconnected" in sentence for sentence in problems(loop) or [])


def annotate(loop: Loop, task: int) -> None:
    """Label one stretch of the task's video by hand."""
    value = {"ranges": [{"start": 1, "end": 10}], "timelinelabels": ["car"]}
    region = {"id": "mine", "type": "timelinelabels", "value": value, "from_name": "labels", "to_name": "video"}
    loop.studio.post(f"/api/tasks/{task}/annotations/", {"result": [{**region, "origin": "manual"}]})


def event(loop: Loop) -> dict[str, object]:
    """One that was under way when the webhook went."""
    project = loop.studio.get(f"/api/projects/{loop.project}/")
    return {"action": "ANNOTATION_CREATED", "project": project}


def state(loop: Loop) -> dict[str, object]:
    """All that a backend may change of a project."""
    versions = {
        task: sorted(str(each["model_version"]) for each in loop.studio.predictions(task)) for task in loop.tasks
    }
    return {"versions": versions, "shown": loop.shown_version(), "webhooks": webhooks(loop)}


def webhooks(loop: Loop) -> list[str]:
    return sorted(hook["url"] for hook in loop.studio.get("/api/webhooks/", project=loop.project))


def problems(loop: Loop) -> list[str] | None:
    found = loop.backend.get("/jobs")["problems"]
    mine = [told for key, told in found.items() if key.startswith(f"{loop.project}.")]
    return mine[0] if mine else None


def reconcile(backend: Backend, project: int | None = None) -> None:
    """Compare everything now, and look for projects that are not known."""
    body = {"kind": "reconcile", "project": None if project is None else str(project), "thorough": True}
    requests.post(f"{backend.url}/jobs", json=body, timeout=10).raise_for_status()


def projects_of(backend: Backend) -> set[int]:
    """The numbers of the projects that a backend knows, from the versions that it shows of each."""
    return {int(key.partition(".")[0]) for key in backend.get("/jobs")["versions"]}


def number(version: str) -> int:
    return int(version.rpartition("-v")[2])
