"""A plain web server for the clips, as an object store is: parts of files on request, open to other origins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response, abort, request
from werkzeug.security import safe_join
from werkzeug.serving import make_server


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """The address under which the files of `folder` can be fetched; without a type, so that Label Studio tries to play each."""
    app = Flask(__name__)

    @app.get("/<path:name>")
    def file(name: str) -> Response:
        path = safe_join(str(folder), name)
        if path is None or not Path(path).is_file():
            abort(404)
        # Whole files in memory, being small: a player that leaves in the middle of one would leave it open.
        data = Path(path).read_bytes()
        answer = Response(data, mimetype="application/octet-stream")
        answer.make_conditional(request, accept_ranges=True, complete_length=len(data))
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
