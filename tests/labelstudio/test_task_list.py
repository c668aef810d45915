"""The tasks of a project, filtered, ordered and cut by Label Studio."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, jsonify, request
from told_studio import Studio

from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.labelstudio.tasks import Task


class Tasks:
    """The task list of a project, as Label Studio filters, orders and cuts it. `having`: for each model version, the tasks that
    have a prediction of it."""

    def __init__(self, studio: Studio, number: int, **having: set[int]) -> None:
        self.items = {i: {"id": i, "data": {"video": f"{i}.mp4"}} for i in range(1, number + 1)}
        self.having = {name.replace("_", "-"): tasks for name, tasks in having.items()}
        self.queries: list[dict[str, Any]] = []
        studio.will("GET", "/api/tasks", self.page)
        studio.will("GET", "/api/projects/7/model-versions/", self.counts)

    def page(self) -> Response:
        query = json.loads(request.args["query"])
        self.queries.append(query)
        conditions = query.get("filters", {}).get("items", [])
        found = [item for item in self.items.values() if all(self.meets(item["id"], one) for one in conditions)]
        (order,) = query["ordering"]
        found.sort(key=lambda item: item["id"], reverse=order.startswith("-"))
        shown = found[: int(request.args["page_size"])]
        if "predictions_model_versions" in request.args["include"]:
            shown = [{**item, "predictions_model_versions": ",".join(self.versions(item["id"]))} for item in shown]
        return jsonify(tasks=shown, total=len(found))

    def counts(self) -> Response:
        return jsonify({version: len(tasks) for version, tasks in self.having.items()})

    def versions(self, task: int) -> list[str]:
        return [version for version, tasks in self.having.items() if task in tasks]

    def meets(self, task: int, condition: dict[str, Any]) -> bool:
        column, value = condition["filter"].removeprefix("filter:tasks:"), condition["value"]
        if column == "predictions_model_versions":
            # Label Studio looks for the name anywhere in the version's.
            return not any(value[0] in version for version in self.versions(task))
        if column == "total_annotations":
            return True
        return bool({"greater": task > value, "less_or_equal": task <= value}[condition["operator"]])


class TestTheTaskList:
    def test_it_is_read_page_by_page(self, studio: Studio, client: LabelStudio) -> None:
        tasks = Tasks(studio, 250)
        assert list(client.tasks.all(7)) == [Task(i, {"video": f"{i}.mp4"}) for i in range(1, 251)]
        assert len(tasks.queries) == 3

    def test_none_is_lost_when_it_shrinks_while_it_is_read(self, studio: Studio, client: LabelStudio) -> None:
        tasks = Tasks(studio, 250, cold_v3=set())
        seen = []
        for task in client.predictions.tasks_lacking(7, "cold-v3"):
            seen.append(task.id)
            tasks.having["cold-v3"].add(task.id)
        assert seen == list(range(1, 251))

    def test_one_that_is_empty_ends(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[], total=250))
        assert list(client.tasks.all(7)) == []

    def test_tasks_that_lack_a_version_are_asked_for_by_filter(self, studio: Studio, client: LabelStudio) -> None:
        tasks = Tasks(studio, 10, cold_v3={2, 3}, cold_v2={5})
        assert [task.id for task in client.predictions.tasks_lacking(7, "cold-v3", after=4)] == [5, 6, 7, 8, 9, 10]
        asked = {c["filter"].removeprefix("filter:tasks:"): c["value"] for c in tasks.queries[0]["filters"]["items"]}
        assert asked == {"total_annotations": 0, "predictions_model_versions": ["cold-v3"], "id": 4}

    def test_version_12_is_not_taken_for_version_1(self, studio: Studio, client: LabelStudio) -> None:
        Tasks(studio, 5, cold_v1={1, 2}, cold_v12={2, 3})
        assert [task.id for task in client.predictions.tasks_without(7, "cold-v1")] == [3, 4, 5]
        assert [task.id for task in client.predictions.tasks_without(7, "cold-v12")] == [1, 4, 5]

    def test_ids_alone_come_in_large_pages(self, studio: Studio, client: LabelStudio) -> None:
        tasks = Tasks(studio, 10_500)
        assert sum(1 for _ in client.tasks.ids(7)) == 10_500
        assert len(tasks.queries) == 2

    def test_the_newest_and_how_many_are_asked_for_by_one_small_page_each(
        self, studio: Studio, client: LabelStudio
    ) -> None:
        Tasks(studio, 30)
        assert client.tasks.newest(7) == (30, 30)
        assert client.tasks.number_up_to(7, 12) == 12
        assert {asked[2]["page_size"] for asked in studio.asked} == {"1"}

    def test_an_empty_project_has_none(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[], total=0))
        assert client.tasks.newest(7) == (0, 0)
        assert client.tasks.last_annotated(7) == ("", 0)

    def test_when_an_annotated_task_changed_last(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[{"id": 3, "updated_at": "2026-01-31"}], total=4))
        assert client.tasks.last_annotated(7) == ("2026-01-31", 4)
        query = json.loads(studio.asked[0][2]["query"])
        assert query["ordering"] == ["-tasks:updated_at"]
        assert query["filters"]["items"][0]["filter"] == "filter:tasks:total_annotations"

    def test_annotations_name_their_task(self, studio: Studio, client: LabelStudio) -> None:
        tasks = [{"id": 5, "data": {}, "annotations": [{"id": 28, "result": []}]}]
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=tasks, total=1))
        assert list(client.annotations.by_task(7)) == [(Task(5, {}), [{"id": 28, "result": [], "task": 5}])]
