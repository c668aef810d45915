"""A Label Studio with a hundred thousand tasks, and other projects: a process of its own that answers what a reconcile asks, over
real HTTP.

It filters, orders, counts and cuts its task list as Label Studio 1.23.2 does, and holds nothing else.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
from collections.abc import Iterator, Mapping
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


def key_of(project: int) -> str:
    """Of the project of this number."""
    return f"{project}.{KEY.partition('.')[2]}"


class _Studio:
    """Its projects by number. `/control` is about `PROJECT`."""

    def __init__(self, projects: Mapping[int, _Project]) -> None:
        self._projects = projects
        self.requests = 0

    def answer(self, path: str, query: dict[str, str], body: Any) -> object:
        self.requests += 1
        if path == "/control":
            self._projects[PROJECT].control(body)
            return {"requests": self.requests}
        if path == "/api/projects/":
            return {"results": [each.described() for each in self._projects.values()], "count": len(self._projects)}
        if path == "/api/tasks":
            return self._projects[int(query["project"])].listed(query)
        number, _, rest = path.removeprefix("/api/projects/").partition("/")
        project = self._projects.get(int(number)) if number.isdecimal() else None
        return project.answer(rest, query, body) if project is not None else []


class _Project:
    """`having`: for each model version the tasks that have a prediction of it. `annotated`: the first so many tasks."""

    def __init__(self, number: int, tasks: int, annotated: int) -> None:
        self.number = number
        self.tasks = dict.fromkeys(range(1, tasks + 1), _WHEN)
        self.annotated = annotated
        self.having: dict[str, set[int]] = {}
        self.pinned = ""

    def answer(self, path: str, query: dict[str, str], body: Any) -> object:
        if not path:
            self.pinned = (body or {}).get("model_version", self.pinned)
            return self.described()
        if path == "model-versions/":
            counts = {version: len(tasks) for version, tasks in self.having.items()}
            if "extended" not in query:
                return counts
            static = [{"model_version": version, "count": count} for version, count in counts.items()]
            return {"static": static, "live": [{"id": 1, "url": "http://coldblitz:9090", "state": "CO"}]}
        if path == "import/predictions":
            for item in body:
                self.having.setdefault(item["model_version"], set()).add(item["task"])
            return {"created": len(body)}
        return []

    def control(self, body: dict[str, Any]) -> None:
        """What annotators and admins do meanwhile."""
        for task in body.get("delete", []):
            del self.tasks[task]
        for task in body.get("change", []):
            self.tasks[task] = "2026-02-01T12:00:00.000000Z"
        for version, number in body.get("predict", {}).items():
            self.having[version] = set(range(1, number + 1))

    def described(self) -> object:
        counts = {"total_annotations_number": self.annotated, "num_tasks_with_annotations": self.annotated}
        made = {"id": self.number, "title": f"Project {self.number}", "created_at": "2026-01-31T12:00:00Z"}
        return {**made, **counts, "label_config": _CONFIG, "model_version": self.pinned}

    def listed(self, query: dict[str, str]) -> object:
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
            "data": {"video": f"/data/upload/{self.number}/{task}.mp4"},
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
def large_studio(tasks: int, annotated: int, others: int = 0, tasks_each: int = 0) -> Iterator[str]:
    """Its address, for the time of the `with` block. Its projects are `PROJECT` of `tasks` tasks, and behind it so many `others`."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, tasks, annotated, others, tasks_each), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection, tasks: int, annotated: int, others: int, tasks_each: int) -> None:
    behind = range(PROJECT + 1, PROJECT + 1 + others)
    small = {number: _Project(number, tasks_each, 0) for number in behind}
    studio = _Studio({PROJECT: _Project(PROJECT, tasks, annotated), **small})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            answer = json.dumps(studio.answer(url.path, query, json.loads(body or "null"))).encode()
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
