"""A Label Studio with a hundred thousand tasks: a process of its own that answers what a reconcile asks, over real HTTP.

It filters, orders, counts and cuts its task list as Label Studio 1.23.2 does, and holds nothing else.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROJECT, KEY = 7, "7.1769860800"
_CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
_WHEN = "2026-01-31T12:00:00.000000Z"


class _Studio:
    """`having`: for each model version the tasks that have a prediction of it. `annotated`: the first so many tasks."""

    def __init__(self, tasks: int, annotated: int) -> None:
        self.tasks = dict.fromkeys(range(1, tasks + 1), _WHEN)
        self.annotated = annotated
        self.having: dict[str, set[int]] = {}
        self.pinned = ""
        self.requests = 0

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> object:
        self.requests += 1
        if path == "/control":
            return self._control(body)
        if path == f"/api/projects/{PROJECT}/":
            self.pinned = (body or {}).get("model_version", self.pinned)
            return self._project()
        if path == "/api/projects/":
            return {"results": [self._project()], "count": 1}
        if path == f"/api/projects/{PROJECT}/model-versions/":
            counts = {version: len(tasks) for version, tasks in self.having.items()}
            if "extended" not in query:
                return counts
            static = [{"model_version": version, "count": count} for version, count in counts.items()]
            return {"static": static, "live": [{"id": 1, "url": "http://coldblitz:9090", "state": "CO"}]}
        if path == f"/api/projects/{PROJECT}/import/predictions":
            for item in body:
                self.having.setdefault(item["model_version"], set()).add(item["task"])
            return {"created": len(body)}
        if path == "/api/tasks":
            return self._tasks(query)
        return []

    def _control(self, body: dict[str, Any]) -> object:
        """What annotators and admins do meanwhile."""
        for task in body.get("delete", []):
            del self.tasks[task]
        for task in body.get("change", []):
            self.tasks[task] = "2026-02-01T12:00:00.000000Z"
        for version, number in body.get("predict", {}).items():
            self.having[version] = set(range(1, number + 1))
        return {"requests": self.requests}

    def _project(self) -> object:
        counts = {"total_annotations_number": self.annotated, "num_tasks_with_annotations": self.annotated}
        made = {"id": PROJECT, "title": "Large", "created_at": "2026-01-31T12:00:00Z"}
        return {**made, **counts, "label_config": _CONFIG, "model_version": self.pinned}

    def _tasks(self, query: dict[str, str]) -> object:
        asked = json.loads(query.get("query", "{}"))
        found: Any = self.tasks
        for condition in asked.get("filters", {}).get("items", []):
            found = self._filtered(found, condition)
        column = asked["ordering"][0].rpartition(":")[2]
        key = (lambda task: (self.tasks[task], task)) if column == "updated_at" else None
        ordered = sorted(found, key=key, reverse=asked["ordering"][0].startswith("-"))
        shown = ordered[: int(query["page_size"])]
        fields = query["include"].split(",")
        return {"tasks": [self._task(task, fields) for task in shown], "total": len(ordered)}

    def _task(self, task: int, fields: list[str]) -> dict[str, object]:
        every = {
            "id": task,
            "created_at": _WHEN,
            "updated_at": self.tasks[task],
            "data": {"video": f"/data/upload/7/{task}.mp4"},
        }
        return {field: value for field, value in every.items() if field in fields}

    def _filtered(self, found: Any, condition: dict[str, Any]) -> Any:
        column, operator, value = condition["filter"].rpartition(":")[2], condition["operator"], condition["value"]
        if column == "predictions_model_versions":
            having = set().union(*(tasks for version, tasks in self.having.items() if value[0] in version))
            return [task for task in found if task not in having]
        if column == "total_annotations":
            return [task for task in found if (task <= self.annotated) == (operator == "greater")]
        if column == "updated_at":
            return [task for task in found if self.tasks[task] > value]
        if operator == "greater":
            return [task for task in found if task > value]
        return [task for task in found if (task <= value if operator == "less_or_equal" else task == value)]


@contextlib.contextmanager
def large_studio(tasks: int, annotated: int) -> Iterator[str]:
    """Its address, for the time of the `with` block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, tasks, annotated), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection, tasks: int, annotated: int) -> None:
    studio = _Studio(tasks, annotated)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            answer = json.dumps(studio.answer(self.command, url.path, query, json.loads(body or "null"))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(server.server_port)
    server.serve_forever()
