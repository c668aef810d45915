"""Whose project is it: two backends on one Label Studio, and one that is disconnected and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop
from ml_backend.demo.process import Backend, coldblitz
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
    production.timelines()
    production.wait_for("end of all jobs", lambda: production.backend.idle)
    before = state(production)

    theirs = open_project(clips[2:3], backend=another)
    theirs.suggestions()
    reconcile(another)
    theirs.wait_for("end of all jobs", lambda: another.idle)
    assert state(production) == before
    assert projects_of(another) == {theirs.project}
    assert theirs.project not in projects_of(production.backend)


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

    before = state(loop)
    loop.answer(second, clips[1])
    requests.post(f"{loop.backend.url}/webhook", json=event(loop), timeout=60).raise_for_status()
    reconcile(loop.backend, loop.project)
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    assert state(loop) == before

    loop.studio.connect(loop.project, loop.backend.url)
    newer, _ = loop.timelines(newer_than=version)
    assert number(newer) == number(version) + 1
    assert webhooks(loop) == [f"{loop.backend.url}/webhook"]
    assert not any("disconnected" in sentence for sentence in problems(loop) or [])


@pytest.mark.parametrize("where", ["in place of a broken video", "in place of a good one"])
def test_a_new_task_that_gets_the_number_of_a_deleted_one_gets_suggestions_of_its_own_video(
    open_project: OpenProject, clips: list[Clip], served_elsewhere: str, where: str
) -> None:
    folder = clips[0].path.parent
    (folder / "broken.mp4").write_bytes(b"not a video" * 1000)
    first = "broken.mp4" if "broken" in where else clips[0].path.name
    loop = open_project(data=[{"video": f"{served_elsewhere}/{first}", "fps": float(clips[0].fps)}])
    [task] = loop.tasks
    loop.wait_for("its end", lambda: failed(loop, task) if "broken" in where else loop.regions(SUGGESTIONS))
    loop.studio.call("DELETE", f"/api/tasks/{task}/")
    data = {"video": f"{served_elsewhere}/{clips[1].path.name}", "fps": 5}
    assert loop.studio.import_tasks(loop.project, [data]) == [task], "as SQLite does"
    check_frames(loop.suggestions()[task], 5, clips[1])


def test_another_video_of_a_task_is_suggested_anew(
    open_project: OpenProject, clips: list[Clip], served_elsewhere: str
) -> None:
    loop = open_project(data=[{"video": f"{served_elsewhere}/{clips[0].path.name}", "fps": float(clips[0].fps)}])
    [task] = loop.tasks
    loop.suggestions()
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    [before] = loop.studio.predictions(task)
    data = {"video": f"{served_elsewhere}/{clips[1].path.name}", "fps": 5}
    loop.studio.call("PATCH", f"/api/tasks/{task}/", json={"data": data})
    reconcile(loop.backend, loop.project)

    def renewed() -> dict[str, object] | None:
        found = loop.studio.predictions(task)
        return found[0] if [each["result"] for each in found] != [before["result"]] else None

    after = loop.wait_for("other suggestions", renewed)
    assert after["id"] == before["id"], "who has the task open can still submit"
    check_frames(loop.suggestions()[task], 5, clips[1])


def test_imported_predictions_under_a_name_of_ours_are_left_alone(
    open_project: OpenProject, clips: list[Clip], served_elsewhere: str
) -> None:
    loop = open_project()
    data = {"video": f"{served_elsewhere}/{clips[0].path.name}", "fps": float(clips[0].fps)}
    value = {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["car"]}
    region = {"id": "cold-v3-1", "type": "timelinelabels", "from_name": "labels", "to_name": "video", "value": value}
    theirs = {"model_version": "cold-v3", "score": 0.5, "result": [region]}
    path = f"/api/projects/{loop.project}/import?return_task_ids=true"
    [task] = loop.studio.post(path, [{"data": data, "predictions": [theirs]}])["task_ids"]
    found = Loop(loop.studio, loop.backend, loop.project, (task,))
    assert found.suggestions()[task], "there is no such model, so it is suggested"
    versions = {each["model_version"]: each["result"] for each in loop.studio.predictions(task)}
    assert versions["cold-v3"] == [region]


def failed(loop: Loop, task: int) -> bool:
    jobs = loop.backend.jobs()["failed"]
    return any(job["task"] == task and job["project"].startswith(f"{loop.project}.") for job in jobs)


def check_frames(regions: list[dict[str, object]], fps: int, clip: Clip) -> None:
    """The suggestions lie within a clip that is counted at so many frames a second."""
    frames = [region["value"]["ranges"][0]["start"] for region in regions]  # type: ignore[index]
    assert frames
    assert max(frames) <= len(clip.labels) * fps / float(clip.fps)


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
    requests.post(f"{backend.url}/jobs", json=body, timeout=60).raise_for_status()


def projects_of(backend: Backend) -> set[int]:
    """The numbers of the projects that a backend knows, from the versions that it shows of each."""
    return {int(key.partition(".")[0]) for key in backend.get("/jobs")["versions"]}


def number(version: str) -> int:
    return int(version.rpartition("-v")[2])
