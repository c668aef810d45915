"""Real clips, and projects that connect a real Label Studio with a real `coldblitz serve`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, Response, abort, request
from real_browser import page
from werkzeug.serving import make_server

from ml_backend.demo.clips import LABELS, SCRIPTS, Clip, make_clips
from ml_backend.demo.loop import Loop, label_config, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

__all__ = ["page"]

OpenProject = Callable[..., Loop]
_Data = dict[str, object]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), SCRIPTS[:3])


@pytest.fixture(scope="session")
def open_project(studio: Studio, backend: Backend) -> OpenProject:
    """Makes a project with a task per clip, uploaded, and one per item of `data`, and connects a backend to it."""

    default = backend

    def open_with(
        clips: Sequence[Clip] = (),
        data: Sequence[_Data] = (),
        backend: Backend = default,
        extra_params: _Data | None = None,
    ) -> Loop:
        project = studio.create_project("A street", label_config(LABELS))
        tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips]) if clips else []
        tasks += studio.import_tasks(project, data) if data else []
        studio.connect(project, backend.url, extra_params)
        return Loop(studio, backend, project, tuple(tasks))

    return open_with


@pytest.fixture(scope="session")
def served_elsewhere(clips: list[Clip]) -> Iterator[str]:
    """The address of a plain web server with the clips, which is not Label Studio."""
    with web_server(clips[0].path.parent) as address:
        yield address


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    app = Flask("videos")

    @app.get("/<name>")
    def video(name: str) -> Response:
        if name not in {path.name for path in folder.iterdir()}:
            abort(404)
        content = (folder / name).read_bytes()  # not an open file: a client that has read enough leaves it open
        answer = Response(content, mimetype="video/mp4")
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.make_conditional(request, accept_ranges=True, complete_length=len(content))
        return answer

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
