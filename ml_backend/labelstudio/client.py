"""Label Studio's API: authentication by label-studio-sdk, and the few endpoints that the backend needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from label_studio_sdk import LabelStudio as SDK
from label_studio_sdk.core.api_error import ApiError

from ml_backend.errors import (
    Gone,
    LabelStudioError,
    LabelStudioRefused,
    LabelStudioUnreachable,
    PayloadError,
)
from ml_backend.labelstudio.filters import ANNOTATED, condition
from ml_backend.labelstudio.payloads import ProjectKey
from ml_backend.labelstudio.refusals import TOKEN_REMEDY, detail, refusal

_BULK = 200
_PAGE = 100
_IDS = 10_000
_VERSIONS = "predictions_model_versions"
_REVIEW_TAB = "To review"
# Label Studio applies this list to the annotations as well as to the task; predictions, which are large, stay out.
_WITH_ANNOTATIONS = "id,data,annotations,result,was_cancelled,updated_at,completed_by,ground_truth,lead_time"

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
class Task:
    """`data` is the task's own data: the video's address and whatever the label config refers to."""

    id: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class VideoAddress:
    """Where a task's video is, with the headers that fetch it: the token, for the Label Studio host alone."""

    url: str
    headers: Mapping[str, str]


class Client:
    """One Label Studio, reached with one token (personal access token or legacy token; the SDK tells them apart).

    Every method raises LabelStudioUnreachable when trying again can help, LabelStudioRefused on 401 and 403, and
    LabelStudioError on any other refusal.
    """

    def __init__(self, url: str, api_key: str, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        # Made once: reading the certificates takes longer than most requests.
        self._tls = httpx.create_ssl_context()
        try:
            self._sdk: Any = SDK(base_url=self.url, api_key=api_key, timeout=timeout)  # type: ignore[no-untyped-call]
        except ApiError as error:
            raise LabelStudioRefused(f"The token is not usable: {detail(error.body)}.", TOKEN_REMEDY) from error

    def projects(self) -> Iterator[Project]:
        for item in self._pages("/api/projects/", {"include": _LISTED}, "results"):
            yield self._project(item)

    def project(self, number: int) -> Project:
        return self._project(self._json("GET", f"/api/projects/{number}/"))

    def tasks(self, project: int) -> Iterator[Task]:
        """All tasks of the project."""
        for item in self._tasks(project, "id,data"):
            yield Task(item["id"], item["data"])

    def task_ids(self, project: int) -> Iterator[int]:
        """The ids of all tasks, ascending, in few requests."""
        for item in self._tasks(project, "id", page=_IDS):
            yield int(item["id"])

    def tasks_without(self, project: int, version: str) -> Iterator[Task]:
        """Those that have no prediction of a model version, by ascending id."""
        return self._without(project, version)

    def tasks_lacking(self, project: int, version: str, after: int = 0) -> Iterator[Task]:
        """Those above id `after` that nobody has annotated and that have no prediction of a model version, by ascending id."""
        return self._without(project, version, condition("total_annotations", "equal", "Number", 0), after=after)

    def _without(self, project: int, version: str, *conditions: dict[str, Any], after: int = 0) -> Iterator[Task]:
        # Label Studio's filter takes cold-v12 for cold-v1; then the list of each task's versions is asked for as well.
        confused = any(version in other and other != version for other in self.versions(project))
        if confused:
            found = self._tasks(project, f"id,data,{_VERSIONS}", *conditions, after=after)
            items: Iterator[dict[str, Any]] = (
                item for item in found if version not in re.split(r"[,\s]+", str(item[_VERSIONS]))
            )
        else:
            lacking = condition(_VERSIONS, "not_contains", "List", [version])
            items = self._tasks(project, "id,data", *conditions, lacking, after=after)
        return (Task(item["id"], item["data"]) for item in items)

    def newest_task(self, project: int) -> tuple[int, int]:
        """The highest id of a task, 0 without any, and the number of tasks."""
        item, total = self._first(project, "id", "-tasks:id")
        return (int(item["id"]) if item else 0), total

    def number_up_to(self, project: int, task: int) -> int:
        """How many tasks have at most this id: fewer than before when some of them were deleted."""
        return self._first(project, "id", "tasks:id", condition("id", "less_or_equal", "Number", task))[1]

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
        item = self._task(project, number, "id,data")
        return Task(item["id"], item["data"])

    def task_page(self, project: int, number: int) -> str:
        """The address that opens a task in a browser."""
        return f"{self.url}/projects/{project}/data?task={number}"

    def annotated(self, project: int, task: int | None = None) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        """Every task with an annotation, or `task` if it has one, and its annotations as Label Studio gives them."""
        this = () if task is None else (condition("id", "equal", "Number", task),)
        for item in self._tasks(project, _WITH_ANNOTATIONS, ANNOTATED, *this):
            yield (
                Task(item["id"], item["data"]),
                [{**annotation, "task": item["id"]} for annotation in item["annotations"]],
            )

    def worked_on(
        self, project: int, version: str | None
    ) -> Iterator[tuple[Task, list[dict[str, Any]], list[dict[str, Any]]]]:
        """Every task, its annotations, and the result of its prediction of `version`, empty without one."""
        for item in self._tasks(project, f"{_WITH_ANNOTATIONS},predictions,model_version", page=_BULK):
            shown = [p["result"] for p in item.get("predictions", ()) if p.get("model_version") == version]
            yield Task(item["id"], item["data"]), item["annotations"], list(shown[-1]) if version and shown else []

    def push(self, project: int, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Stores predictions. Raises LabelStudioError when Label Studio kept fewer than it was sent."""
        for start in range(0, len(predictions), _BULK):
            part = predictions[start : start + _BULK]
            answer = self._json("POST", f"/api/projects/{project}/import/predictions", json_body=list(part))
            created = answer.get("created") if isinstance(answer, Mapping) else None
            if created != len(part):
                raise LabelStudioError(
                    f"Label Studio kept {created} of {len(part)} predictions for project {project}.",
                    "Its label config has probably changed in between; the next reconcile makes them again.",
                )

    def check_push(self, project: int) -> None:
        """Stores no prediction, as `push` stores some. Raises LabelStudioRefused when the token may not."""
        self._json("POST", f"/api/projects/{project}/import/predictions", json_body=[])

    def local_folders(self, project: int) -> list[str]:
        """The folders of the project's local-files storages."""
        return [str(each["path"]) for each in self._json("GET", "/api/storages/localfiles/", {"project": project})]

    def versions(self, project: int) -> dict[str, int]:
        """Number of stored predictions of each model version."""
        return dict(self._json("GET", f"/api/projects/{project}/model-versions/"))

    def delete_version(self, project: int, version: str) -> None:
        self._json("DELETE", f"/api/projects/{project}/model-versions/", json_body={"model_version": version})

    def pin(self, project: int, version: str) -> None:
        """Makes the label stream show this version; it must have predictions already."""
        self._json("PATCH", f"/api/projects/{project}/", json_body={"model_version": version})

    def serve_uncertain_first(self, project: int) -> None:
        """Has the label stream serve the task first whose prediction of the pinned version has the lowest score."""
        self._json("PATCH", f"/api/projects/{project}/", json_body={"sampling": "Uncertainty sampling"})

    def predictions(self, task: int) -> list[dict[str, Any]]:
        return list(self._json("GET", "/api/predictions/", {"task": task}))

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
        other one does, so it is made real beside ours.
        """
        path, query = "/api/dm/views/", {"project": project}
        tabs = {tab["data"].get("title"): tab["id"] for tab in self._json("GET", path, query)}
        conditions = [ANNOTATED, condition(_VERSIONS, "contains", "List", [version])]
        ours = {"title": _REVIEW_TAB, "filters": {"conjunction": "and", "items": conditions}}
        if _REVIEW_TAB in tabs:
            self._json("PATCH", f"{path}{tabs[_REVIEW_TAB]}/", query, {"data": ours})
            return
        if not tabs:
            self._json("POST", path, query, {**query, "data": {"title": "Default"}})
        self._json("POST", path, query, {**query, "data": ours})

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

    def video_address(self, value: object) -> VideoAddress | None:
        """The address of a task's video as its data names it, None when it names none."""
        if not isinstance(value, str) or not value.strip():
            return None
        url = self.url + value if value.startswith("/") else value.strip()
        return VideoAddress(url, {"Authorization": self._authorization()} if _same_host(self.url, url) else {})

    def _authorization(self) -> str:
        try:
            return str(self._sdk._client_wrapper.get_headers()["Authorization"])
        except ApiError as error:
            raise refusal(error.status_code or 401, error.body) from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._unreachable(error) from error

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

    def _task(self, project: int, number: int, include: str) -> dict[str, Any]:
        for item in self._tasks(project, include, condition("id", "equal", "Number", number)):
            return item
        raise Gone(f"Task {number} is not in project {project}.", "It was probably deleted; nothing is to be done.")

    def _first(
        self, project: int, include: str, order: str, *conditions: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, int]:
        """The first task of an order, and how many there are."""
        answer = self._task_page(project, include, order, conditions, 1)
        return next(iter(answer["tasks"]), None), int(answer.get("total", 0))

    def _tasks(
        self, project: int, include: str, *conditions: dict[str, Any], after: int = 0, page: int = _PAGE
    ) -> Iterator[dict[str, Any]]:
        """By ascending id. Each page begins after the last id of the one before: a list that shrinks while it is read,
        since what it lacks is being made, would lose tasks between numbered pages."""
        while True:
            begun = (*conditions, condition("id", "greater", "Number", after)) if after else conditions
            answer = self._task_page(project, include, "tasks:id", begun, page)
            yield from answer["tasks"]
            if not answer["tasks"] or len(answer["tasks"]) >= answer.get("total", 0):
                return
            after = max(item["id"] for item in answer["tasks"])

    def _task_page(
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

    def _pages(self, path: str, query: Mapping[str, Any], items: str) -> Iterator[dict[str, Any]]:
        page, seen = 1, 0
        while True:
            answer = self._json("GET", path, {**query, "page": page, "page_size": _PAGE})
            if not isinstance(answer, Mapping) or not isinstance(answer.get(items), list):
                raise self._stranger(path)
            yield from answer[items]
            seen += len(answer[items])
            if not answer[items] or seen >= answer.get("total", answer.get("count", 0)):
                return
            page += 1

    def _json(self, method: str, path: str, query: Mapping[str, Any] | None = None, json_body: object = None) -> Any:
        response = self._send(method, path, query, json_body)
        if response.status_code == 401 and self._forget_access():
            response = self._send(method, path, query, json_body)
        if response.status_code >= 400:
            raise refusal(response.status_code, response.text)
        if response.is_redirect:
            # Followed, it would turn a POST into a GET and lose the token.
            raise LabelStudioError(
                f"{self.url} sends us on to {response.headers['Location']}.",
                "Set LABEL_STUDIO_URL to the address that Label Studio really has.",
            )
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger(path) from error

    def _send(self, method: str, path: str, query: Mapping[str, Any] | None, json_body: object) -> httpx.Response:
        try:
            return httpx.request(
                method,
                self.url + path,
                params=query,
                json=json_body,
                headers={"Authorization": self._authorization()},
                timeout=self._timeout,
                verify=self._tls,
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _forget_access(self) -> bool:
        """Whether another access token can be had: a clock that was set back takes an ended one for good."""
        tokens = self._sdk._client_wrapper._tokens_client
        tokens._access_token = None
        return not tokens._use_legacy_token

    def _stranger(self, path: str) -> LabelStudioError:
        return LabelStudioError(
            f"{self.url} answered {path} with something that Label Studio would not.",
            "Check that LABEL_STUDIO_URL is the address of Label Studio itself.",
        )

    def _unreachable(self, error: Exception) -> LabelStudioUnreachable:
        return LabelStudioUnreachable(
            f"Label Studio at {self.url} does not answer ({type(error).__name__}).",
            "Check that it runs and that LABEL_STUDIO_URL is right; the work is tried again by itself.",
        )


def _same_host(one: str, other: str) -> bool:
    try:
        ours, theirs = urlsplit(one), urlsplit(other)
    except ValueError:
        return False
    return (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc.lower())
