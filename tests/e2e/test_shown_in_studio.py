"""What Label Studio's own pages show of a model that trains, and of how sure it is; at a real Label Studio, in its browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from embedded import redis, redis_settings
from loopback import serving
from playwright.sync_api import Page, expect
from redis import Redis

from ml_backend.demo.clips import LABELS
from ml_backend.demo.loop import label_config
from ml_backend.demo.studio import Studio
from ml_backend.jobs.columns import columns
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.shown_progress import rename
from ml_backend.projects import registry, stored_predictions, task_view
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]
pytestmark = [pytest.mark.e2e, pytest.mark.browser]
SURE = (0.31, 0.31, 0.92)


@dataclass
class Scene:
    """A project with a model that is as sure as `SURE` of its three videos; a worker's `context`."""

    studio: Studio
    context: JobContext
    project: int
    key: str
    tasks: list[int]

    def data(self) -> list[dict[str, Any]]:
        return [task["data"] for task in self.studio.tasks(self.project)]

    def tabs(self) -> dict[str, dict[str, Any]]:
        return {tab["data"]["title"]: tab for tab in self.studio.get("/api/dm/views/", project=self.project)}

    def entry(self) -> dict[str, Any]:
        """As Label Studio has it, without asking us."""
        path = f"/api/projects/{self.project}/model-versions/?extended=true&include_live_models=true"
        [row] = self.studio.get(path)["live"]
        return dict(row)


@pytest.fixture
def scene(studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path) -> Iterator[Scene]:
    settings = replace(
        redis_settings,
        label_studio_url=studio.url,
        label_studio_api_key=studio.token,
        redis_url=redis_url(redis_settings),
        data_dir=tmp_path,
    )
    context = JobContext(settings)
    project = studio.create_project("A street", label_config(LABELS))
    tasks = studio.import_tasks(
        project, [{"video": f"http://localhost/{n}.mp4", "fps": 25, "place": "roof"} for n in range(3)]
    )
    with serving(create_app(settings), "localhost") as url:
        studio.connect(project, url, {"data_manager_columns": True})
        [key] = registry.known_keys(redis)
        registry.activate(redis, key, "cold-v2")
        for task, certainty in zip(tasks, SURE, strict=True):
            item: Any = {"task": task, "model_version": "cold-v2", "score": 0.5, "result": []}
            stored_predictions.save(tmp_path, key, item)
            view = TaskView(task, f"{task}.mp4", 25, 100, 4.0, "cold-v2", {}, certainty=certainty)
            task_view.save(tmp_path, key, view)
        yield Scene(studio, context, project, key, tasks)
    context.redis.close()


def test_the_data_manager_says_how_sure_the_model_is(scene: Scene, page: Page) -> None:
    columns.within(scene.context, scene.key)
    kept = {"fps": 25, "place": "roof"}
    assert [{**data, "video": None} for data in scene.data()] == [
        {**kept, "video": None, "coldblitz_certainty": 100 * each} for each in SURE
    ]
    made = scene.tabs()
    assert list(made) == ["Default", "To label", "Not sure"]
    listed = scene.studio.get("/api/tasks", project=scene.project, view=made["Not sure"]["id"], fields="all")
    assert [task["id"] for task in listed["tasks"]] == scene.tasks[:2]

    page.goto(f"{scene.studio.url}/projects/{scene.project}/data?tab={made['Not sure']['id']}")
    expect(page.get_by_text("coldblitz_certainty").first).to_be_visible(timeout=180_000)
    for title in made:
        expect(page.get_by_text(title, exact=True).first).to_be_visible()
    expect(page.get_by_text("31", exact=True)).to_have_count(2)

    # What it has written is no event, and no reason to write again; a tab that somebody has deleted stays away.
    scene.studio.delete(f"/api/dm/views/{made['Not sure']['id']}/?project={scene.project}")
    assert columns.within(scene.context, scene.key) == "renewed the Data Manager's columns of 0 of 3 tasks"
    assert list(scene.tabs()) == ["Default", "To label"]
    assert scene.context.studio.tasks.last_changed(scene.project)[0] == max(
        task["updated_at"] for task in scene.studio.tasks(scene.project)
    )


def test_the_model_page_says_what_is_trained_until_a_reconcile_finds_that_nothing_is(scene: Scene, page: Page) -> None:
    reconcile.within(scene.context, scene.key)
    before = scene.entry()
    assert rename(scene.context, scene.key, scene.project, "training cold-v4, 60 %")
    after = scene.entry()
    assert after["title"] == "Coldblitz · training cold-v4, 60 %"
    # Connected before the model became active, it still had the version of the suggestions.
    changing = ("title", "updated_at", "model_version")
    assert {name: after[name] for name in after if name not in changing} == {
        name: before[name] for name in before if name not in changing
    }
    page.goto(f"{scene.studio.url}/projects/{scene.project}/settings/ml")
    expect(page.get_by_text("Coldblitz · training cold-v4, 60 %").first).to_be_visible(timeout=180_000)
    # A worker that died has left it.
    reconcile.within(scene.context, scene.key)
    assert scene.entry()["title"] == "Coldblitz"
    known = registry.recall(scene.context.redis, scene.key)
    assert known is not None
    assert known.extra_params == {"data_manager_columns": True}
