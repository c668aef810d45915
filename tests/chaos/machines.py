"""One installation on three machines that share Redis and a store, each with a folder of its own: one answers, two work."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from embedded import settings_for
from redis import Redis

from benchmarks.service.scene import kill
from ml_backend.demo.process import Backend, Child, answers, free_port, start, wait_until
from ml_backend.demo.studio import Studio
from ml_backend.queueing.embedded_redis import running_redis

# A job is given up after its third worker.
_KILLS_OF_ONE_JOB = 2


@dataclass(frozen=True)
class Machines:
    """`web`: the one that answers; the processes of the others are started by `worker`."""

    web: Backend
    redis: Redis
    root: Path
    environment: Mapping[str, str]
    warm: Callable[[Path], Path]

    @contextmanager
    def worker(self, name: str) -> Iterator[Backend]:
        """`coldblitz worker` on the machine of this name, for the time of the `with` block."""
        data = self.warm(self.root / name)
        child = _start("worker", data, self.environment)
        try:
            yield Backend(self.web.url, data, child)
        finally:
            _end(child)


@contextmanager
def machines(studio: Studio, root: Path, warm: Callable[[Path], Path], store: Mapping[str, str]) -> Iterator[Machines]:
    """`store`: the variables that name it."""
    with running_redis(settings_for(root / "redis")) as url:
        port = free_port()
        not_ours = ("REDIS_URL", "BASIC_AUTH_", "LABEL_STUDIO_", "AWS_")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(not_ours)},
            "LABEL_STUDIO_URL": studio.url,
            "LABEL_STUDIO_API_KEY": studio.token,
            "REDIS_URL": url,
            "PORT": str(port),
            "BACKBONE_WEIGHTS": "none",
            **store,
        }
        data = root / "web"
        child = _start("web", data, environment)
        address = f"http://localhost:{port}"
        try:
            wait_until(child, lambda: answers(f"{address}/health"), 180)
            yield Machines(Backend(address, data, child), Redis.from_url(url), root, environment, warm)
        finally:
            _end(child)


def _start(command: str, data: Path, environment: Mapping[str, str]) -> Child:
    data.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "ml_backend.cli", command]
    return start(f"coldblitz {command}", words, data / "log", {**environment, "DATA_DIR": str(data)}, data)


def _end(child: Child) -> None:
    child.stop()
    with suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)


@dataclass
class Killer:
    """kill -9 of a machine's worker at random moments in which jobs run, at most `kills` times; `moments`: what ran then."""

    victim: Backend
    kills: int
    dice: random.Random
    moments: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._kill, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _kill(self) -> None:
        hit: Counter[str] = Counter()
        while len(self.moments) < self.kills and not self._done.wait(self.dice.uniform(0.1, 1.5)):
            with suppress(requests.RequestException):
                jobs = self.victim.jobs()["running"]
                if jobs and all(hit[job["id"]] < _KILLS_OF_ONE_JOB for job in jobs) and kill(self.victim, "run-worker"):
                    hit.update(str(job["id"]) for job in jobs)
                    self.moments.append(" ".join(sorted(str(job["kind"]) for job in jobs)))
                    # It is started again meanwhile.
                    time.sleep(1)
