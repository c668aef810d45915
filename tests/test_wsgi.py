"""The command line of Label Studio's example backends, with their variables, starts ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import requests
from loopback import closed_port

EVENT = {
    "action": "START_TRAINING",
    "project": {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": "<View/>"},
}
LOGIN = ("studio", "secret")


def started(folder: Path, variables: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    port = closed_port()
    # As the image has it.
    (folder / "_wsgi.py").write_text("from ml_backend._wsgi import app\n")
    named = {
        "LABEL_STUDIO_HOST": f"http://127.0.0.1:{closed_port()}",
        "LABEL_STUDIO_ACCESS_TOKEN": "the-token",
        "MODEL_DIR": str(folder / "models"),
        "BACKBONE_WEIGHTS": "none",
        "WORKERS": "1",
        "THREADS": "8",
    }
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "8"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--preload", "--timeout", "0", "_wsgi:app"],
            env={**os.environ, **named, **variables},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    return process, f"http://127.0.0.1:{port}"


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/jobs", timeout=2, auth=LOGIN).ok
    except requests.RequestException:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="workers that die with their parent need Linux")
def test_it_serves_with_a_worker_and_a_redis_of_its_own(tmp_path: Path) -> None:
    process, url = started(tmp_path, dict(zip(("BASIC_AUTH_USER", "BASIC_AUTH_PASS"), LOGIN, strict=True)))
    try:
        until(lambda: answers(url))
        queued = requests.post(f"{url}/webhook", json=EVENT, timeout=10, auth=LOGIN)
        assert (queued.status_code, queued.json()["status"]) == (201, "ok")

        def is_taken() -> bool:
            jobs = requests.get(f"{url}/jobs", timeout=10, auth=LOGIN).json()
            # Label Studio does not answer, so that what a worker has taken waits for its next try.
            return any(row["reason"] for rows in jobs.values() if isinstance(rows, list) for row in rows)

        until(is_taken)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    said = (tmp_path / "log").read_text()
    assert "LABEL_STUDIO_HOST is used as LABEL_STUDIO_URL, which is not set." in said
    assert "THREADS is ignored" in said
    assert (tmp_path / "models" / "redis").is_dir()
    until(lambda: not any(str(tmp_path) in command for command in commands()), 30)


def commands() -> list[str]:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def test_without_a_login_it_says_how_to_get_one(tmp_path: Path) -> None:
    process, _ = started(tmp_path, {})
    assert process.wait(60) != 0
    assert "no login is set. Set BASIC_AUTH_USER and BASIC_AUTH_PASS" in (tmp_path / "log").read_text()
