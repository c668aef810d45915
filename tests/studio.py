"""A small Label Studio: one project with tasks, predictions, webhooks and a pinned version, over real HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, request

CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
KEY = "7.1769860800"
BACKEND = "http://backend:9090"
# The user of the backend's token.
USER = 1


def drawn(name: str, start: int, end: int, *labels: str) -> dict[str, Any]:
    """A region of CONFIG's timeline, as Label Studio keeps it: Label Studio frames `start`..`end`, both included."""
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": list(labels)}
    return {"id": name, "type": "timelinelabels", "from_name": "events", "to_name": "film", "value": value}


class Studio(Flask):
    def __init__(self) -> None:
        super().__init__("studio")
        self.project: dict[str, Any] | None = {
            "id": 7,
            "title": "A street",
            "label_config": CONFIG,
            "model_version": "",
            "created_at": "2026-01-31T12:00:00Z",
        }
        self.tasks: dict[int, dict[str, Any]] = {}
        self.predictions: list[dict[str, Any]] = []
        self.made = 0
        self.webhooks: list[dict[str, Any]] = []
        # The status with which it answers whoever changes the project.
        self.refuses_changes: int | None = None
        # As it does for a host name without a dot.
        self.refuses_webhooks = False
        # Its ML backends, and what GET /versions is answered at an address; nobody answers at others.
        self.backends: list[dict[str, Any]] = []
        self.answering: dict[str, Callable[[], list[str] | int]] = {}
        self.asked_backends: list[int] = []
        # Titles that ML backends were given, what was done in the Data Manager, and its tabs.
        self.titles: list[str] = []
        self.acted: list[dict[str, Any]] = []
        self.tabs: list[dict[str, Any]] = []
        # What is asked of it before it stores the extra params of one; a status is its answer instead.
        self.before_saving: Callable[[], int | None] = lambda: None
        self.saved = 0
        self.listed: list[str] = []
        self.files: dict[str, Path] = {}
        self.users: list[dict[str, Any]] = []
        self.connect(BACKEND)
        for rule, view, *methods in (
            ("/api/projects/", self.list_projects, "GET"),
            ("/api/projects/7/", self.show_project, "GET", "PATCH"),
            ("/api/projects/7/import/predictions", self.import_predictions, "POST"),
            ("/api/projects/7/model-versions/", self.versions, "GET", "DELETE"),
            ("/api/tasks", self.list_tasks, "GET"),
            ("/api/tasks/<int:number>/annotations/", self.submit, "POST"),
            ("/api/predictions/", self.list_predictions, "GET"),
            ("/api/predictions/<int:number>/", self.change_prediction, "PATCH", "DELETE"),
            ("/api/webhooks/", self.list_webhooks, "GET", "POST"),
            ("/api/webhooks/<int:number>/", self.change_webhook, "PATCH", "DELETE"),
            ("/api/dm/views/", self.list_tabs, "GET", "POST"),
            ("/api/dm/views/<int:number>/", self.change_tab, "PATCH"),
            ("/api/dm/actions", self.act, "POST"),
            ("/api/ml/<int:number>", self.change_backend, "PATCH"),
            ("/api/ml/<int:number>/versions", self.ask_backend, "GET"),
            ("/api/users/", self.list_users, "GET"),
            ("/data/upload/7/<name>", self.video, "GET"),
        ):
            self.add_url_rule(rule, view_func=view, methods=methods)

    def list_projects(self) -> Response:
        found = [self.project] if self.project else []
        return jsonify(results=found, count=len(found))

    def show_project(self) -> Any:
        if self.project is None:
            abort(404)
        if request.method == "PATCH":
            if self.refuses_changes is not None:
                return jsonify(detail="You do not have permission to perform this action."), self.refuses_changes
            self.project.update(request.get_json())
        made = [annotation for task in self.tasks.values() for annotation in task["annotations"]]
        return jsonify({**self.project, "total_annotations_number": len(made)})

    def import_predictions(self) -> tuple[Response, int]:
        """One task that is not there has all refused; what does not fit the label config is left out without a word."""
        sent = request.get_json()
        for number, item in enumerate(sent):
            if item["task"] not in self.tasks:
                said = f"Prediction {number}: Invalid task ID {item['task']} - task not found in project"
                return jsonify(detail="Validation error", validation_errors={"non_field_errors": [said]}), 400
        kept = [item for item in sent if self.takes(item)]
        self.predictions.extend(
            {**item, "id": self.made + n, "created_at": datetime.now(UTC).isoformat()} for n, item in enumerate(kept)
        )
        self.made += len(kept)
        return jsonify(created=len(kept)), 201

    def takes(self, prediction: dict[str, Any]) -> bool:
        assert self.project is not None
        known = set(re.findall(r'<Label value="([^"]*)"', self.project["label_config"]))
        labels = {label for region in prediction["result"] for label in region["value"].get("timelinelabels", [])}
        return labels <= known and 0 <= prediction.get("score", 0) <= 1

    def versions(self) -> Response:
        if request.method == "DELETE":
            gone = request.get_json()["model_version"]
            self.predictions = [p for p in self.predictions if p["model_version"] != gone]
        names = [p["model_version"] for p in self.predictions]
        counts = {name: names.count(name) for name in names}
        if request.args.get("extended") == request.args.get("include_live_models") == "true":
            return jsonify(static=[{"model_version": n, "count": c} for n, c in counts.items()], live=self.backends)
        return jsonify(counts)

    def list_tasks(self) -> Response:
        query = json.loads(request.args.get("query", "{}"))
        conditions = query.get("filters", {}).get("items", [])
        found = [task for task in self.tasks.values() if all(self.meets(task, one) for one in conditions)]
        (order,) = query["ordering"]
        found.sort(key=lambda task: task[order.rpartition(":")[2]], reverse=order.startswith("-"))
        self.listed.append(order)
        included = request.args["include"].split(",")
        return jsonify(
            tasks=[self.listed_task(task, included) for task in found[: int(request.args["page_size"])]],
            total=len(found),
        )

    def listed_task(self, task: dict[str, Any], included: list[str]) -> dict[str, Any]:
        """Of the drafts the token's user sees their own, and of all others' only that there are some."""
        own = [draft for draft in task["drafts"] if draft["user"] == USER]
        made = [p for p in self.predictions if p["task"] == task["id"]]
        predicted = task.get("predictions") or made
        shown = {**task, "drafts": own, "draft_exists": bool(task["drafts"]), "predictions": predicted}
        return {name: shown[name] for name in included if name in shown}

    def meets(self, task: dict[str, Any], condition: dict[str, Any]) -> bool:
        column, operator, value = condition["filter"].split(":")[-1], condition["operator"], condition["value"]
        if column == "predictions_model_versions":
            has = {p["model_version"] for p in self.predictions if p["task"] == task["id"]}
            return bool(has & set(value)) == (operator == "contains")
        if column == "updated_at":
            return bool(task["updated_at"] > value)
        if column == "id":
            number = task["id"]
        else:
            # Skipped annotations are counted apart, as in Label Studio.
            skipped = sum(bool(each.get("was_cancelled")) for each in task["annotations"])
            number = {
                "total_annotations": len(task["annotations"]) - skipped,
                "cancelled_annotations": skipped,
            }[column]
        if operator == "in_list":
            return number in value
        return bool({"greater": number > value, "equal": number == value, "less_or_equal": number <= value}[operator])

    def submit(self, number: int) -> tuple[Response, int]:
        made = self.tasks[number]["annotations"]
        made.append(
            {**request.get_json(), "id": 1000 * number + len(made), "updated_at": datetime.now(UTC).isoformat()}
        )
        return jsonify(made[-1]), 201

    def list_predictions(self) -> Response:
        return jsonify([p for p in self.predictions if p["task"] == int(request.args["task"])])

    def change_prediction(self, number: int) -> Any:
        [prediction] = [p for p in self.predictions if p["id"] == number] or [None]
        if prediction is None:
            abort(404)
        if request.method == "DELETE":
            self.predictions.remove(prediction)
            return "", 204
        prediction.update(request.get_json())
        return jsonify(prediction)

    def list_webhooks(self) -> Any:
        if request.method == "GET":
            project = request.args.get("project", type=int)
            return jsonify([hook for hook in self.webhooks if project in (None, hook.get("project", 7))])
        if self.refuses_webhooks:
            problem = {"detail": "Validation error", "validation_errors": {"url": ["Enter a valid URL."]}}
            return jsonify(problem), 400
        return jsonify(self.add_webhook(request.get_json())), 201

    def add_webhook(self, said: dict[str, Any]) -> dict[str, Any]:
        number = max((each["id"] for each in self.webhooks), default=0) + 1
        self.webhooks.append({**said, "id": number})
        return self.webhooks[-1]

    def change_webhook(self, number: int) -> Any:
        [hook] = [each for each in self.webhooks if each["id"] == number]
        if request.method == "DELETE":
            self.webhooks.remove(hook)
            return "", 204
        hook.update(request.get_json())
        return jsonify(hook)

    def list_tabs(self) -> Response:
        if request.method == "POST":
            self.tabs.append({"id": len(self.tabs) + 1, "data": request.get_json()["data"]})
            return jsonify(self.tabs[-1])
        return jsonify(self.tabs)

    def change_tab(self, number: int) -> Response:
        self.tabs[number - 1]["data"] = request.get_json()["data"]
        return jsonify(self.tabs[number - 1])

    def act(self) -> Response:
        """The one action that is used: a number in the data of tasks. Neither counts a task as changed by it."""
        assert request.args["id"] == "add_data_field"
        said = request.get_json()
        self.acted.append(said)
        for number in said["selectedItems"]["included"]:
            self.tasks[number]["data"][said["value_name"]] = float(said["value"])
        return jsonify(detail="Updated")

    def ask_backend(self, number: int) -> tuple[Response, int]:
        """As Label Studio does, it hands on the versions alone, and makes them up for a backend without that route."""
        self.asked_backends.append(number)
        [backend] = [each for each in self.backends if each["id"] == number]
        said = self.answering.get(backend["url"], lambda: 500)()
        if said == 404:
            return jsonify(
                versions=[backend["model_version"]], message="Upgrade your ML backend version to latest."
            ), 200
        if isinstance(said, int):
            return jsonify(error="No answer."), said
        return jsonify(versions=said), 200

    def change_backend(self, number: int) -> Any:
        """As Label Studio, it asks the backend anew, for which it needs the address and the login."""
        refused = self.before_saving()
        if refused is not None:
            return jsonify(detail="You do not have permission to perform this action."), refused
        said = request.get_json()
        [backend] = [each for each in self.backends if each["id"] == number]
        if "url" not in said or "project" not in said:
            abort(500)
        if said.get("auth_method") == "BASIC_AUTH" and not {"basic_auth_user", "basic_auth_pass"} <= said.keys():
            return jsonify(detail="Authentication username and password is required for Basic Authentication."), 400
        backend.update(said)
        if "title" in said:
            self.titles.append(said["title"])
        else:
            self.saved += 1
        return jsonify(backend)

    def connect(self, url: str, answer: Callable[[], list[str] | int] | None = None, **more: Any) -> dict[str, Any]:
        """What *Connect Model* leaves behind; `answer`: what is said at the address, if anybody is there."""
        number = max((each["id"] for each in self.backends), default=0) + 1
        entry = {"id": number, "url": url, "state": "CO", "model_version": "keyframes-v1", "extra_params": None, **more}
        self.backends.append(entry)
        if answer is not None:
            self.answering[url] = answer
        if not any(hook["url"] == f"{url}/webhook" for hook in self.webhooks):
            self.add_webhook({"url": f"{url}/webhook", "project": 7, "headers": {}, "send_payload": True})
        return entry

    def list_users(self) -> Response:
        """Who is not allowed to see them is refused, as by Label Studio."""
        if not self.users:
            abort(403)
        return jsonify(self.users)

    def video(self, name: str) -> Response:
        if request.headers.get("Authorization") != "Token the-token":
            abort(401)
        content = self.files[name].read_bytes()
        answer = Response(content, mimetype="video/mp4")
        return answer.make_conditional(request.environ, accept_ranges=True, complete_length=len(content))

    def delete_task(self, number: int) -> None:
        """Its predictions go with it."""
        del self.tasks[number]
        self.predictions = [p for p in self.predictions if p["task"] != number]

    def exchange(self, number: int, video: Path | None, *, name: str, when: str, fps: float = 25) -> None:
        """Another video for a task, under the address that `name` makes."""
        self.tasks[number]["data"] = {"video": f"/data/upload/7/{name}", "fps": fps}
        self.tasks[number]["updated_at"] = when
        if video is not None:
            self.files[name] = video

    def add_task(self, number: int, video: Path | None = None, annotations: int = 0) -> None:
        data = {"video": f"/data/upload/7/{number}.mp4"}
        made = [{"id": n, "result": [], "updated_at": "2026-01-31T12:00:00Z"} for n in range(annotations)]
        more: dict[str, Any] = {"annotations": made, "drafts": [], "predictions": []}
        when = {"created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"}
        self.tasks[number] = {"id": number, "data": data, **when, **more}
        if video is not None:
            self.files[f"{number}.mp4"] = video
