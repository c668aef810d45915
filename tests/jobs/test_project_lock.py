"""One training and one roll-out of a project at a time, over all workers, on whatever machines."""

from __future__ import annotations

import multiprocessing
import subprocess
import threading
import time
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.jobs.project_lock import project_lock, project_lock_if_free
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import worker_name
from ml_backend.settings import Settings

P = "7.1769860800"


def hold(data_dir: Path, address: str) -> None:
    redis = Redis.from_url(address)
    with project_lock(redis, data_dir, P, "train"):
        (data_dir / "held").touch()
        time.sleep(60)


class TestTheProjectLock:
    def test_one_at_a_time(self, redis: Redis, tmp_path: Path) -> None:
        inside: list[int] = []
        together: list[int] = []

        def enter() -> None:
            with project_lock(redis, tmp_path, P, "train"):
                inside.append(1)
                together.append(len(inside))
                time.sleep(0.01)
                inside.pop()

        threads = [threading.Thread(target=enter) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert together == [1] * 8

    def test_other_projects_and_purposes_do_not_wait(self, redis: Redis, tmp_path: Path) -> None:
        with (
            project_lock(redis, tmp_path, P, "train"),
            project_lock(redis, tmp_path, P, "rollout"),
            project_lock(redis, tmp_path, "8.1", "train"),
        ):
            held = {key.decode() for key in redis.scan_iter("coldblitz:lock:*")}
        assert held == {f"coldblitz:lock:{each}" for each in (f"train:{P}", f"rollout:{P}", "train:8.1")}

    def test_it_is_free_at_once_when_its_holder_is_killed(
        self, redis: Redis, redis_settings: Settings, tmp_path: Path
    ) -> None:
        holder = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path, redis_url(redis_settings)))
        holder.start()
        while not (tmp_path / "held").exists():
            time.sleep(0.01)
        holder.kill()
        holder.join()
        begun = time.monotonic()
        with project_lock(redis, tmp_path, P, "train"):
            pass
        assert time.monotonic() - begun < 5, "not only when what it held in Redis expires"
        holder.close()

    def test_machines_that_share_no_files_do_not_hold_it_together(self, redis: Redis, tmp_path: Path) -> None:
        order: list[str] = []

        def other() -> None:
            with project_lock(redis, tmp_path / "there", P, "train"):
                order.append("there")

        with project_lock(redis, tmp_path / "here", P, "train"):
            thread = threading.Thread(target=other)
            thread.start()
            time.sleep(0.5)
            order.append("here")
        thread.join()
        assert order == ["here", "there"]

    def test_one_that_a_machine_took_with_it_is_free_when_it_is_not_renewed(self, redis: Redis, tmp_path: Path) -> None:
        redis.set(f"coldblitz:lock:train:{P}", "another-machine.17.abc", px=600)
        with project_lock(redis, tmp_path, P, "train"):
            assert not redis.get(f"coldblitz:lock:train:{P}").startswith(b"another")  # type: ignore[union-attr]
        assert redis.get(f"coldblitz:lock:train:{P}") is None

    def test_while_it_is_held_it_is_renewed(
        self, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml_backend.jobs.project_lock._RENEW_EVERY", 0.05)
        with project_lock(redis, tmp_path, P, "train"):
            redis.pexpire(f"coldblitz:lock:train:{P}", 500)
            time.sleep(1)
            assert redis.get(f"coldblitz:lock:train:{P}") is not None

    def test_a_holder_of_this_machine_that_is_dead_holds_nobody_up(self, redis: Redis, tmp_path: Path) -> None:
        process = subprocess.Popen(["true"])
        process.wait()
        dead = worker_name(process.pid, "abc")
        redis.set(f"coldblitz:lock:train:{P}", dead)
        begun = time.monotonic()
        with project_lock(redis, tmp_path, P, "train"):
            assert redis.get(f"coldblitz:lock:train:{P}") not in (None, dead.encode())
        assert time.monotonic() - begun < 5, "it did not wait until what the dead one held expires"


class TestTheProjectLockIfFree:
    """Nobody waits for a training of another project: a worker that finds one of this project at work goes on."""

    def test_it_is_held_when_it_is_free_and_nothing_follows(self, redis: Redis, tmp_path: Path) -> None:
        called: list[str] = []
        with project_lock_if_free(redis, tmp_path, P, "train", lambda: called.append("again")) as ours:
            assert ours
            with project_lock_if_free(redis, tmp_path, P, "rollout", print) as other:
                assert other
            with project_lock_if_free(redis, tmp_path, "8.1", "train", print) as other:
                assert other
        assert called == []

    def test_however_many_find_it_held_its_holder_asks_once_when_it_has_let_go(
        self, redis: Redis, tmp_path: Path
    ) -> None:
        called: list[str] = []

        def again() -> None:
            with project_lock(redis, tmp_path, P, "train"):
                called.append("again")

        with project_lock_if_free(redis, tmp_path, P, "train", again):
            for _ in range(3):
                with project_lock_if_free(redis, tmp_path, P, "train", again) as ours:
                    assert not ours
            assert called == []
        assert called == ["again"]

    def test_its_holder_asks_though_it_failed(self, redis: Redis, tmp_path: Path) -> None:
        called: list[str] = []

        def fail() -> None:
            with project_lock_if_free(redis, tmp_path, P, "train", lambda: called.append("again")):
                with project_lock_if_free(redis, tmp_path, P, "train", print):
                    pass
                raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            fail()
        assert called == ["again"]

    def test_who_asked_before_it_began_is_served_by_it(self, redis: Redis, tmp_path: Path) -> None:
        called: list[str] = []
        with (
            project_lock(redis, tmp_path, P, "train"),
            project_lock_if_free(redis, tmp_path, P, "train", print) as ours,
        ):
            assert not ours
        with project_lock_if_free(redis, tmp_path, P, "train", lambda: called.append("again")) as ours:
            assert ours
        assert called == []

    def test_one_at_work_on_another_machine_holds_it(self, redis: Redis, tmp_path: Path, fast: None) -> None:
        with (
            project_lock(redis, tmp_path / "there", P, "train"),
            project_lock_if_free(redis, tmp_path / "here", P, "train", print) as ours,
        ):
            assert not ours

    def test_one_that_is_gone_with_its_machine_does_not(self, redis: Redis, tmp_path: Path, fast: None) -> None:
        redis.set(f"coldblitz:lock:train:{P}", "another-machine.17.abc", px=1500)
        with project_lock_if_free(redis, tmp_path, P, "train", print) as ours:
            assert ours


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_backend.jobs.project_lock._RENEW_EVERY", 0.5)
