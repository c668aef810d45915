"""Label Studio's API, as far as the backend needs it: projects, their predictions, versions, webhooks and videos."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ml_backend.errors import LabelStudioInvalid, LabelStudioMissing, PayloadError, PredictionRefused
from ml_backend.labelstudio.filters import ANNOTATED, condition
from ml_backend.labelstudio.pages import is_ours
from ml_backend.labelstudio.payloads import ProjectKey
from ml_backend.labelstudio.task_data import path_from_storage
from ml_backend.labelstudio.task_lists import TASK, Task, TaskLists, task_of

__all__ = ["Client", "Project", "Task", "VideoAddress"]

_BULK = 200
# More tasks than these are listed instead of asked for one by one.
_ONE_BY_ONE = 20
_VERSIONS = "predictions_model_versions"
_REVIEW_TAB = "To review"
# Of each project in a list: without those numbers that take Label Studio long to count.
_LISTED = "id,title,label_config,model_version,created_at"
# What Label Studio counts of a project's annotations; together they tell of every one that is made, skipped or deleted.
_COUNTS = (
    "total_annotations_number",
    "skipped_annotations_number",
    "ground_truth_number",
    "num_tasks_with_annotations",
)


@dataclass(frozen=True)
class Project:
    """`counts`: of annotations, by kind. `shows_predictions`: what the admin has set for annotators."""

    key: ProjectKey
    title: str
    label_config: str
    model_version: str
    counts: tuple[int, ...] = ()
    shows_predictions: bool = True


@dataclass(frozen=True)
class VideoAddress:
    """Where a task's video is, with the headers that fetch it: the token, for the Label Studio host alone. `renew` gives those
    of a new token, none where no other can be had."""

    url: str
    headers: Mapping[str, str]
    renew: Callable[[], Mapping[str, str]] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Doubled:
    """`predictions`: number and unix time of each that a task has of one model version, the newest last."""

    task: int
    predictions: tuple[tuple[int, float], ...]
    has_draft: bool


class Client(TaskLists):
    """One Label Studio, reached with one token (personal access token or legacy token).

    Every method raises LabelStudioUnreachable when trying again can help, LabelStudioRefused on 401 and 403, and
    LabelStudioError on any other refusal.
    """

    def projects(self) -> Iterator[Project]:
        for item in self._pages("/api/projects/", {"include": _LISTED}, "results"):
            yield self._project(item)

    def project(self, number: int) -> Project:
        return self._project(self._json("GET", f"/api/projects/{number}/"))

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
        return self._first(project, "id", "tasks:id", condition(_VERSIONS, "not_contains", "List", [version]))[1]

    def doubled(self, project: int, version: str) -> Iterator[Doubled]:
        """The tasks that have several predictions of a model version."""
        include = "id,draft_exists,predictions,model_version,created_at"
        seen: set[int] = set()
        for item in self._tasks(project, include, condition(_VERSIONS, "contains", "List", [version])):
            found = sorted(
                (int(each["id"]), datetime.fromisoformat(each["created_at"]).timestamp())
                for each in item["predictions"]
                if each["model_version"] == version
            )
            # Label Studio lists a task once for each of its predictions.
            if len(found) > 1 and item["id"] not in seen:
                yield Doubled(item["id"], tuple(found), bool(item["draft_exists"]))
            seen.add(item["id"])

    def _without(self, project: int, version: str, *conditions: dict[str, Any], after: int = 0) -> Iterator[Task]:
        # Label Studio's filter takes cold-v12 for cold-v1; then the list of each task's versions is asked for as well.
        confused = any(version in other and other != version for other in self.versions(project))
        if confused:
            found = self._tasks(project, f"{TASK},{_VERSIONS}", *conditions, after=after)
            items: Iterator[dict[str, Any]] = (
                item for item in found if version not in re.split(r"[,\s]+", str(item[_VERSIONS]))
            )
        else:
            lacking = condition(_VERSIONS, "not_contains", "List", [version])
            items = self._tasks(project, TASK, *conditions, lacking, after=after)
        return map(task_of, items)

    def push(self, project: int, predictions: Sequence[Mapping[str, Any]]) -> dict[int, PredictionRefused]:
        """Stores predictions, all of one model version; returns why Label Studio does not take those that it does not, by their
        tasks. Whether it refuses them all for the sake of one, or leaves that out without a word: the others are stored."""
        refused: dict[int, PredictionRefused] = {}
        parts = [list(predictions[start : start + _BULK]) for start in range(0, len(predictions), _BULK)]
        while parts:
            part = parts.pop(0)
            try:
                answer = self._json("POST", f"/api/projects/{project}/import/predictions", json_body=part)
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
        self._json("POST", f"/api/projects/{project}/import/predictions", json_body=[])

    def local_folders(self, project: int) -> list[str]:
        """The folders of the project's local-files storages."""
        return [str(each["path"]) for each in self._json("GET", "/api/storages/localfiles/", {"project": project})]

    def versions(self, project: int) -> dict[str, int]:
        """Number of stored predictions of each model version."""
        return dict(self._json("GET", f"/api/projects/{project}/model-versions/"))

    def models(self, project: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
        """Number of stored predictions of each model version, and the ML backends connected to the project, of which none is
        called for this."""
        path = f"/api/projects/{project}/model-versions/"
        answer = self._json("GET", path, {"extended": "true", "include_live_models": "true"})
        try:
            return {item["model_version"]: item["count"] for item in answer["static"]}, list(answer["live"])
        except (KeyError, TypeError) as error:
            raise self._stranger(path) from error

    def answer_to_versions(self, backend: int) -> tuple[int, list[str]]:
        """What an ML backend answers when Label Studio asks for its /versions: the status and the versions; a backend without
        that route is a 404. Raises LabelStudioUnreachable when Label Studio itself does not answer."""
        response = self._send("GET", f"/api/ml/{backend}/versions", None, None)
        try:
            said = response.json()
        except ValueError:
            said = None
        if not isinstance(said, Mapping) or not isinstance(said.get("versions"), list):
            return (500 if response.status_code == 200 else response.status_code), []
        # Label Studio makes up the version of a backend that answers 404.
        return 404 if "message" in said else response.status_code, [str(version) for version in said["versions"]]

    def delete_version(self, project: int, version: str) -> None:
        self._json("DELETE", f"/api/projects/{project}/model-versions/", json_body={"model_version": version})

    def pin(self, project: int, version: str) -> None:
        """Makes the label stream show this version; it must have predictions already."""
        self._json("PATCH", f"/api/projects/{project}/", json_body={"model_version": version})

    def serve_uncertain_first(self, project: int) -> None:
        """Has the label stream serve the task first whose prediction of the pinned version has the lowest score."""
        self._json("PATCH", f"/api/projects/{project}/", json_body={"sampling": "Uncertainty sampling"})

    def delete_prediction(self, number: int) -> None:
        """One that somebody has open must stay: Label Studio then refuses to submit its task."""
        self._json("DELETE", f"/api/predictions/{number}/")

    def predictions(self, task: int) -> list[dict[str, Any]]:
        return list(self._json("GET", "/api/predictions/", {"task": task}))

    def others_predictions(self, project: int, tasks: Collection[int]) -> dict[int, list[list[dict[str, Any]]]]:
        """The results of what other models have predicted of annotated tasks, by the task's id; few are asked for one by one."""
        found: dict[int, list[list[dict[str, Any]]]] = {}
        if len(tasks) <= _ONE_BY_ONE:
            items: Iterable[tuple[int, list[dict[str, Any]]]] = ((task, self.predictions(task)) for task in tasks)
        else:
            listed = self._tasks(project, "id,predictions,result,model_version", ANNOTATED, page=_BULK)
            items = ((item["id"], item.get("predictions") or []) for item in listed if item["id"] in tasks)
        for task, predictions in items:
            results = [p["result"] for p in predictions if not is_ours(str(p.get("model_version")))]
            found[task] = [result for result in results if isinstance(result, list)]
        return found

    def untouched_prediction(self, project: int, task: int, version: str) -> int | None:
        """Id of a task's prediction of `version`; None without one, or when somebody has begun to work on the task."""
        item = self._task(project, task, "id,annotations,draft_exists,predictions,model_version")
        if item["annotations"] or item["draft_exists"]:  # `drafts` would be those of the token's user alone
            return None
        return next((int(p["id"]) for p in item["predictions"] if p["model_version"] == version), None)

    def replace_prediction(self, number: int, prediction: Mapping[str, Any]) -> None:
        """Changes a prediction in place: whoever has its task open can still submit, which a deletion would prevent."""
        body = {"result": prediction["result"], "score": prediction["score"]}
        self._json("PATCH", f"/api/predictions/{number}/", json_body=body)

    def save_review_tab(self, project: int, version: str) -> None:
        """A Data Manager tab with the annotated tasks that have a timeline of `version` to review.

        The label stream never serves an annotated task again. Label Studio's own first tab exists only as long as no
        other one does, so it is made real beside ours. Of a tab that is there only the version changes: whoever has
        adapted it keeps it as it is.
        """
        path, query = "/api/dm/views/", {"project": project}
        tabs = list(self._json("GET", path, query))
        ours = next((tab for tab in tabs if tab["data"].get("title") == _REVIEW_TAB), None)
        if ours is not None:
            items = list((ours["data"].get("filters") or {}).get("items") or ())
            followed = [_of_version(item, version) for item in items]
            if followed != items:
                filters = {**ours["data"]["filters"], "items": followed}
                self._json("PATCH", f"{path}{ours['id']}/", query, {"data": {**ours["data"], "filters": filters}})
            return
        if not tabs:
            self._json("POST", path, query, {**query, "data": {"title": "Default"}})
        conditions = [ANNOTATED, condition(_VERSIONS, "contains", "List", [version])]
        filters = {"conjunction": "and", "items": conditions}
        self._json("POST", path, query, {**query, "data": {"title": _REVIEW_TAB, "filters": filters}})

    def backends(self, project: int) -> list[dict[str, Any]]:
        """The ML backends connected to a project. Note that Label Studio calls each one's /health and /setup for this."""
        return list(self._json("GET", "/api/ml/", {"project": project}))

    def webhooks(self, project: int | None = None) -> list[dict[str, Any]]:
        """Of one project, or of all."""
        return list(self._json("GET", "/api/webhooks/", {} if project is None else {"project": project}))

    def save_webhook(self, project: int, url: str, headers: Mapping[str, str], number: int | None) -> None:
        """Creates the project's webhook, or gives an existing one (`number`) its headers."""
        body = {
            "url": url,
            "headers": dict(headers),
            "send_payload": True,
            "send_for_all_actions": True,
            "is_active": True,
        }
        if number is None:
            self._json("POST", "/api/webhooks/", json_body={**body, "project": project})
        else:
            self._json("PATCH", f"/api/webhooks/{number}/", json_body=body)

    def delete_webhook(self, number: int) -> None:
        with suppress(LabelStudioMissing):  # somebody else has deleted it
            self._json("DELETE", f"/api/webhooks/{number}/")

    def video_address(self, value: object) -> VideoAddress | None:
        """The address of a task's video as its data names it, None when it names none."""
        if not isinstance(value, str) or not value.strip():
            return None
        value = value.strip()
        path = value.removeprefix(self.below) if value.startswith(f"{self.below}/") else value
        if not path.startswith("/"):
            path = self._path_served(value) or value
        url = self.url + path if path.startswith("/") else value
        is_ours = any(_same_host(ours, url) for ours in (self.url, self.public) if ours)
        return VideoAddress(url, self._headers(), self._renewed) if is_ours else VideoAddress(url, {})

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._authorization()}

    def _renewed(self) -> dict[str, str]:
        return self._headers() if self._forget_access() else {}

    def _path_served(self, address: str) -> str | None:
        """The path at which Label Studio serves what has an address under its public name; None for any other.

        Asked for here, it needs no trust in that name: whoever can create tasks can write the path alone as well.
        """
        if (served := path_from_storage(address)) is not None:
            return served
        if self.public and address.startswith(f"{self.public}/data/"):
            return address.removeprefix(self.public)
        return None

    def _project(self, item: Mapping[str, Any]) -> Project:
        try:
            return Project(
                ProjectKey.of(item),
                item["title"],
                item["label_config"] or "",
                item["model_version"] or "",
                tuple(int(item.get(name) or 0) for name in _COUNTS),
                bool(item.get("show_collab_predictions", True)),
            )
        except (PayloadError, KeyError, TypeError) as error:
            raise self._stranger("/api/projects/") from error


def _refused(task: int, why: str) -> PredictionRefused:
    remedy = "It is created again; the label config has probably changed in the meantime."
    return PredictionRefused(f"Label Studio rejects the prediction of task {task}: {why}", remedy)


def _of_version(item: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A condition of the review tab, with `version` in the place of the one before."""
    value = item.get("value")
    # A condition on another model's version is somebody's own.
    ours = isinstance(value, list) and len(value) == 1 and is_ours(str(value[0]))
    by_version = str(item.get("filter")).endswith(f":{_VERSIONS}") and item.get("operator") == "contains"
    return {**item, "value": [version]} if ours and by_version else dict(item)


def _same_host(one: str, other: str) -> bool:
    try:
        ours, theirs = urlsplit(one), urlsplit(other)
    except ValueError:
        return False
    return (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc.lower())
