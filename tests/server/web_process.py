"""The web process as `serve` starts it, for tests of what only shows there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import requests
from embedded import settings_for
from loopback import closed_port

from ml_backend.serve import gunicorn


@contextmanager
def running_web(data_dir: Path, redis_port: int) -> Iterator[str]:
    """Its address."""
    settings = replace(settings_for(data_dir), port=closed_port())
    environment = {
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
        "DATA_DIR": str(data_dir),
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}",
    }
    process = subprocess.Popen(gunicorn(settings), env={**os.environ, **environment})
    url = f"http://127.0.0.1:{settings.port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                requests.get(f"{url}/health", timeout=1)
                break
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)
