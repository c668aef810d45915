"""Child processes with log files, each stopped by its own process id; Coldblitz itself is one, started the way a person starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ml_backend import requests_transport
from ml_backend.errors import ColdblitzError
from ml_backend.processes import die_with_parent


class DidNotStart(ColdblitzError):
    """A server of the demo ended, or did not answer in time, while it was starting."""


@dataclass(frozen=True)
class Child:
    """A running program, the head of its own process group, so that stopping it leaves none of its children."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self, seconds: float = 20) -> int:
        """Asks it to end, waits, and ends its group when it does not; returns the exit status."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """Ends it and its children without asking."""
        if self.running:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


_started: list[Child] = []


def start(name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str], folder: Path) -> Child:
    """Starts `command` in its own session, its output appended to `log`; it is told to stop when we die."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A proxy of this environment does not reach what listens on this machine.
            env={
                **environment,
                "NO_PROXY": ",".join(filter(None, (environment.get("NO_PROXY"), "localhost,127.0.0.1"))),
            },
            cwd=folder,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    child = Child(name, process, log)
    _started.append(child)
    return child


def stop_all(seconds: float) -> None:
    """Asks all that run to end at once, also those that are still starting, and ends those that have not after `seconds`."""
    running = [child for child in _started if child.running]
    for child in running:
        child.process.terminate()
    limit = time.monotonic() + seconds
    while any(child.running for child in running) and time.monotonic() < limit:
        time.sleep(0.05)
    for child in running:
        child.kill()


def wait_until(child: Child, ready: Callable[[], bool], seconds: float) -> None:
    """Returns when `ready()`; stops the child and raises DidNotStart when it ended before or `seconds` have passed."""
    limit = time.monotonic() + seconds
    while not ready():
        late = time.monotonic() > limit
        if late or not child.running:
            child.stop()
            what = f"did not answer within {seconds:.0f} s" if late else f"ended with status {child.process.returncode}"
            raise DidNotStart(
                f"{child.name} {what} at start.", f"Its last lines, from {child.log}:\n{child.last_lines()}"
            )
        time.sleep(0.2)


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200 now."""
    try:
        return requests_transport.session(url).get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def free_port(wanted: int = 0) -> int:
    """`wanted` when nothing listens there on the loopback interface, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DidNotStart("No port is free on the loopback interface.", "Stop some of the servers on this machine.")


@dataclass(frozen=True)
class Backend:
    """A running `coldblitz serve`."""

    url: str
    data: Path
    child: Child

    def get(self, path: str) -> Any:
        answer = requests_transport.session(self.url).get(f"{self.url}{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    def jobs(self) -> dict[str, list[dict[str, Any]]]:
        """`GET /jobs`: lists under `queued`, `running`, `finished` and `failed`."""
        answer: dict[str, list[dict[str, Any]]] = self.get("/jobs")
        return answer

    @property
    def idle(self) -> bool:
        """Whether no job runs or waits, but for those that failed and are tried again later."""
        jobs = self.jobs()
        return not jobs["running"] and all(job["reason"] for job in jobs["queued"])

    def stop(self) -> int:
        return self.child.stop()


def start_backend(
    studio_url: str, token: str, data: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
) -> Backend:
    """Starts `coldblitz serve` for a Label Studio with its data in `data`, and waits for `GET /health`.

    `settings` are further environment variables. Raises DidNotStart.
    """
    data.mkdir(parents=True, exist_ok=True)
    port = free_port(port)
    # A Redis or password of the person's own server is not for this one.
    not_ours = ("REDIS_URL", "BASIC_AUTH_", "LABEL_STUDIO_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(not_ours)}
    environment = {
        **inherited,
        "LABEL_STUDIO_URL": studio_url,
        "LABEL_STUDIO_API_KEY": token,
        "PORT": str(port),
        "DATA_DIR": str(data),
        **(settings or {}),
    }
    child = start("Coldblitz", [sys.executable, "-m", "ml_backend.cli", "serve"], data / "serve.log", environment, data)
    url = f"http://localhost:{port}"
    wait_until(child, lambda: answers(f"{url}/health"), 180)
    return Backend(url, data, child)


@contextmanager
def coldblitz(
    studio_url: str, token: str, data: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Backend]:
    """`coldblitz serve` for the time of the `with` block."""
    backend = start_backend(studio_url, token, data, port=port, settings=settings)
    try:
        yield backend
    finally:
        backend.stop()
