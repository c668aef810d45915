"""`coldblitz reconcile` against a running Redis, and a worker of ours where one is needed."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from embedded import redis, redis_settings
from loopback import closed_port
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.commands.backend import Here
from ml_backend.commands.jobs import reconcile
from ml_backend.errors import SettingsError
from ml_backend.projects import reconcile_state, registry
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing, queue_of
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]
ONE, TWO = "1.1769860800", "2.1769860900"


@pytest.fixture(autouse=True)
def connected(redis: Redis) -> None:
    for key in (ONE, TWO):
        registry.remember(redis, Known(key, "<View/>"))


def work(redis: Redis, text: str) -> threading.Thread:
    """A worker that does the next reconcile, and says this of it."""

    def run() -> None:
        _, job_id = redis.blpop([queue_of(redis, "reconcile").key], timeout=20)
        job = Job.fetch(job_id.decode(), connection=redis, serializer=JSONSerializer)
        job.meta["text"] = text
        job.save_meta()  # type: ignore[no-untyped-call]
        job.set_status("finished")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_one_project_by_its_number_and_what_was_missing(redis: Redis, redis_settings: Settings) -> None:
    worker = work(redis, "2 tasks to suggest")
    rows = reconcile(Here(redis_settings), "2", thorough=False, seconds=20)
    worker.join()
    assert rows == [{"project": TWO, "state": "finished", "text": "2 tasks to suggest"}]


def test_all_projects_and_a_look_for_lost_ones(redis: Redis, redis_settings: Settings) -> None:
    rows = reconcile(Here(redis_settings), None, thorough=False, seconds=0)
    assert [row["project"] for row in rows] == [ONE, TWO, redis_settings.label_studio_url]
    assert sorted(row["kind"] for row in listing(redis)["queued"]) == ["discover", "reconcile", "reconcile"]


def test_thorough_forgets_what_was_seen(redis: Redis, redis_settings: Settings) -> None:
    for key in (ONE, TWO):
        reconcile_state.put(redis, key, "trained", "all of it")
    reconcile(Here(redis_settings), ONE, thorough=True, seconds=0)
    assert (reconcile_state.get(redis, ONE, "trained"), reconcile_state.get(redis, TWO, "trained")) == (
        None,
        "all of it",
    )


def test_a_project_that_nobody_connected_is_named(redis_settings: Settings) -> None:
    with pytest.raises(SettingsError, match="Project 3"):
        reconcile(Here(redis_settings), "3", thorough=False, seconds=0)


def test_without_a_running_backend_it_says_so(tmp_path: Path) -> None:
    settings = Settings("http://studio", "token", redis_url=f"redis://127.0.0.1:{closed_port()}", data_dir=tmp_path)
    with pytest.raises(SettingsError, match="No Coldblitz runs"):
        reconcile(Here(settings), None, thorough=False, seconds=0)


def test_the_command_prints_json_and_fails_while_something_waits(redis: Redis, redis_settings: Settings) -> None:
    environment = {
        "LABEL_STUDIO_URL": redis_settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": "token",
        "REDIS_URL": redis_url(redis_settings),
    }
    done = CliRunner().invoke(app, ["reconcile", "1", "--seconds", "0", "--json"], env=environment)
    assert json.loads(done.stdout) == [{"project": ONE, "state": "queued", "text": ""}]
    assert done.exit_code == 1
    assert "--thorough" in CliRunner().invoke(app, ["reconcile", "--help"]).stdout
