"""Coldblitz itself as a child process, started the way a person starts it: `coldblitz serve` with an environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_backend import transport
from ml_backend.demo.process import Child, answers, free_port, start, wait_until


@dataclass(frozen=True)
class Backend:
    """A running `coldblitz serve`."""

    url: str
    data: Path
    child: Child

    def get(self, path: str) -> Any:
        answer = transport.session(self.url).get(f"{self.url}{path}", timeout=10)
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
