"""`coldblitz serve` as it runs: it starts without Label Studio, mends what is killed, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from embedded import settings_for
from loopback import closed_port
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from ml_backend.errors import SettingsError
from ml_backend.queueing.embedded_redis import redis_url, running_redis
from ml_backend.queueing.queue import listing
from ml_backend.serve import _watch, check_login

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="it looks for processes in /proc")

EVENT = {
    "action": "START_TRAINING",
    "project": {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": "<View/>"},
}


class Served:
    def __init__(self, data_dir: Path) -> None:
        self.port = closed_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ml_backend.cli", "serve"],
            env={
                **os.environ,
                "LABEL_STUDIO_URL": f"http://127.0.0.1:{closed_port()}",
                "LABEL_STUDIO_API_KEY": "the-token",
                "DATA_DIR": str(data_dir),
                "BACKBONE_WEIGHTS": "none",
                "PORT": str(self.port),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def children(self, *words: str) -> list[int]:
        """The processes that `serve` has started whose command holds all `words`."""
        with suppress(OSError):
            pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            return [int(pid) for pid in pids if all(word in command(int(pid)) for word in words)]
        return []

    def answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/jobs", timeout=2).ok
        return False

    def waiting(self) -> list[dict[str, object]]:
        """The jobs that wait for their next try; none when nobody answers just now."""
        with suppress(requests.RequestException, KeyError):
            found: list[dict[str, object]] = requests.get(f"{self.url}/jobs", timeout=5).json()["queued"]
            return found
        return []

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def below(pid: int) -> Iterator[int]:
    """The processes that `pid` has started, and those that they have."""
    with suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield from (child, *below(child))


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("data"))
    try:
        until(served.answers)
        yield served
    finally:
        served.process.kill()
        served.process.wait()


def test_in_a_new_data_folder_the_backbone_is_converted_before_a_job_needs_it(served: Served) -> None:
    until(lambda: list(served.data_dir.glob("weights/mobilenet_v2-*.xml")), 240)
    until(lambda: len(served.children()) == 3)


def test_an_event_is_tried_although_label_studio_is_down_and_says_so(served: Served) -> None:
    assert requests.post(f"{served.url}/webhook", json=EVENT, timeout=5).ok
    until(lambda: ["does not answer" in str(row["reason"]) for row in served.waiting()] == [True, True])


@pytest.mark.parametrize("words", [("gunicorn",), ("run-worker",), ("redis-server",)], ids=" ".join)
def test_what_is_killed_is_started_again_and_nothing_is_lost(served: Served, words: tuple[str, ...]) -> None:
    (killed,) = served.children(*words)
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in served.children(*words) and len(served.children(*words)) == 1)
    until(lambda: {str(row["kind"]) for row in served.waiting()} == {"train", "reconcile"})


def test_what_comes_just_after_a_worker_was_killed_is_not_lost(served: Served) -> None:
    (killed,) = served.children("run-worker")
    os.kill(killed, signal.SIGKILL)
    other = {**EVENT, "project": {"id": 8, "created_at": "2026-01-31T12:00:00Z"}}
    assert requests.post(f"{served.url}/webhook", json=other, timeout=5).ok
    until(lambda: sum(str(row["project"]).startswith("8.") and bool(row["reason"]) for row in served.waiting()) == 2)


def test_a_redis_that_comes_back_empty_between_two_looks_is_told_of_its_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_backend.serve._RESTART_AFTER", 3.0)
    settings, stop = settings_for(tmp_path), threading.Event()
    with ExitStack() as first, ExitStack() as second:
        redis = Redis.from_url(first.enter_context(running_redis(settings)))
        watch = threading.Thread(target=_watch, args=(redis, replace(settings, redis_url="elsewhere"), [], stop))
        watch.start()
        try:
            until(lambda: bool(listing(redis)["queued"]))
            first.close()
            shutil.rmtree(tmp_path / "redis")
            second.enter_context(running_redis(settings))
            assert not listing(redis)["queued"]
            until(lambda: [row["kind"] for row in listing(redis)["queued"]] == ["discover"])
        finally:
            stop.set()
            watch.join()
            redis.close()


def test_workers_give_way_to_the_web_process(served: Served) -> None:
    (web,), (worker,) = served.children("gunicorn"), served.children("run-worker")
    # Where all is run at the lowest priority already, or priorities are not to be had, nobody can give way any further.
    nicer = [sys.executable, "-c", "import os; os.nice(1); print(os.getpriority(os.PRIO_PROCESS, 0))"]
    lower = int(subprocess.run(nicer, capture_output=True, check=True).stdout)
    assert os.getpriority(os.PRIO_PROCESS, web) <= lower
    until(lambda: os.getpriority(os.PRIO_PROCESS, worker) >= lower)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="only Linux shares cores out between sessions")
def test_workers_sessions_give_way_too(served: Served) -> None:
    (web,), (worker,) = served.children("gunicorn"), served.children("run-worker")
    until(lambda: session_niceness(worker) > session_niceness(web))


def session_niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])


def test_a_second_one_on_its_port_is_told_so(served: Served, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", "serve"],
        env={
            **os.environ,
            "LABEL_STUDIO_URL": "http://studio.invalid",
            "LABEL_STUDIO_API_KEY": "x",
            "DATA_DIR": str(tmp_path),
            "PORT": str(served.port),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert "set another PORT" in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", ["serve", "web"])
def test_it_does_not_listen_for_other_machines_without_a_login(command: str, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", command],
        env={
            **os.environ,
            "LABEL_STUDIO_URL": "http://studio.invalid",
            "LABEL_STUDIO_API_KEY": "x",
            "DATA_DIR": str(tmp_path),
            "HOST": "0.0.0.0",
            "PORT": str(closed_port()),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert "BASIC_AUTH_PASS" in told.stderr.splitlines()[-1]
    assert "ALLOW_NO_LOGIN" in told.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("host", "more", "allowed"),
    [
        ("127.0.0.1", {}, True),
        ("127.0.0.2", {}, True),
        ("::1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),
        ("::", {}, False),
        ("192.168.0.5", {}, False),
        ("coldblitz.example", {}, False),
        ("0.0.0.0", {"allow_no_login": True}, True),
        ("0.0.0.0", {"basic_auth_user": "studio", "basic_auth_pass": "x"}, True),
    ],
)
def test_a_login_is_needed_where_others_can_call(
    tmp_path: Path, host: str, more: dict[str, object], allowed: bool
) -> None:
    with nullcontext() if allowed else pytest.raises(SettingsError, match="ALLOW_NO_LOGIN"):
        check_login(settings_for(tmp_path, host=host, **more))


def test_told_to_stop_it_leaves_no_process_behind(served: Served) -> None:
    pids = list(below(served.process.pid))
    assert len(pids) >= 4  # the web with a process of its own, a worker, and Redis
    assert served.stop() == 0
    until(lambda: not any(command(pid) for pid in pids), 10)
    url = redis_url(settings_for(served.data_dir))
    with Redis.from_url(url) as redis, pytest.raises(RedisConnectionError):
        redis.ping()
