"""Child processes end with us, whichever way we end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_backend.child import start_child, stop_child

PARENT = """
import sys, time
from ml_backend.child import start_child
print(start_child(["sleep", "60"]).pid, flush=True)
time.sleep(60)
"""


def lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_one_whose_parent_is_killed_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        assert lives(child)
        parent.kill()
    deadline = time.monotonic() + 10
    while lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_gets_our_environment_and_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "kept")
    out = tmp_path / "out"
    child = start_child(["sh", "-c", f'echo "$OURS $MORE" > {out}'], {"MORE": "given"})
    assert child.wait(10) == 0
    assert out.read_text() == "kept given\n"


def test_ctrl_c_in_our_terminal_does_not_reach_it() -> None:
    child = start_child(["sleep", "60"])
    assert os.getpgid(child.pid) != os.getpgid(0)
    stop_child(child, 10)


class TestStopping:
    def test_it_is_asked_first(self) -> None:
        child = start_child(["sleep", "60"])
        stop_child(child, 10)
        assert child.returncode == -signal.SIGTERM

    def test_one_that_does_not_listen_is_ended(self, tmp_path: Path) -> None:
        ready = tmp_path / "ready"
        child = start_child(["sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done"])
        while not ready.exists():
            time.sleep(0.01)
        stop_child(child, 0.2)
        assert child.returncode == -signal.SIGKILL

    def test_one_that_has_ended_is_no_error(self) -> None:
        child = start_child(["true"])
        child.wait(10)
        stop_child(child, 1)
        assert child.returncode == 0
