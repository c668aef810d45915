"""Child processes end with us, whichever way we end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_backend.processes import start_child, stop_child

PARENT = """
import sys, time
from ml_backend.processes import start_child
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
    deadline = time.monotonic() + 60
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


NICER = """
import os, sys
from pathlib import Path
from ml_backend.processes import give_way
give_way(7)
Path(sys.argv[1]).write_text(f"{os.getpriority(os.PRIO_PROCESS, 0)} {Path('/proc/self/autogroup').read_text()}")
"""


SHARED_OUT = """
from pathlib import Path
Path("/proc/self/autogroup").write_text("3")
assert Path("/proc/self/autogroup").read_text().split()[-1] == "3"
"""


def niceness(more: int) -> int:
    return min(os.getpriority(os.PRIO_PROCESS, 0) + more, 19)


@pytest.mark.skipif(
    subprocess.run(
        [sys.executable, "-c", SHARED_OUT], start_new_session=True, check=False, capture_output=True
    ).returncode,
    reason="this system does not share its cores out between sessions, or lets nobody change it",
)
class TestGivingWay:
    """The kernel says how it treats a session: niceness alone counts for nothing between sessions."""

    def test_several_that_start_at_once_lower_their_sessions_too(self, tmp_path: Path) -> None:
        children = [start_child([sys.executable, "-c", NICER, str(tmp_path / str(n))]) for n in range(3)]
        for n, child in enumerate(children):
            assert child.wait(20) == 0
            own, *_, of_session = (tmp_path / str(n)).read_text().split()
            assert int(own) == niceness(7)
            assert of_session == "7"

    def test_one_within_our_session_lowers_itself_alone(self, tmp_path: Path) -> None:
        before = Path("/proc/self/autogroup").read_text()
        subprocess.run([sys.executable, "-c", NICER, str(tmp_path / "told")], check=True)
        own, session = (tmp_path / "told").read_text().split(" ", 1)
        assert int(own) == niceness(7)
        assert session == before == Path("/proc/self/autogroup").read_text()
