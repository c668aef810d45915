"""A lock on a file, and what stands in for it where the file system has none."""

from __future__ import annotations

import errno
import fcntl
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from embedded import redis, redis_settings
from redis import Redis

from ml_backend import processes as module
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.processes import locked

__all__ = ["redis", "redis_settings"]

HOLD = """
import sys, time
from pathlib import Path
from ml_backend.processes import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def free(path: Path) -> bool:
    try:
        with locked(path, wait=False):
            return True
    except BlockingIOError:
        return False


def test_it_is_free_at_once_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not free(path)
        holder.kill()
    assert free(path)


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def without_locks(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that says what a network file system without locks says; the rest of the machine has them."""
    folder = tmp_path / "network"
    flock = fcntl.flock

    def refused(file: Any, how: int) -> None:
        if Path(file.name).is_relative_to(folder):
            raise OSError(request.param, "no locks")
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", refused)
    module._tell.cache_clear()
    return folder


class TestWithoutLocksInTheFileSystem:
    def test_the_processes_of_a_machine_wait_for_each_other_and_the_admin_is_told_once(
        self, without_locks: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING), locked(without_locks / ".lock"):
            assert not free(without_locks / ".lock")
            assert free(without_locks / ".other"), "each has a lock of its own"
        assert free(without_locks / ".lock")
        (told,) = caplog.messages
        assert "has no locks" in told
        assert str(without_locks) in told

    def test_a_project_is_still_trained(self, redis: Redis, without_locks: Path) -> None:
        with project_lock_if_free(redis, without_locks, "7.1", "train", print) as ours:
            assert ours
            with project_lock_if_free(redis, without_locks, "7.1", "train", print) as too:
                assert not too

    def test_any_other_error_is_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> None:
            raise OSError(errno.EIO, "the disk is broken")

        monkeypatch.setattr(fcntl, "flock", broken)
        with pytest.raises(OSError, match="the disk is broken"):
            free(tmp_path / ".lock")
