"""What a worker process sets up before it takes jobs."""

from __future__ import annotations

import io
import logging
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import jwt
import pytest
from flask import request
from redis import Redis
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from studio import KEY, Studio

from ml_backend import logs
from ml_backend.errors import SettingsError
from ml_backend.jobs import worker
from ml_backend.jobs.context import JobContext
from ml_backend.projects import registry
from ml_backend.queueing.kinds import KINDS, Kind
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings


def test_a_connection_that_waits_for_jobs_does_not_give_up_before_one_comes(
    redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def note(self: SimpleWorker, **options: object) -> None:
        # The connection that asked for abandoned jobs a moment ago, and that now waits for new ones.
        connection = self.connection.connection_pool.get_connection()
        waits.append(connection.socket_timeout - self.dequeue_timeout)
        self.connection.connection_pool.release(connection)

    made = JobContext(redis_settings)
    monkeypatch.setattr(worker, "worker_context", lambda: made)
    monkeypatch.setattr(SimpleWorker, "work", note)
    registry.remember(redis, registry.Known("7.1769860800", "<View/>"))
    worker.work()
    assert waits
    assert waits[0] > 0
    made.redis.close()


def token(kind: str, seconds: float) -> str:
    claims = {"token_type": kind, "exp": int(time.time() + seconds), "jti": kind}
    return jwt.encode(claims, "a key that only Label Studio knows, long enough", "HS256")


@pytest.fixture
def until_idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker does what waits, and ends."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    to_work = SimpleWorker.work
    monkeypatch.setattr(SimpleWorker, "work", lambda self, **options: to_work(self, burst=True, **options))
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log says."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.set_up({}, stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.filterwarnings("ignore:The `parse_obj` method:DeprecationWarning")  # the SDK's own
@pytest.mark.parametrize("exchanged", ["refused", "half"])
def test_what_a_careless_label_studio_repeats_of_a_token_is_in_no_record_of_a_failure(
    context: JobContext,
    studio: Studio,
    redis: Redis,
    until_idle: None,
    written: io.StringIO,
    exchanged: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, access = token("refresh", 3600), token("access", 300)
    answers = {
        "refused": lambda: ({"detail": f"Token {request.get_json()['refresh']} is invalid"}, 401),
        # The SDK's own error repeats all of an answer that lacks something.
        "half": lambda: {"acces": access, "refresh": request.get_json()["refresh"]},
    }
    studio.add_url_rule("/api/token/refresh/", "refresh", answers[exchanged], methods=["POST"])
    made = JobContext(replace(context.settings, label_studio_api_key=mine))
    for module in ("job", "worker"):
        monkeypatch.setattr(f"ml_backend.jobs.{module}.worker_context", lambda: made)
    monkeypatch.setitem(KINDS, "reconcile", Kind("ml_backend.jobs.reconciling.reconcile.reconcile", 60, retried=False))
    job_id = queue(redis, "reconcile", KEY)
    worker.work()
    failed = Job.fetch(str(job_id), connection=redis, serializer=JSONSerializer)
    result = failed.latest_result()
    assert result is not None
    traceback, reason = str(result.exc_string), failed.meta["reason"]
    assert "Label Studio" in reason
    assert "reconcile" in traceback
    assert "WARNING" in written.getvalue()
    for said in (traceback, reason, written.getvalue()):
        assert not [secret for secret in (mine, access) if secret in said]
    made.redis.close()


class TestWhatDoesNotComeToItsFunction:
    """Half of an update is installed, say: a module that a job needs cannot be imported."""

    @pytest.fixture(autouse=True)
    def made(self, context: JobContext, until_idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("job", "worker"):
            monkeypatch.setattr(f"ml_backend.jobs.{module}.worker_context", lambda: context)

    def failed(self, redis: Redis, job_id: str | None) -> Job:
        return Job.fetch(str(job_id), connection=redis, serializer=JSONSerializer)

    def test_says_why_and_is_not_tried_for_ever(
        self, redis: Redis, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(KINDS, "examine", Kind("not_installed.job.examine", 60, retried=False))
        job_id = queue(redis, "examine", KEY)
        worker.work()
        (row,) = listing(redis)["failed"]
        assert row["id"] == job_id
        assert str(row["reason"]).startswith(
            "It could not be started (ModuleNotFoundError: No module named 'not_installed'"
        )
        assert queue(redis, "examine", KEY) is None
        assert "ModuleNotFoundError" in written.getvalue()

    def test_is_retried_like_any_other_that_may_pass(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(KINDS, "train", Kind("not_installed.job.train", 60))
        job_id = queue(redis, "train", KEY)
        stale = self.failed(redis, job_id)
        stale.meta["reason"] = "What an earlier try failed of."
        stale.save_meta()
        worker.work()
        tried = self.failed(redis, job_id)
        assert tried.meta["reason"].startswith("It could not be started")
        assert tried.get_status() in ("failed", "scheduled")

    def test_of_a_setting_says_which(self, context: JobContext, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(KINDS, "examine", Kind("ml_backend.doctor.job.examine", 60, retried=False))

        def refused() -> JobContext:
            raise SettingsError("DEVICE is not known.", "Write cpu.")

        job_id = queue(redis, "examine", KEY)
        monkeypatch.setattr("ml_backend.jobs.job.worker_context", refused)
        worker.work()
        assert self.failed(redis, job_id).meta["reason"] == "DEVICE is not known. Write cpu."
