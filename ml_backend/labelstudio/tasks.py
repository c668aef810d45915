"""The tasks of a project, from Label Studio's Data Manager: filtered, ordered and cut there, so that few are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import Gone
from ml_backend.labelstudio.session import Session

_PAGE = 100
_PAGE_OF_IDS = 10_000
# For reading many tasks in few requests.
LARGE_PAGE = 1_000
# Label Studio takes less than two seconds for so many.
_SET_TOGETHER = 2_000
# What a `Task` is made of.
TASK = "id,data,created_at"


def condition(column: str, operator: str, kind: str, value: object) -> dict[str, Any]:
    """One condition on a column of the task list; `kind` is the column's type as Label Studio names it."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


ANNOTATED = condition("total_annotations", "greater", "Number", 0)
# Label Studio does not count skipped annotations among all annotations.
ONLY_SKIPPED = (
    condition("total_annotations", "equal", "Number", 0),
    condition("cancelled_annotations", "greater", "Number", 0),
)


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


class Tasks:
    """What is asked about tasks; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, project: int, page: int = _PAGE, after: int = 0) -> Iterator[Task]:
        """All tasks of the project with ids above `after`, ascending, `page` of them in each request."""
        return map(task_of, self.listed(project, TASK, after=after, page=page))

    def get(self, project: int, number: int) -> Task:
        """One task. Raises Gone when it is gone.

        From the list: asking for the task by itself makes Label Studio call our /setup and /predict first.
        """
        return task_of(self.one_listed(project, number, TASK))

    def ids(self, project: int) -> Iterator[int]:
        """The ids of all tasks, ascending, in few requests."""
        return (int(item["id"]) for item in self.listed(project, "id", page=_PAGE_OF_IDS))

    def newest(self, project: int) -> tuple[int, int]:
        """The highest id of a task, 0 without any, and the number of tasks."""
        item, total = self.first_listed(project, "id", "-tasks:id")
        return (int(item["id"]) if item else 0), total

    def number_up_to(self, project: int, task: int) -> int:
        """How many tasks have at most this id: fewer than before when some of them were deleted."""
        return self.first_listed(project, "id", "tasks:id", condition("id", "less_or_equal", "Number", task))[1]

    def last_changed(self, project: int) -> tuple[str, int]:
        """When a task changed last, as Label Studio writes it ("" without any), and the number of tasks.

        A task's `updated_at` moves as said of `last_annotated`, and when its data or one of its predictions are changed.
        """
        item, total = self.first_listed(project, "id,updated_at", "-tasks:updated_at")
        return (str(item["updated_at"]) if item else ""), total

    def changed_since(self, project: int, since: str | None, up_to: int) -> Iterator[Task]:
        """Tasks with an id of at most `up_to` that changed after a time that `last_changed` told, or all such."""
        conditions = [condition("id", "less_or_equal", "Number", up_to)]
        if since:
            conditions.append(condition("updated_at", "greater", "Datetime", since))
        return map(task_of, self.listed(project, TASK, *conditions, page=LARGE_PAGE))

    def last_annotated(self, project: int) -> tuple[str, int]:
        """When an annotated task changed last, as Label Studio writes it ("" without any), and how many are annotated.

        A task's `updated_at` moves when an annotation of it is made, changed or deleted, not when a draft is saved or
        predictions are pushed in bulk (tried with Label Studio 1.23.2). What takes the last annotation of a task away
        shows in the number.
        """
        item, total = self.first_listed(project, "id,updated_at", "-tasks:updated_at", ANNOTATED)
        return (str(item["updated_at"]) if item else ""), total

    def create(self, project: int, data: Mapping[str, Any]) -> int:
        """Makes one task; returns its id."""
        path = f"/api/projects/{project}/import"
        answer = self._session.json("POST", path, {"return_task_ids": "true"}, [{"data": dict(data)}])
        try:
            [number] = answer["task_ids"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._session.unexpected("/import") from error
        return int(number)

    def set_number(self, project: int, name: str, value: int, tasks: Sequence[int]) -> None:
        """Puts `value` under `name` into the data of these tasks, and changes nothing else of them, in few requests.

        By the Data Manager's *Add Or Modify Data Field*, of which no event comes and by which no task counts as changed (tried
        with Label Studio 1.23.2).
        """
        query = {"project": project, "id": "add_data_field"}
        for first in range(0, len(tasks), _SET_TOGETHER):
            chosen = {"all": False, "included": list(tasks[first : first + _SET_TOGETHER])}
            body = {"value_name": name, "value_type": "Number", "value": value, "selectedItems": chosen}
            self._session.json("POST", "/api/dm/actions", query, body)

    def listed(
        self, project: int, include: str, *conditions: dict[str, Any], after: int = 0, page: int = _PAGE
    ) -> Iterator[dict[str, Any]]:
        """Tasks as Label Studio lists them, with the fields that `include` names, by ascending id from above `after`.

        Each page begins after the last id of the one before: a list that shrinks while it is read, since what it lacks is
        being made, would lose tasks between numbered pages.
        """
        while True:
            begun = (*conditions, condition("id", "greater", "Number", after)) if after else conditions
            answer = self._page(project, include, "tasks:id", begun, page)
            yield from answer["tasks"]
            if not answer["tasks"] or len(answer["tasks"]) >= answer.get("total", 0):
                return
            after = max(item["id"] for item in answer["tasks"])

    def one_listed(self, project: int, number: int, include: str) -> dict[str, Any]:
        """One task as `listed` gives it. Raises Gone when it is gone."""
        for item in self.listed(project, include, condition("id", "equal", "Number", number)):
            return item
        raise Gone(f"Task {number} is not in project {project}.", "It was probably deleted; no action is needed.")

    def first_listed(
        self, project: int, include: str, order: str, *conditions: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, int]:
        """The first task of an order, and how many there are."""
        answer = self._page(project, include, order, conditions, 1)
        return next(iter(answer["tasks"]), None), int(answer.get("total", 0))

    def _page(
        self, project: int, include: str, order: str, conditions: Sequence[dict[str, Any]], size: int
    ) -> Mapping[str, Any]:
        asked: dict[str, Any] = {"ordering": [order]}
        if conditions:
            asked["filters"] = {"conjunction": "and", "items": list(conditions)}
        query = {"project": project, "fields": "all", "include": include, "query": json.dumps(asked), "page_size": size}
        answer = self._session.json("GET", "/api/tasks", query)
        if not isinstance(answer, Mapping) or not isinstance(answer.get("tasks"), list):
            raise self._session.unexpected("/api/tasks")
        return answer
