"""Label Studio goes away in the middle of each kind of job: the admin is told why nothing moves, and then all of it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Serve
from embedded import settings_for
from line import Line, line_to
from redis import Redis

from benchmarks.service.scene import Outcome, annotate, connect, outcome
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing

pytestmark = pytest.mark.e2e


class Outages:
    """Cuts the line at the second request of a kind of job, and mends it when the admin has been told."""

    def __init__(self, line: Line, backend: Backend) -> None:
        self._line = line
        self._backend = backend
        self._redis = Redis.from_url(redis_url(settings_for(backend.data)))
        self.told: dict[str, str] = {}

    @contextmanager
    def during(self, kind: str, loop: Loop) -> Iterator[None]:
        """The job is brought about in the `with` block."""
        requests: list[str] = []

        def in_the_middle() -> bool:
            requests.extend(row["id"] for row in listing(self._redis)["running"] if row["kind"] == kind)
            return len(requests) >= 2

        self._line.cut_when(in_the_middle)
        self._line.mend()
        yield
        loop.wait_for(f"outage during {kind}", lambda: self._line.is_cut)
        self.told[kind] = loop.wait_for(f"word of the outage during {kind}", lambda: self._word(kind))

    def end(self) -> None:
        self._line.mend()
        self._redis.close()

    def _word(self, kind: str) -> str | None:
        jobs = self._backend.jobs()
        rows = [row for row in jobs["queued"] + jobs["failed"] if row["kind"] == kind]
        return next((str(row["reason"]) for row in rows if row["reason"]), None)


def test_every_kind_of_job_goes_on_when_label_studio_is_back(
    studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, tmp_path: Path
) -> None:
    with line_to(studio.url) as line, serve(tmp_path, line.url) as backend:
        outages = Outages(line, backend)
        loop = connect(studio, backend, clips)
        for kind in ("suggest", "embed"):
            with outages.during(kind, loop):
                pass
        line.mend()
        loop.suggestions()
        with outages.during("train", loop):
            annotate(loop, clips)
        for kind in ("rollout", "evaluate"):
            with outages.during(kind, loop):
                pass
        line.mend()
        found = outcome(loop)
        with outages.during("predict", loop):
            new = upload_tasks(studio, loop.project, [(clips[0].path, clips[0].fps)])
        with outages.during("reconcile", loop):
            backend_is_asked(backend, loop)
        outages.end()
        Loop(studio, backend, loop.project, (*loop.tasks, *new)).timelines()
    assert found.differences(calm) == 0
    for kind, word in outages.told.items():
        assert "does not answer" in word or "cannot be reached" in word, f"{kind} says: {word}"
        assert "\n" not in word


def backend_is_asked(backend: Backend, loop: Loop) -> None:
    """Opening the Model page makes Label Studio call /setup."""
    loop.studio.get("/api/ml/", project=loop.project)
