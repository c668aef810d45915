"""Predictions of model versions: which tasks have one, how they are stored, changed and deleted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from ml_backend.errors import LabelStudioInvalid, PredictionRefused
from ml_backend.labelstudio.regions import is_ours
from ml_backend.labelstudio.session import Session
from ml_backend.labelstudio.tasks import ANNOTATED, TASK, Task, Tasks, condition, task_of
from ml_backend.prediction_item import PredictionItem, ResultItem, StoredItem

_BULK = 200
# More tasks than these are listed instead of asked for one by one.
_ONE_BY_ONE = 20
# The Data Manager's column of the versions of a task's predictions.
VERSIONS = "predictions_model_versions"


class GivenPrediction(TypedDict):
    """One prediction of a task, as Label Studio gives it: of whatever model, with whatever result."""

    id: int
    model_version: str | None
    score: float | None
    result: list[ResultItem]


@dataclass(frozen=True)
class Doubled:
    """`predictions`: number and unix time of each that a task has of one model version, the newest last."""

    task: int
    predictions: tuple[tuple[int, float], ...]
    has_draft: bool


class Predictions:
    """What is asked about predictions and done with them; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks = Tasks(session)

    def of(self, task: int) -> list[GivenPrediction]:
        """All of a task, as Label Studio gives them."""
        return list(self._session.json("GET", "/api/predictions/", {"task": task}))

    def versions(self, project: int) -> dict[str, int]:
        """Number of stored predictions of each model version."""
        return dict(self._session.json("GET", f"/api/projects/{project}/model-versions/"))

    def push(self, project: int, predictions: Sequence[PredictionItem]) -> dict[int, PredictionRefused]:
        """Stores predictions, all of one model version; returns why Label Studio does not take those that it does not, by their
        tasks. Whether it refuses them all for the sake of one, or leaves that out without a word: the others are stored."""
        refused: dict[int, PredictionRefused] = {}
        parts = [list(predictions[start : start + _BULK]) for start in range(0, len(predictions), _BULK)]
        while parts:
            part = parts.pop(0)
            try:
                answer = self._session.json("POST", f"/api/projects/{project}/import/predictions", body=part)
            except LabelStudioInvalid as error:
                half = len(part) // 2
                if half:
                    parts[:0] = [part[:half], part[half:]]
                else:
                    refused[part[0]["task"]] = _refused(part[0]["task"], error.message)
                continue
            created = answer.get("created") if isinstance(answer, Mapping) else None
            if created != len(part):
                tasks = [item["task"] for item in part]
                lost = self.lacking_among(project, part[0]["model_version"], tasks) if created else tasks
                refused |= {task: _refused(task, "It was dropped without a reason.") for task in lost}
        return refused

    def check_push(self, project: int) -> None:
        """Stores no prediction, as `push` stores some. Raises LabelStudioRefused when the token may not."""
        self._session.json("POST", f"/api/projects/{project}/import/predictions", body=[])

    def replace(self, number: int, prediction: StoredItem) -> None:
        """Changes a prediction in place: whoever has its task open can still submit, which a deletion would prevent."""
        body = {"result": prediction["result"], "score": prediction["score"]}
        self._session.json("PATCH", f"/api/predictions/{number}/", body=body)

    def delete(self, number: int) -> None:
        """One that somebody has open must stay: Label Studio then refuses to submit its task."""
        self._session.json("DELETE", f"/api/predictions/{number}/")

    def delete_version(self, project: int, version: str) -> None:
        """Deletes all of a model version."""
        self._session.json("DELETE", f"/api/projects/{project}/model-versions/", body={"model_version": version})

    def tasks_without(self, project: int, version: str) -> Iterator[Task]:
        """Those that have no prediction of a model version, by ascending id."""
        return self._without(project, version)

    def tasks_lacking(self, project: int, version: str, after: int = 0) -> Iterator[Task]:
        """Those above id `after` that nobody has annotated and that have no prediction of a model version, by ascending id."""
        return self._without(project, version, condition("total_annotations", "equal", "Number", 0), after=after)

    def lacking_among(self, project: int, version: str, tasks: Collection[int]) -> set[int]:
        """Those of `tasks` that are in the project and have no prediction of a model version."""
        found: set[int] = set()
        listed = sorted(tasks)
        for start in range(0, len(listed), _BULK):
            these = condition("id", "in_list", "Number", listed[start : start + _BULK])
            found.update(task.id for task in self._without(project, version, these))
        return found

    def number_lacking(self, project: int, version: str) -> int:
        """How many tasks have no prediction of a model version, nor of one whose name its name is a part of."""
        lacking = condition(VERSIONS, "not_contains", "List", [version])
        return self._tasks.first_listed(project, "id", "tasks:id", lacking)[1]

    def doubled(self, project: int, version: str) -> Iterator[Doubled]:
        """The tasks that have several predictions of a model version."""
        include = "id,draft_exists,predictions,model_version,created_at"
        seen: set[int] = set()
        for item in self._tasks.listed(project, include, condition(VERSIONS, "contains", "List", [version])):
            found = sorted(
                (int(each["id"]), datetime.fromisoformat(each["created_at"]).timestamp())
                for each in item["predictions"]
                if each["model_version"] == version
            )
            # Label Studio lists a task once for each of its predictions.
            if len(found) > 1 and item["id"] not in seen:
                yield Doubled(item["id"], tuple(found), bool(item["draft_exists"]))
            seen.add(item["id"])

    def of_others(self, project: int, tasks: Collection[int]) -> dict[int, list[list[dict[str, Any]]]]:
        """The results of what other models have predicted of annotated tasks, by the task's id; few are asked for one by one."""
        found: dict[int, list[list[dict[str, Any]]]] = {}
        if len(tasks) <= _ONE_BY_ONE:
            items: Iterable[tuple[int, list[Any]]] = ((task, self.of(task)) for task in tasks)
        else:
            listed = self._tasks.listed(project, "id,predictions,result,model_version", ANNOTATED, page=_BULK)
            items = ((item["id"], item.get("predictions") or []) for item in listed if item["id"] in tasks)
        for task, predictions in items:
            results = [p["result"] for p in predictions if not is_ours(str(p.get("model_version")))]
            found[task] = [result for result in results if isinstance(result, list)]
        return found

    def untouched(self, project: int, task: int, version: str) -> int | None:
        """Id of a task's prediction of `version`; None without one, or when somebody has begun to work on the task. Raises
        Gone when the task is gone."""
        item = self._tasks.one_listed(project, task, "id,annotations,draft_exists,predictions,model_version")
        if item["annotations"] or item["draft_exists"]:  # `drafts` would be those of the token's user alone
            return None
        return next((int(p["id"]) for p in item["predictions"] if p["model_version"] == version), None)

    def _without(self, project: int, version: str, *conditions: dict[str, Any], after: int = 0) -> Iterator[Task]:
        # Label Studio's filter takes cold-v12 for cold-v1; then the list of each task's versions is asked for as well.
        confused = any(version in other and other != version for other in self.versions(project))
        if confused:
            found = self._tasks.listed(project, f"{TASK},{VERSIONS}", *conditions, after=after)
            items: Iterator[dict[str, Any]] = (
                item for item in found if version not in re.split(r"[,\s]+", str(item[VERSIONS]))
            )
        else:
            lacking = condition(VERSIONS, "not_contains", "List", [version])
            items = self._tasks.listed(project, TASK, *conditions, lacking, after=after)
        return map(task_of, items)


def _refused(task: int, why: str) -> PredictionRefused:
    remedy = "It is created again; the label config has probably changed in the meantime."
    return PredictionRefused(f"Label Studio rejects the prediction of task {task}: {why}", remedy)
