"""`coldblitz serve` does its work with a token, a wrong one and a login, and none of them is anywhere afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Response, abort, jsonify, request
from loopback import closed_port, serving
from studio import CONFIG, KEY, Studio

from benchmarks.alignment.encode import Recipe, encode, steady

TOKEN, PASSWORD = "tok3n-0f-label-studio-7d1f", "passw0rd-0f-the-backend-93ab"
SETUP_TOKEN, SHARE_TOKEN, SIGNATURE = "acc3ss-of-setup-55c2", "shar3-of-the-project-08fe", "s1gnature-of-a-link-4e77"
SECRETS = (TOKEN, PASSWORD, SETUP_TOKEN, SHARE_TOKEN, SIGNATURE)


class Guarded(Studio):
    """Refuses all tokens but `accepted`, and says which one it was given, as a careless server might."""

    def __init__(self, accepted: str) -> None:
        super().__init__()
        self.accepted = accepted
        self.asked: list[str | None] = []
        self.before_request(self.check)

    def check(self) -> Any:
        given = request.headers.get("Authorization")
        self.asked.append(given)
        if given != f"Token {self.accepted}":
            return jsonify(detail=f"Invalid token: {given}"), 401
        return None

    def video(self, name: str) -> Response:
        content = self.files[name].read_bytes() if name in self.files else abort(404)
        answer = Response(content, mimetype="video/mp4")
        return answer.make_conditional(request.environ, accept_ranges=True, complete_length=len(content))


@contextmanager
def served(studio_url: str, folder: Path) -> Iterator[tuple[str, int]]:
    """The address of a `coldblitz serve` that reads its secrets from files, and its process id."""
    for name, secret in (("token", TOKEN), ("password", PASSWORD)):
        (folder / name).write_text(f"{secret}\n")
    port = closed_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ml_backend.cli", "serve"],
            env={
                **os.environ,
                "LABEL_STUDIO_URL": studio_url,
                "LABEL_STUDIO_API_KEY_FILE": str(folder / "token"),
                "BASIC_AUTH_USER": "studio",
                "BASIC_AUTH_PASS_FILE": str(folder / "password"),
                "BACKBONE_WEIGHTS": "none",
                "DATA_DIR": str(folder / "data"),
                "PORT": str(port),
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def command_lines(pid: int) -> bytes:
    """What `ps` shows of a process and of those it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return b"\n".join(Path(f"/proc/{each}/cmdline").read_bytes() for each in (pid, *children))


def found(folder: Path, also: dict[str, bytes]) -> list[str]:
    """Where one of the secrets is: files of the backend, or what else was seen of it."""
    files = {str(path): path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file()}
    files |= {"the log": (folder / "log").read_bytes(), **also}
    assert any(b"reconcile" in content for content in files.values())
    return [
        f"{secret} in {name}" for secret in SECRETS for name, content in files.items() if secret.encode() in content
    ]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="it reads command lines from /proc")
@pytest.mark.parametrize("accepted", [TOKEN, "another-one"], ids=["a token that is taken", "a token that is refused"])
def test_secrets_stay_where_they_were_given(tmp_path: Path, accepted: str, warm: Callable[[Path], Path]) -> None:
    warm(tmp_path / "data")
    studio = Guarded(accepted)
    encode(tmp_path / "clip.mp4", Recipe(steady(25, 50)))
    studio.add_task(1, tmp_path / "clip.mp4")
    studio.add_task(2)
    studio.add_task(3)
    studio.tasks[3]["data"] = {"video": f"http://127.0.0.2:{closed_port()}/a.mp4?X-Amz-Signature={SIGNATURE}"}
    with serving(studio) as studio_url, served(studio_url, tmp_path) as (url, pid):
        session = requests.Session()
        session.auth = ("studio", PASSWORD)

        def jobs() -> Any:
            return session.get(f"{url}/jobs", timeout=10).json()

        def call(path: str, body: object) -> bool:
            return session.post(f"{url}{path}", json=body, timeout=10).ok

        def answers() -> bool:
            try:
                return session.get(f"{url}/health", timeout=2).ok
            except requests.RequestException:
                return False

        until(answers)
        assert requests.get(f"{url}/jobs", auth=("studio", "wr0ng"), timeout=10).status_code == 401
        described = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": CONFIG, "token": SHARE_TOKEN}
        assert call("/setup", {"project": KEY, "schema": CONFIG, "access_token": SETUP_TOKEN, "extra_params": None})
        assert call("/webhook", {"action": "TASKS_CREATED", "tasks": [{"id": 1}], "project": described})
        if accepted == TOKEN:
            until(lambda: studio.predictions and len(jobs()["failed"]) >= 2)
        else:
            until(lambda: "token" in str([row["reason"] for row in jobs()["failed"] + jobs()["queued"]]))
        until(lambda: not jobs()["running"])
        seen = {
            path: session.get(f"{url}{path}", timeout=10).content for path in ("/jobs", "/metrics", "/ready", "/health")
        }
        seen["ps"] = command_lines(pid)
    assert f"Token {TOKEN}" in studio.asked
    assert found(tmp_path, seen) == []
