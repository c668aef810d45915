from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import boxed_scene
import dashboard_scene as scene
import pytest
from embedded import redis, redis_settings, settings_for
from numbered import numbered_video
from redis import Redis
from werkzeug.serving import make_server

from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]


@pytest.fixture(scope="session")
def chromium() -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: `apt-get install chromium fonts-dejavu-core`")
    return program


@pytest.fixture
def address(redis: Redis, redis_settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The backend, at work on three projects."""
    settings = settings_for(tmp_path, redis_url=redis_url(redis_settings))
    scene.open_project(settings, redis)
    scene.open_project(settings, redis, "8.1", '<b>Odd</b> & "names" ' + "long" * 30, scene.ODD)
    boxed_scene.open_boxes(settings, redis)
    scene.open_film(settings, 2, numbered_video(tmp_path / "numbered.mp4", scene.FRAMES))
    scene.run_jobs(redis)
    scene.look_at(redis)
    server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
