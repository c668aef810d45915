"""The tasks of a project, from Label Studio's Data Manager: filtered, ordered and cut there, so that few are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import Gone
from ml_backend.labelstudio.filters import ANNOTATED, ONLY_SKIPPED, condition
from ml_backend.labelstudio.session import Session

_PAGE = 100
_PAGE_OF_PREDICTIONS = 200
_PAGE_OF_IDS = 10_000
_PAGE_OF_TASKS = 1_000
# What a `Task` is made of.
TASK = "id,data,created_at"
# Label Studio applies this list to the annotations as well as to the task; predictions, which are large, stay out.
_WITH_ANNOTATIONS = "id,data,created_at,annotations,result,was_cancelled,updated_at,completed_by,ground_truth,lead_time,parent_prediction"


@dataclass(frozen=True)
class Task:
    """`data` is the task's own data: the video's address and whatever the label config refers to. `created`: when it was made,
    as Label Studio writes it; it tells the task from a later one with its number. Empty where nobody has asked for it."""

    id: int
    data: Mapping[str, Any]
    created: str = ""


def task_of(item: Mapping[str, Any]) -> Task:
    """From what Label Studio lists when it is asked for `TASK`."""
    return Task(item["id"], item["data"], str(item.get("created_at") or ""))


class TaskLists(Session):
    """What is asked about tasks; raises as `Session` does."""

    def tasks(self, project: int) -> Iterator[Task]:
        """All tasks of the project."""
        for item in self._tasks(project, TASK):
            yield task_of(item)

    def task_ids(self, project: int) -> Iterator[int]:
        """The ids of all tasks, ascending, in few requests."""
        for item in self._tasks(project, "id", page=_PAGE_OF_IDS):
            yield int(item["id"])

    def newest_task(self, project: int) -> tuple[int, int]:
        """The highest id of a task, 0 without any, and the number of tasks."""
        item, total = self._first(project, "id", "-tasks:id")
        return (int(item["id"]) if item else 0), total

    def number_up_to(self, project: int, task: int) -> int:
        """How many tasks have at most this id: fewer than before when some of them were deleted."""
        return self._first(project, "id", "tasks:id", condition("id", "less_or_equal", "Number", task))[1]

    def last_changed(self, project: int) -> tuple[str, int]:
        """When a task changed last, as Label Studio writes it ("" without any), and the number of tasks.

        A task's `updated_at` moves as said of `last_annotated`, and when its data or one of its predictions are changed.
        """
        item, total = self._first(project, "id,updated_at", "-tasks:updated_at")
        return (str(item["updated_at"]) if item else ""), total

    def changed_since(self, project: int, since: str | None, up_to: int) -> Iterator[Task]:
        """Tasks with an id of at most `up_to` that changed after a time that `last_changed` told, or all such."""
        conditions = [condition("id", "less_or_equal", "Number", up_to)]
        if since:
            conditions.append(condition("updated_at", "greater", "Datetime", since))
        for item in self._tasks(project, TASK, *conditions, page=_PAGE_OF_TASKS):
            yield task_of(item)

    def last_annotated(self, project: int) -> tuple[str, int]:
        """When an annotated task changed last, as Label Studio writes it ("" without any), and how many are annotated.

        A task's `updated_at` moves when an annotation of it is made, changed or deleted, not when a draft is saved or
        predictions are pushed in bulk (tried with Label Studio 1.23.2). What takes the last annotation of a task away
        shows in the number.
        """
        item, total = self._first(project, "id,updated_at", "-tasks:updated_at", ANNOTATED)
        return (str(item["updated_at"]) if item else ""), total

    def task(self, project: int, number: int) -> Task:
        """One task. Raises Gone when it is gone.

        From the list: asking for the task by itself makes Label Studio call our /setup and /predict first.
        """
        return task_of(self._task(project, number, TASK))

    def annotated(self, project: int, task: int | None = None) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        """Every task with an annotation that was not skipped, or `task` if it has one, and all of its annotations as Label
        Studio gives them."""
        return self._with_annotations(project, task, ANNOTATED)

    def only_skipped(self, project: int, task: int | None = None) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        """The same of every task whose annotations were all skipped."""
        return self._with_annotations(project, task, *ONLY_SKIPPED)

    def _with_annotations(
        self, project: int, task: int | None, *conditions: dict[str, Any]
    ) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        this = () if task is None else (condition("id", "equal", "Number", task),)
        for item in self._tasks(project, _WITH_ANNOTATIONS, *conditions, *this):
            yield (
                task_of(item),
                [{**annotation, "task": item["id"]} for annotation in item["annotations"]],
            )

    def worked_on(
        self, project: int, version: str | None
    ) -> Iterator[tuple[Task, list[dict[str, Any]], list[dict[str, Any]]]]:
        """Every task, its annotations, and the result of its prediction of `version`, empty without one."""
        for item in self._tasks(project, f"{_WITH_ANNOTATIONS},predictions,model_version", page=_PAGE_OF_PREDICTIONS):
            shown = [p["result"] for p in item.get("predictions", ()) if p.get("model_version") == version]
            yield Task(item["id"], item["data"]), item["annotations"], list(shown[-1]) if version and shown else []

    def _task(self, project: int, number: int, include: str) -> dict[str, Any]:
        for item in self._tasks(project, include, condition("id", "equal", "Number", number)):
            return item
        raise Gone(f"Task {number} is not in project {project}.", "It was probably deleted; no action is needed.")

    def _first(
        self, project: int, include: str, order: str, *conditions: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, int]:
        """The first task of an order, and how many there are."""
        answer = self._page_of(project, include, order, conditions, 1)
        return next(iter(answer["tasks"]), None), int(answer.get("total", 0))

    def _tasks(
        self, project: int, include: str, *conditions: dict[str, Any], after: int = 0, page: int = _PAGE
    ) -> Iterator[dict[str, Any]]:
        """By ascending id. Each page begins after the last id of the one before: a list that shrinks while it is read,
        since what it lacks is being made, would lose tasks between numbered pages."""
        while True:
            begun = (*conditions, condition("id", "greater", "Number", after)) if after else conditions
            answer = self._page_of(project, include, "tasks:id", begun, page)
            yield from answer["tasks"]
            if not answer["tasks"] or len(answer["tasks"]) >= answer.get("total", 0):
                return
            after = max(item["id"] for item in answer["tasks"])

    def _page_of(
        self, project: int, include: str, order: str, conditions: Sequence[dict[str, Any]], size: int
    ) -> Mapping[str, Any]:
        asked: dict[str, Any] = {"ordering": [order]}
        if conditions:
            asked["filters"] = {"conjunction": "and", "items": list(conditions)}
        query = {"project": project, "fields": "all", "include": include, "query": json.dumps(asked), "page_size": size}
        answer = self._json("GET", "/api/tasks", query)
        if not isinstance(answer, Mapping) or not isinstance(answer.get("tasks"), list):
            raise self._stranger("/api/tasks")
        return answer
