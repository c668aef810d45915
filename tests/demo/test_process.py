"""Servers that the demo starts are stopped, all of them, and say why when they do not start."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_backend.demo.process import DidNotStart, free_port, start, stop_all, wait_until


def _python(program: str, folder: Path) -> tuple[str, list[str], Path, dict[str, str], Path]:
    return "A program", [sys.executable, "-c", program], folder / "log", dict(os.environ), folder


def test_what_ends_at_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = start(*_python("print('no such folder'); raise SystemExit(3)", tmp_path))
    with pytest.raises(DidNotStart, match=r"(?s)ended with status 3.*no such folder"):
        wait_until(child, lambda: False, 20)


def test_what_does_not_answer_in_time_is_stopped(tmp_path: Path) -> None:
    child = start(*_python("import time; time.sleep(60)", tmp_path))
    with pytest.raises(DidNotStart, match="did not answer within"):
        wait_until(child, lambda: False, 0.3)
    assert not child.running


_DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"])
print("deaf", flush=True)
time.sleep(60)
"""


def test_what_ignores_a_request_to_stop_is_ended_with_its_children(tmp_path: Path) -> None:
    program = tmp_path / "deaf.py"
    program.write_text(_DEAF)
    child = start("A program", [sys.executable, program], tmp_path / "log", os.environ, tmp_path)
    wait_until(child, lambda: child.last_lines().count("deaf") == 2, 20)
    assert child.stop(seconds=0.2) == -signal.SIGKILL
    assert _ends(lambda: not _running_members(child.process.pid))


def test_all_are_asked_at_once_and_those_that_do_not_end_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests' servers, Label Studio above all, are to go on.
    monkeypatch.setattr("ml_backend.demo.process._started", [])
    deaf = tmp_path / "deaf.py"
    deaf.write_text(_DEAF)
    children = [
        start("Deaf", [sys.executable, deaf, "child"], tmp_path / f"{n}", os.environ, tmp_path) for n in range(3)
    ]
    polite = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(7)); print('polite', flush=True); time.sleep(60)"
    children.append(start("Polite", [sys.executable, "-c", polite], tmp_path / "3", os.environ, tmp_path))
    for child in children:
        wait_until(child, lambda child=child: child.last_lines() != "", 20)
    begun = time.monotonic()
    stop_all(3)
    assert [child.process.returncode for child in children] == [-signal.SIGKILL] * 3 + [7]
    assert time.monotonic() - begun < 6, "not one after the other"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's notice of a parent's death is Linux's")
def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, time; from pathlib import Path; from ml_backend.demo.process import start; "
        f"child = start('x', [sys.executable, '-c', 'import time; time.sleep(60)'], Path({str(tmp_path / 'log')!r}), "
        f"os.environ, Path({str(tmp_path)!r})); print(child.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        grandchild = int(parent.stdout.readline())
        parent.kill()
    assert _ends(lambda: not _runs(grandchild))


def test_a_port_that_is_taken_is_not_given() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def _ends(ended: Callable[[], bool]) -> bool:
    limit = time.monotonic() + 10
    while not ended() and time.monotonic() < limit:
        time.sleep(0.05)
    return ended()


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _running_members(group: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
            if state != "Z" and int(of) == group:
                found.append(int(stat.parent.name))
    return found
