"""The processes that a measurement stands on: a Redis of its own on a port of its own, and the web process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.demo.process import answers, free_port, start, wait_until
from ml_backend.queueing.embedded_redis import redis_executable
from ml_backend.serve import gunicorn
from ml_backend.settings import Settings

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its address, for the time of the `with` block; it appends every write to a file, as the one of our compose file does."""
    port = free_port()
    command = [redis_executable(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "everysec"]
    child = start("Redis", command, folder / "redis.log", os.environ, folder)
    try:
        wait_until(child, lambda: _answers(port), 20)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        child.stop()


@contextmanager
def web_process(settings: Settings) -> Iterator[str]:
    """The address of the web process of `coldblitz serve`, for the time of the `with` block."""
    settings = replace(settings, host="127.0.0.1", port=free_port())
    environment = environment_of(settings)
    child = start("web process", gunicorn(settings), settings.data_dir / "web.log", environment, Path.cwd())
    url = f"http://127.0.0.1:{settings.port}"
    try:
        wait_until(child, lambda: answers(f"{url}/health"), 60)
        yield url
    finally:
        child.stop()


def environment_of(settings: Settings) -> dict[str, str]:
    """That of a process that works with these settings and no others."""
    others = ("REDIS_URL", "BASIC_AUTH_", "LABEL_STUDIO_", "DATA_DIR")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {
        **inherited,
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": str(settings.redis_url),
        "BACKBONE_WEIGHTS": "none",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def _answers(port: int) -> bool:
    try:
        with Redis(port=port) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False
