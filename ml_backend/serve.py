"""`coldblitz serve`: Redis, the web process and the workers as children of one process, which mends what falls over."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from ml_backend import logs
from ml_backend.errors import SettingsError
from ml_backend.processes import await_child, start_child
from ml_backend.projects.registry import known_keys
from ml_backend.projects.storage import check_folder, check_redis
from ml_backend.queueing.abandoned import take_up_begun
from ml_backend.queueing.embedded_redis import running_redis
from ml_backend.queueing.liveness import note_end
from ml_backend.queueing.queue import enqueue, queue_due
from ml_backend.settings import Settings, notes
from ml_backend.store.connect import begin, check_folder_of

log = logging.getLogger(__name__)

_RECONCILE_EVERY = 300.0
_RESTART_AFTER = 1.0
# Workers of other machines that give no sign of life any more.
_LOOK_FOR_DEAD_EVERY = 15.0
_REDIS_TRIES = 3
# A worker that is told to stop finishes its job; what takes longer is taken up again at the next start.
_STOP_SECONDS = 10.0


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    lasting: bool = True


def serve(settings: Settings, web: bool = True, workers: int | None = None) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError and StorageError when it cannot start."""
    logs.hide(*settings.secrets)
    for note in notes():
        log.info("%s", note)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    check_folder(settings.data_dir, note=True)
    check_folder_of(settings)
    if web:
        check_login(settings)
        _check_address(settings)
    # Workers inherit it: BLAS threads spin while they wait, on the cores that decode.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    while not stop.is_set():
        with running_redis(settings) as url:
            redis = Redis.from_url(url, socket_timeout=5)
            check_redis(redis)
            begin(settings, redis)
            with _children(_commands(settings, web, workers)) as children:
                _convert_ahead(settings, children)
                _watch(redis, settings, children, stop)


def check_login(settings: Settings) -> None:
    """Raises SettingsError when others than this machine could call the web process without a login."""
    if settings.basic_auth_user or settings.allow_no_login or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"HOST is {settings.host}, where other machines can reach Coldblitz, and no login is set.",
        "Set BASIC_AUTH_USER and BASIC_AUTH_PASS, and enter them in Label Studio too. If something else protects "
        "it, set ALLOW_NO_LOGIN=true.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}).",
                "Stop the program that uses it, or set another PORT (or HOST).",
            ) from error


def _watch(redis: Redis, settings: Settings, children: list[_Child], stop: threading.Event) -> None:
    """Until `stop`, or until the embedded Redis has died: then everything is started again with it."""
    _discover(redis, settings)
    reconciled = looked = time.monotonic()
    silent = 0
    run = _run_of(redis)
    while not stop.wait(_RESTART_AFTER):
        for child in children:
            if (code := child.process.poll()) is not None and child.lasting:
                log.error("The %s ended with code %s and is started again.", child.name, code)
                with contextlib.suppress(RedisError):
                    note_end(redis, child.process.pid, code)
                child.process = start_child(child.command)
        try:
            queue_due(redis)
            before, run = run, _run_of(redis)
            if silent or run != before:
                # It may have come back without what it knew, and between two looks.
                _discover(redis, settings)
                _reconcile_all(redis)
            silent = 0
            if time.monotonic() - looked > _LOOK_FOR_DEAD_EVERY:
                looked = time.monotonic()
                take_up_begun(redis)
        except RedisError:
            silent += 1
            if settings.redis_url is None and silent >= _REDIS_TRIES:
                log.error("The embedded Redis does not answer; everything is started again with it.")
                return
        if time.monotonic() - reconciled > _RECONCILE_EVERY:
            reconciled = time.monotonic()
            _discover(redis, settings)
            _reconcile_all(redis)


def _commands(settings: Settings, web: bool, workers: int | None) -> list[tuple[str, list[str]]]:
    commands = [("worker", [sys.executable, "-m", "ml_backend.cli", "run-worker"])] * (workers or settings.workers)
    return [("web process", gunicorn(settings)), *commands] if web else commands


def gunicorn(settings: Settings) -> list[str]:
    """The command of the web process: threads, so that one slow client does not hold up Label Studio's next call."""
    return [
        *(sys.executable, "-m", "gunicorn", "ml_backend.server.app:create_app()"),
        *("--worker-class", "ml_backend.server.webworker.Worker", "--workers", "1", "--threads", "32"),
        *("--bind", f"{settings.host}:{settings.port}", "--graceful-timeout", "5"),
        *("--log-level", "warning", "--config", "python:ml_backend.server.webworker", "--no-control-socket"),
    ]


@contextlib.contextmanager
def _children(commands: Sequence[tuple[str, Sequence[str]]]) -> Iterator[list[_Child]]:
    children: list[_Child] = []
    try:
        for name, command in commands:
            children.append(_Child(name, command, start_child(command)))
        yield children
    finally:
        for child in children:
            child.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for child in children:
            # Not asked twice: RQ takes that as an order to drop the job at hand.
            await_child(child.process, max(0.1, deadline - time.monotonic()))


def _convert_ahead(settings: Settings, children: list[_Child]) -> None:
    """The first video then need not wait ten seconds for it, and no worker holds the gigabyte that it takes."""
    if not any((settings.data_dir / "weights").glob(f"{settings.backbone.replace('/', '_')}-*.xml")):
        command = [sys.executable, "-m", "ml_backend.features.backbones"]
        children.append(_Child("conversion of the backbone", command, start_child(command), lasting=False))


def _discover(redis: Redis, settings: Settings) -> None:
    with contextlib.suppress(RedisError):
        enqueue(redis, "discover", settings.label_studio_url, again=True)


def _run_of(redis: Redis) -> str | None:
    """Another one after each start of Redis; None when it does not say."""
    with contextlib.suppress(RedisError):
        return str(redis.info("server")["run_id"])
    return None


def _reconcile_all(redis: Redis) -> None:
    # Redis may be away for a moment; the next round comes.
    with contextlib.suppress(RedisError):
        for key in known_keys(redis):
            enqueue(redis, "reconcile", key, again=True)
