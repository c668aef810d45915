"""A small Label Studio: one project with tasks, predictions, webhooks and a pinned version, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, request

CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
KEY = "7.1769860800"
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
        self.webhooks: list[dict[str, Any]] = []
        self.listed_backends = 0
        self.listed: list[str] = []
        self.files: dict[str, Path] = {}
        self.users: list[dict[str, Any]] = []
        for rule, view, *methods in (
            ("/api/projects/", self.list_projects, "GET"),
            ("/api/projects/7/", self.show_project, "GET", "PATCH"),
            ("/api/projects/7/import/predictions", self.import_predictions, "POST"),
            ("/api/projects/7/model-versions/", self.versions, "GET", "DELETE"),
            ("/api/tasks", self.list_tasks, "GET"),
            ("/api/predictions/", self.list_predictions, "GET"),
            ("/api/webhooks/", self.list_webhooks, "GET", "POST"),
            ("/api/webhooks/<int:number>/", self.change_webhook, "PATCH"),
            ("/api/dm/views/", self.list_tabs, "GET", "POST"),
            ("/api/ml/", self.list_backends, "GET"),
            ("/api/users/", self.list_users, "GET"),
            ("/data/upload/7/<name>", self.video, "GET"),
        ):
            self.add_url_rule(rule, view_func=view, methods=methods)

    def list_projects(self) -> Response:
        found = [self.project] if self.project else []
        return jsonify(results=found, count=len(found))

    def show_project(self) -> Response:
        if self.project is None:
            abort(404)
        if request.method == "PATCH":
            self.project.update(request.get_json())
        made = [annotation for task in self.tasks.values() for annotation in task["annotations"]]
        return jsonify({**self.project, "total_annotations_number": len(made)})

    def import_predictions(self) -> tuple[Response, int]:
        self.predictions.extend({**item, "id": len(self.predictions) + n} for n, item in enumerate(request.get_json()))
        return jsonify(created=len(request.get_json())), 201

    def versions(self) -> Response:
        if request.method == "DELETE":
            gone = request.get_json()["model_version"]
            self.predictions = [p for p in self.predictions if p["model_version"] != gone]
        names = [p["model_version"] for p in self.predictions]
        return jsonify({name: names.count(name) for name in names})

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

    @staticmethod
    def listed_task(task: dict[str, Any], included: list[str]) -> dict[str, Any]:
        """Of the drafts the token's user sees their own, and of all others' only that there are some."""
        own = [draft for draft in task["drafts"] if draft["user"] == USER]
        shown = {**task, "drafts": own, "draft_exists": bool(task["drafts"])}
        return {name: shown[name] for name in included if name in shown}

    def meets(self, task: dict[str, Any], condition: dict[str, Any]) -> bool:
        column, operator, value = condition["filter"].split(":")[-1], condition["operator"], condition["value"]
        if column == "predictions_model_versions":
            has = {p["model_version"] for p in self.predictions if p["task"] == task["id"]}
            return bool(has & set(value)) == (operator == "contains")
        number = task["id"] if column == "id" else len(task["annotations"])
        return bool({"greater": number > value, "equal": number == value, "less_or_equal": number <= value}[operator])

    def list_predictions(self) -> Response:
        return jsonify([p for p in self.predictions if p["task"] == int(request.args["task"])])

    def list_webhooks(self) -> Any:
        if request.method == "GET":
            return jsonify(self.webhooks)
        self.webhooks.append({**request.get_json(), "id": len(self.webhooks) + 1})
        return jsonify(self.webhooks[-1]), 201

    def change_webhook(self, number: int) -> Response:
        self.webhooks[number - 1].update(request.get_json())
        return jsonify(self.webhooks[number - 1])

    def list_tabs(self) -> Response:
        return jsonify([])

    def list_backends(self) -> Response:
        self.listed_backends += 1
        return jsonify([])

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

    def add_task(self, number: int, video: Path | None = None, annotations: int = 0) -> None:
        data = {"video": f"/data/upload/7/{number}.mp4"}
        made = [{"id": n, "result": [], "updated_at": "2026-01-31T12:00:00Z"} for n in range(annotations)]
        more: dict[str, Any] = {"annotations": made, "drafts": [], "predictions": []}
        self.tasks[number] = {"id": number, "data": data, "updated_at": "2026-01-31T12:00:00Z", **more}
        if video is not None:
            self.files[f"{number}.mp4"] = video
