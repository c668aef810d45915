"""A plain web server for the clips, as an object store is: parts of files on request, open to other origins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response, send_from_directory
from werkzeug.serving import make_server


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """The address under which the files of `folder` can be fetched; without a type, so that Label Studio tries to play each."""
    app = Flask(__name__)

    @app.get("/<path:name>")
    def file(name: str) -> Response:
        answer = send_from_directory(folder, name, mimetype="application/octet-stream", conditional=True)
        answer.headers["Access-Control-Allow-Origin"] = "*"
        return answer

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="clips", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
