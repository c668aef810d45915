"""The small Label Studio with room for a companion project: it takes projects, uploads and image tasks, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Response, abort, jsonify, request
from studio import Studio

_WHEN = "2026-02-01T12:00:00Z"


class CompanionStudio(Studio):
    """`made`: projects besides the video project, by number; `images`: their tasks; `uploads`: files by number.

    `refuses`: whether it lets the token make no project. `fails_to_import`: whether the next import is refused, once.
    `meanwhile`: what happens after a task was deleted, once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, dict[str, Any]] = {}
        self.images: dict[int, dict[str, Any]] = {}
        self.uploads: dict[int, tuple[str, bytes]] = {}
        self.refuses = False
        self.fails_to_import = False
        self.meanwhile: Callable[[], None] | None = None
        for rule, view, *methods in (
            ("/api/projects/<int:number>/", self.other_project, "GET", "PATCH"),
            ("/api/projects/<int:number>/import", self.bring, "POST"),
            ("/api/projects/<int:number>/file-uploads", self.file_uploads, "GET", "DELETE"),
            ("/api/tasks/<int:number>/", self.delete_task, "DELETE"),
        ):
            self.add_url_rule(rule, view_func=view, methods=methods)
        self.add_url_rule("/api/projects/", "make_project", self.make_project, methods=["POST"])

    def list_projects(self) -> Response:
        found = [*([self.project] if self.project else []), *self.made.values()]
        return jsonify(results=found, count=len(found))

    def make_project(self) -> tuple[Any, int]:
        if self.refuses:
            return jsonify(detail="You do not have permission to perform this action."), 403
        number = 20 + len(self.made)
        self.made[number] = {"id": number, "model_version": "", "created_at": _WHEN, **request.get_json()}
        return self.other_project(number), 201

    def other_project(self, number: int) -> Any:
        if number not in self.made:
            abort(404)
        if request.method == "PATCH":
            self.made[number].update(request.get_json())
        answered = sum(len(task["annotations"]) for task in self.images.values())
        return jsonify({**self.made[number], "total_annotations_number": answered})

    def bring(self, number: int) -> tuple[Response, int]:
        if len(request.files) > 100:
            abort(400)
        if request.args.get("commit_to_project") == "false":
            first = len(self.uploads) + 1
            for offset, file in enumerate(request.files.values()):
                self.uploads[first + offset] = (f"upload/{number}/{first + offset:08x}-{file.filename}", file.read())
            return jsonify(file_upload_ids=list(range(first, len(self.uploads) + 1))), 201
        if self.fails_to_import:
            self.fails_to_import = False
            abort(502)
        for item in request.get_json():
            self.put_task(item["data"])
        return jsonify(task_count=1), 201

    def put_task(self, data: dict[str, Any]) -> None:
        """Makes a task of the companion."""
        task = 1000 + len(self.images)
        more: dict[str, Any] = {"annotations": [], "drafts": []}
        self.images[task] = {"id": task, "data": data, "updated_at": _WHEN, **more}

    def file_uploads(self, number: int) -> Response:
        if request.method == "DELETE":
            for each in request.get_json()["file_upload_ids"]:
                del self.uploads[each]
            return jsonify(deleted=1)
        asked = json.loads(request.args.get("ids", "null"))
        wanted = self.uploads if asked is None else asked
        return jsonify([{"id": each, "file": self.uploads[each][0]} for each in wanted])

    def delete_task(self, number: int) -> tuple[str, int]:
        if self.images.pop(number, None) is None:
            abort(404)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return "", 204

    def list_tasks(self) -> Response:
        if int(request.args["project"]) == 7:
            for task in self.tasks.values():
                task["total_annotations"] = len(task["annotations"])
                task["predictions"] = [p for p in self.predictions if p["task"] == task["id"]]
            return super().list_tasks()
        if int(request.args["project"]) not in self.made:
            abort(404)
        videos, self.tasks = self.tasks, self.images
        try:
            return super().list_tasks()
        finally:
            self.tasks = videos

    def meets(self, task: dict[str, Any], condition: dict[str, Any]) -> bool:
        if condition["filter"].endswith("data.task"):
            return bool(task["data"]["task"] == condition["value"])
        if condition["operator"] == "in_list":
            return task["id"] in condition["value"]
        return super().meets(task, condition)

    def image(self, task: int, frame: int) -> dict[str, Any]:
        """The image task of a frame."""
        [image] = [i for i in self.images.values() if (i["data"]["task"], i["data"]["frame"]) == (task, frame)]
        return image

    def begin(self, task: int, frame: int, user: int) -> None:
        """What Label Studio has after somebody has chosen something for the image of a frame and not submitted it."""
        self.image(task, frame)["drafts"].append({"id": 1, "user": user})

    def answer(self, task: int, frame: int, *choices: str, author: int = 1, when: str = _WHEN) -> None:
        """What Label Studio has after somebody has chosen these for the image of a frame and submitted."""
        image = self.image(task, frame)
        result = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": list(choices)}}
        number = 500 + sum(len(i["annotations"]) for i in self.images.values())
        image["annotations"].append(
            {
                "id": number,
                "result": [result] if choices else [],
                "was_cancelled": not choices,
                "updated_at": when,
                "completed_by": author,
            }
        )
        image["updated_at"] = when
