"""The Data Manager's columns and tabs of a project whose settings ask for them, and what becomes of them when people change them."""

from __future__ import annotations

from typing import Any

import pytest
from known_project import predicted, queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.columns import columns
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry, reports, stored_predictions, task_view
from ml_backend.projects.registry import Known
from ml_backend.projects.reports import QualityReport, SuspectRow
from ml_backend.projects.task_view import TaskView

VERSION = "cold-v2"


def remember(redis: Redis, **settings: object) -> None:
    registry.remember(redis, Known(KEY, "<View/>", settings or {"data_manager_columns": True}))
    registry.activate(redis, KEY, VERSION)


def predict(context: JobContext, studio: Studio, task: int, certainty: float) -> None:
    studio.add_task(task)
    predicted(studio, task, VERSION)
    data_dir = context.settings.data_dir
    item: Any = {"task": task, "model_version": VERSION, "score": 0.9, "result": []}
    stored_predictions.save(data_dir, KEY, item)
    task_view.save(data_dir, KEY, TaskView(task, f"{task}.mp4", 25, 100, 4.0, VERSION, {}, certainty=certainty))


def doubt(context: JobContext, *tasks: int) -> None:
    rows = tuple(SuspectRow(task, "a.mp4", 1, 9, 0, 1, ("cat",), ("dog",), 0.9, "label", "") for task in tasks)
    report = QualityReport(f"2026-01-31T12:00:0{len(tasks)}", 1, len(rows), rows, {}, {}, 0)
    reports.save_quality(context.settings.data_dir, KEY, report)


def titles(studio: Studio) -> list[str]:
    return [tab["data"]["title"] for tab in studio.tabs]


def test_tasks_with_one_number_are_written_in_one_request(context: JobContext, studio: Studio, redis: Redis) -> None:
    remember(redis)
    for task in range(1, 41):
        predict(context, studio, task, 0.5 if task % 2 else 0.83)
    studio.tasks[3]["data"]["place"] = "roof"
    assert columns.within(context, KEY) == "renewed the Data Manager's columns of 40 of 40 tasks"
    assert sorted(said["value"] for said in studio.acted) == [50, 83]
    assert studio.tasks[3]["data"] == {"video": "/data/upload/7/3.mp4", "place": "roof", "coldblitz_certainty": 50}


def test_only_what_has_changed_is_written_again(context: JobContext, studio: Studio, redis: Redis) -> None:
    remember(redis)
    for task in (1, 2, 3):
        predict(context, studio, task, 0.5)
    columns.within(context, KEY)
    studio.acted.clear()
    predict(context, studio, 2, 0.71)
    studio.tasks[2]["data"]["coldblitz_certainty"] = 50.0
    columns.within(context, KEY)
    assert [(said["value"], said["selectedItems"]["included"]) for said in studio.acted] == [(71, [2])]


def test_a_doubt_that_is_cleared_up_becomes_none(context: JobContext, studio: Studio, redis: Redis) -> None:
    remember(redis)
    for task in (1, 2):
        predict(context, studio, task, 0.5)
    doubt(context, 1, 1)
    columns.within(context, KEY)
    assert studio.tasks[1]["data"]["coldblitz_doubts"] == 2
    assert "coldblitz_doubts" not in studio.tasks[2]["data"]
    doubt(context)
    columns.within(context, KEY)
    assert studio.tasks[1]["data"]["coldblitz_doubts"] == 0


class TestTabs:
    def test_each_comes_once_its_column_is_there(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        columns.within(context, KEY)
        assert titles(studio) == ["Default", "To label"]
        predict(context, studio, 1, 0.5)
        doubt(context, 1)
        columns.within(context, KEY)
        assert titles(studio) == ["Default", "To label", "Not sure", "Disagreement"]

    def test_what_people_have_changed_renamed_or_deleted_stays_so(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        remember(redis)
        predict(context, studio, 1, 0.5)
        columns.within(context, KEY)
        # As Label Studio saves it: without what it does not know.
        studio.tabs[1]["data"] = {"title": "My work", "filters": {}}
        del studio.tabs[2]
        columns.within(context, KEY)
        assert titles(studio) == ["Default", "My work"]

    def test_with_another_redis_they_are_found_again(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        columns.within(context, KEY)
        studio.tabs[1]["data"]["title"] = "My work"
        redis.flushdb()
        remember(redis)
        columns.within(context, KEY)
        assert titles(studio) == ["Default", "My work"]

    def test_of_somebody_elses_tab_none_is_made_beside_it(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        remember(redis)
        theirs = {"id": 1, "data": {"title": "To label", "filters": {"items": []}}}
        studio.tabs.append(theirs)
        columns.within(context, KEY)
        assert studio.tabs == [theirs]


class TestReconciling:
    def test_it_is_queued_when_something_has_changed(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        predict(context, studio, 1, 0.5)
        reconcile.within(context, KEY)
        assert "columns" in queued(redis)
        columns.within(context, KEY)
        for key in redis.scan_iter("rq:*"):
            redis.delete(key)
        reconcile.within(context, KEY)
        assert "columns" not in queued(redis), "its own writing is no news"
        doubt(context, 1)
        reconcile.within(context, KEY)
        assert "columns" in queued(redis)

    @pytest.mark.parametrize("settings", [{"data_manager_columns": False}, {"companion": False}])
    def test_nothing_is_written_unless_it_is_asked_for(
        self, context: JobContext, studio: Studio, redis: Redis, settings: dict[str, object]
    ) -> None:
        remember(redis, **settings)
        predict(context, studio, 1, 0.5)
        reconcile.within(context, KEY)
        assert "columns" not in queued(redis)
        assert columns.within(context, KEY) == "the project does not want columns in the Data Manager"
        assert (studio.acted, studio.tabs) == ([], [])
