"""The Redis that comes with the backend: it keeps its data, and does not outlive its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from embedded import settings_for
from loopback import closed_port
from redis import Redis

from ml_backend.errors import SettingsError, StorageError
from ml_backend.queueing.embedded_redis import redis_url, running_redis

HOLD = """
import sys, time
from pathlib import Path
from ml_backend.queueing.embedded_redis import running_redis
from ml_backend.settings import Settings
with running_redis(Settings("http://studio.invalid", "token", data_dir=Path(sys.argv[1]))):
    print("ready", flush=True)
    time.sleep(60)
"""


def answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except Exception:
        return False


def until(condition: object, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_it_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with running_redis(settings) as url, Redis.from_url(url) as redis:
        redis.set("kept", "yes")
    assert not answers(url)
    with running_redis(settings) as url, Redis.from_url(url) as redis:
        assert redis.get("kept") == b"yes"


def test_a_deep_data_folder_is_no_trouble(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a folder with a long name"] * 6)
    with running_redis(settings_for(deep)) as url:
        assert answers(url)


def test_each_data_folder_has_its_own(tmp_path: Path) -> None:
    assert redis_url(settings_for(tmp_path / "a")) != redis_url(settings_for(tmp_path / "b"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_killed_with_its_process_it_has_lost_nothing(tmp_path: Path) -> None:
    url = redis_url(settings_for(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"ready\n"
        with Redis.from_url(url) as redis:
            redis.set("kept", "yes")
        os.kill(process.pid, signal.SIGKILL)
    assert until(lambda: not answers(url))
    with running_redis(settings_for(tmp_path)), Redis.from_url(url) as redis:
        assert redis.get("kept") == b"yes"


def test_two_on_one_folder_are_refused(tmp_path: Path) -> None:
    with running_redis(settings_for(tmp_path)), pytest.raises(SettingsError, match="Another Coldblitz"):  # noqa: SIM117
        with running_redis(settings_for(tmp_path)):
            pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="DATA_DIR"), running_redis(settings_for(tmp_path / "file")):
        pass


def test_damaged_data_are_named_and_leave_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "redis" / "appendonlydir"
    folder.mkdir(parents=True)
    (tmp_path / "redis" / "appendonly.aof").write_bytes(b"this is no append-only file")
    (folder / "appendonly.aof.manifest").write_bytes(b"nor is this")
    with pytest.raises(StorageError, match=r"did not start.*redis\.log"), running_redis(settings_for(tmp_path)):
        pass
    assert not answers(redis_url(settings_for(tmp_path)))


class TestAnotherRedis:
    def test_it_is_used_and_left_running(self, redis: Redis, redis_settings, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        theirs = redis_url(redis_settings)
        with running_redis(settings_for(tmp_path, redis_url=theirs)) as url:
            assert url == theirs
        assert answers(theirs)
        assert list(tmp_path.iterdir()) == []

    def test_when_it_does_not_answer_its_password_is_not_told(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, redis_url=f"redis://user:secret@127.0.0.1:{closed_port()}/0")
        with pytest.raises(SettingsError, match="REDIS_URL") as refused, running_redis(settings):
            pass
        assert "secret" not in str(refused.value)
