"""The main loop against a real Label Studio, seen through its API only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from ml_backend.demo.clips import LABELS, Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_at, label_config, labels_at, right_frames
from ml_backend.demo.process import Backend, DidNotStart, coldblitz
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e
OpenProject = Callable[..., Loop]


def test_a_few_labelled_frames_become_a_timeline_of_every_video(open_project: OpenProject, clips: list[Clip]) -> None:
    loop = open_project(clips)
    clip_of = dict(zip(loop.tasks, clips, strict=False))

    suggestions = loop.suggestions()
    for task, regions in suggestions.items():
        frames = [region["value"]["ranges"][0]["start"] for region in regions]
        assert frames == sorted(set(frames))
        assert 3 <= len(frames) <= 10
        assert frames[0] >= 1
        assert frames[-1] <= len(clip_of[task].labels)
        for region in regions:
            [span] = region["value"]["ranges"]
            assert span["start"] == span["end"]
            assert region["value"]["timelinelabels"] == []
            assert region["id"].startswith("kf-")
    assert loop.wait_for("pinned suggestions", lambda: loop.shown_version() == SUGGESTIONS)

    first, second, _ = loop.tasks
    labelled = {task: loop.answer(task, clip_of[task]).frames for task in (first, second)}
    version, timelines = loop.timelines()
    assert version.startswith("cold-v")
    for task, regions in timelines.items():
        for region in regions:
            assert region["id"].startswith(f"{version}-")
            assert len(region["value"]["ranges"]) == 1
            assert len(region["value"]["timelinelabels"]) == 1
            assert 0 <= region["score"] <= 1
        # What a person said is held, whatever the model thinks.
        assert all(labels_at(regions, frame) == {label_at(clip_of[task], frame)} for frame in labelled.get(task, ()))
    counts = [right_frames(timelines[task], clip_of[task], labelled.get(task, ())) for task in loop.tasks]
    right, asked = (sum(column) for column in zip(*counts, strict=True))
    assert right / asked >= 0.95
    for task in loop.tasks:
        [prediction] = [each for each in loop.studio.predictions(task) if each["model_version"] == version]
        assert 0 <= prediction["score"] <= 1

    # An annotator who has a task open still needs the prediction that it began from.
    assert loop.regions(SUGGESTIONS) is not None
    # The backend of these tests has no weights, which the admin must not overlook.
    problems = loop.backend.get("/jobs")["problems"]
    assert any("untrained" in told for key in problems if key.startswith(f"{loop.project}.") for told in problems[key])


def test_every_further_annotation_makes_a_new_version_and_shows_it(
    open_project: OpenProject, clips: list[Clip]
) -> None:
    loop = open_project(clips[:2])
    first, second = loop.tasks
    loop.suggestions()
    loop.answer(first, clips[0])
    before, _ = loop.timelines()
    loop.answer(second, clips[1])
    after, timelines = loop.timelines(newer_than=before)
    assert _number(after) == _number(before) + 1
    assert set(timelines) == {first, second}


@pytest.mark.parametrize("kind", ["local files", "plain URL"])
def test_video_that_was_not_uploaded_is_fetched_from_where_it_is(
    kind: str, open_project: OpenProject, studio: Studio, clips: list[Clip], served_elsewhere: str
) -> None:
    clip = clips[0]
    if kind == "plain URL":
        loop = open_project(data=[{"video": f"{served_elsewhere}/{clip.path.name}", "fps": float(clip.fps)}])
    else:
        folder = studio.files / "street"
        folder.mkdir()
        (folder / clip.path.name).write_bytes(clip.path.read_bytes())
        loop = open_project()
        storage = {"project": loop.project, "path": str(folder), "use_blob_urls": True, "title": "street"}
        studio.post("/api/storages/localfiles/", storage)
        data = {"video": f"/data/local-files/?d=street/{clip.path.name}", "fps": float(clip.fps)}
        loop = Loop(studio, loop.backend, loop.project, tuple(studio.import_tasks(loop.project, [data])))
    [regions] = loop.suggestions().values()
    assert 3 <= len(regions) <= 10


def test_a_bad_video_is_named_with_its_reason_and_the_others_go_on(
    open_project: OpenProject, clips: list[Clip], served_elsewhere: str
) -> None:
    damaged = clips[0].path.with_name("damaged.mp4")
    damaged.write_bytes(b"not a video" * 1000)
    bad = [
        {"video": f"{served_elsewhere}/damaged.mp4", "fps": 25},
        {"video": f"{served_elsewhere}/missing.mp4", "fps": 25},
        {"video": "/data/upload/1/never-uploaded.mp4", "fps": 25},
    ]
    loop = open_project(clips[:1], bad)
    good, *others = loop.tasks
    alone = Loop(loop.studio, loop.backend, loop.project, (good,))
    alone.suggestions()
    alone.answer(good, clips[0])
    version, _ = alone.timelines()
    assert version.startswith("cold-v")

    def failed() -> dict[int, str] | None:
        jobs = loop.backend.jobs()
        told = [job for job in jobs["failed"] + jobs["queued"] if job["reason"] and _project(job) == loop.project]
        reasons = {job["task"]: job["reason"] for job in told}
        return reasons if set(others) <= set(reasons) else None

    reasons = loop.wait_for("reason for each bad video", failed)
    assert good not in reasons
    for task, item in zip(others, bad, strict=True):
        assert f"task {task}" in reasons[task] or str(item["video"]) in reasons[task]


def test_a_task_without_an_answer_yet_stays_open_and_is_asked_again(
    open_project: OpenProject, clips: list[Clip], served_elsewhere: str
) -> None:
    late = clips[0].path.with_name("late.mp4")
    loop = open_project(data=[{"video": f"{served_elsewhere}/{late.name}", "fps": float(clips[0].fps)}])
    [task] = loop.tasks
    loop.wait_for("failed job", lambda: loop.backend.jobs()["failed"] or None)
    opened = loop.studio.get(f"/api/tasks/{task}")
    assert opened["predictions"] == []
    assert loop.studio.predictions(task) == []
    body = {"tasks": [opened, opened], "project": f"{loop.project}.1", "label_config": label_config(LABELS)}
    answer = requests.post(f"{loop.backend.url}/predict", json=body, timeout=60).json()
    assert answer["results"] == [[], []]

    late.write_bytes(clips[0].path.read_bytes())
    loop.studio.get(f"/api/tasks/{task}")
    assert 3 <= len(loop.suggestions()[task]) <= 10


def test_a_retrieval_through_label_studio_stores_each_answer_once(open_project: OpenProject, clips: list[Clip]) -> None:
    loop = open_project(clips[:2])
    loop.suggestions()
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    selected = {"selectedItems": {"all": True, "excluded": []}}
    for _ in range(2):
        loop.studio.post(f"/api/dm/actions?id=retrieve_tasks_predictions&project={loop.project}", selected)
    for task in loop.tasks:
        versions = [prediction["model_version"] for prediction in loop.studio.predictions(task)]
        assert versions == [SUGGESTIONS]


@pytest.mark.parametrize("route", ["/predict", "/setup", "/webhook"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"tasks": 1, "project": []}', b"\xff\xfe"])
def test_a_malformed_request_is_refused_with_a_reason(backend: Backend, route: str, body: bytes) -> None:
    answer = requests.post(f"{backend.url}{route}", data=body, headers={"Content-Type": "application/json"}, timeout=60)
    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "Traceback" not in answer.text
    assert backend.get("/health")["status"] == "UP"


def test_a_skipped_task_trains_nothing(open_project: OpenProject, clips: list[Clip]) -> None:
    loop = open_project(clips[:1])
    [task] = loop.tasks
    loop.suggestions()
    loop.studio.post(f"/api/tasks/{task}/annotations/", {"result": [], "was_cancelled": True, "lead_time": 1})
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    assert loop.shown_version() == SUGGESTIONS


def test_serve_without_an_address_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="LABEL_STUDIO_URL"), coldblitz("", "token", tmp_path):
        pass


def test_real_video_that_the_project_has_never_seen(open_project: OpenProject, real_data: Path, studio: Studio) -> None:
    folder = studio.files / "scene"
    folder.mkdir()
    name = "car-detection.mp4"
    (folder / name).write_bytes((real_data / "videos" / "scene" / name).read_bytes())
    loop = open_project()
    storage = {"project": loop.project, "path": str(folder), "use_blob_urls": True, "title": "scene"}
    studio.post("/api/storages/localfiles/", storage)
    tasks = studio.import_tasks(loop.project, [{"video": f"/data/local-files/?d=scene/{name}", "fps": 30}])
    [regions] = Loop(studio, loop.backend, loop.project, tuple(tasks)).suggestions().values()
    assert 3 <= len(regions) <= 10


def _project(job: dict[str, str]) -> int:
    """The number in a project's key, which is `<number>.<time of its creation>`."""
    return int(job["project"].partition(".")[0])


def _number(version: str) -> int:
    return int(version.rpartition("-v")[2])
