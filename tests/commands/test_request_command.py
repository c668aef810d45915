"""`coldblitz suggest`, `train` and `predict` ask for jobs that would come by themselves, and say what became of them."""

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
from ml_backend.commands.jobs import ask
from ml_backend.errors import SettingsError
from ml_backend.projects import reconcile_state, registry
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing, queue_of
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]
P = "1.1769860800"


@pytest.fixture(autouse=True)
def connected(redis: Redis) -> None:
    registry.remember(redis, Known(P, "<View/>"))


def queued(redis: Redis) -> list[tuple[str, int | None, str | None]]:
    return sorted((row["kind"], row["task"], row["version"]) for row in listing(redis)["queued"])


def test_train(redis: Redis, redis_settings: Settings) -> None:
    assert ask(Here(redis_settings), "train", "1", (), 0) == [{"job": "train", "state": "queued", "text": ""}]
    assert queued(redis) == [("train", None, None)]


def test_suggestions_for_tasks(redis: Redis, redis_settings: Settings) -> None:
    ask(Here(redis_settings), "suggest", "1", [4, 5], 0)
    assert queued(redis) == [("suggest", 4, None), ("suggest", 5, None)]


def test_suggestions_for_all_that_lack_any_are_found_by_comparing_everything(
    redis: Redis, redis_settings: Settings
) -> None:
    reconcile_state.put(redis, P, "tasks", "nothing has changed")
    ask(Here(redis_settings), "suggest", "1", (), 0)
    assert queued(redis) == [("reconcile", None, None)]
    assert reconcile_state.get(redis, P, "tasks") is None


def test_predictions_need_a_model(redis: Redis, redis_settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"no model yet\. Label some"):
        ask(Here(redis_settings), "predict", "1", (), 0)
    registry.activate(redis, P, "cold-v3")
    ask(Here(redis_settings), "predict", "1", (), 0)
    ask(Here(redis_settings), "predict", "1", [4], 0)
    assert queued(redis) == [("predict", 4, None), ("rollout", None, "cold-v3")]


def test_a_project_that_nobody_connected_is_named(redis_settings: Settings) -> None:
    with pytest.raises(SettingsError, match="Project 3 is not known"):
        ask(Here(redis_settings), "train", "3", (), 0)


def test_without_a_running_backend_it_says_so(tmp_path: Path) -> None:
    settings = Settings("http://studio", "token", redis_url=f"redis://127.0.0.1:{closed_port()}", data_dir=tmp_path)
    with pytest.raises(SettingsError, match="No Coldblitz runs"):
        ask(Here(settings), "train", "1", (), 0)


@pytest.mark.parametrize(("state", "code"), [("finished", 0), ("failed", 1)])
def test_the_command_prints_what_became_of_it(
    redis: Redis, redis_settings: Settings, tmp_path: Path, state: str, code: int
) -> None:
    def work() -> None:
        _, job_id = redis.blpop([queue_of(redis, "train").key], timeout=20)
        job = Job.fetch(job_id.decode(), connection=redis, serializer=JSONSerializer)
        job.meta.update(text="trained cold-v1", reason="too few labels")
        job.save_meta()  # type: ignore[no-untyped-call]
        job.set_status(state)

    worker = threading.Thread(target=work)
    worker.start()
    environment = {
        "LABEL_STUDIO_URL": "http://studio",
        "LABEL_STUDIO_API_KEY": "token",
        "REDIS_URL": redis_url(redis_settings),
        "DATA_DIR": str(tmp_path),
    }
    done = CliRunner().invoke(app, ["train", "1", "--json"], env=environment)
    worker.join()
    [row] = json.loads(done.stdout)
    assert (done.exit_code, row["state"]) == (code, state)
    assert row["text"] == ("trained cold-v1" if state == "finished" else "too few labels")
