"""How far a job is, in the title of the model in Label Studio and in `/versions`; never for long after the job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from studio import KEY, Studio

from ml_backend.errors import VideoError
from ml_backend.jobs import shown_progress
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.shown_progress import shown_in_studio
from ml_backend.projects import activity, registry
from ml_backend.projects.registry import Known

Clock = Callable[[float], None]
PLAIN = "Our model"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Seconds pass when it is called."""
    now = [1000.0]

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(shown_progress.time, "monotonic", lambda: now[0])
    return pass_by


@pytest.fixture
def work(context: JobContext, studio: Studio, redis: Redis) -> ProjectWork:
    studio.backends[0].update(title=PLAIN, extra_params={"frames_per_video": 5})
    registry.remember(redis, Known(KEY, "<View/>", {"frames_per_video": 5}))
    reconcile.within(context, KEY)
    return open_project(context, KEY)


def watch(work: ProjectWork, percent: float) -> None:
    assert work.progress.watch is not None
    work.progress.watch(percent)


def test_a_long_job_is_shown_and_then_no_more(work: ProjectWork, studio: Studio, redis: Redis, clock: Clock) -> None:
    with shown_in_studio(work, lambda: "training cold-v4") as shown:
        clock(6)
        watch(shown, 60.4)
        assert studio.backends[0]["title"] == f"{PLAIN} · training cold-v4, 60 %"
        assert activity.recall(redis, KEY) == "training cold-v4, 60 %"
    assert studio.backends[0]["title"] == PLAIN
    assert studio.backends[0]["extra_params"] == {"frames_per_video": 5}
    assert activity.recall(redis, KEY) is None


def test_a_short_one_is_not(work: ProjectWork, studio: Studio, clock: Clock) -> None:
    with shown_in_studio(work, lambda: "training cold-v4") as shown:
        clock(2)
        watch(shown, 60)
    assert studio.titles == []


def test_it_takes_few_calls_however_long_it_takes(
    work: ProjectWork, studio: Studio, redis: Redis, clock: Clock
) -> None:
    with shown_in_studio(work, lambda: "training cold-v4") as shown:
        for step in range(1, 401):
            clock(10)
            watch(shown, step / 4)
        assert activity.recall(redis, KEY) == "training cold-v4, 100 %"
    assert len(studio.titles) <= 7


def test_a_failed_job_leaves_nothing(work: ProjectWork, studio: Studio, clock: Clock) -> None:
    def fail() -> None:
        with shown_in_studio(work, lambda: "training cold-v4") as shown:
            clock(6)
            watch(shown, 60)
            raise VideoError("It is broken.", "Encode it anew.")

    with pytest.raises(VideoError):
        fail()
    assert len(studio.titles) == 2
    assert studio.backends[0]["title"] == PLAIN


def test_what_a_worker_that_died_has_left_is_mended_by_a_reconcile(
    work: ProjectWork, studio: Studio, redis: Redis, clock: Clock
) -> None:
    studio.backends[0]["title"] = f"{PLAIN} · predicting with cold-v4, 7 %"
    activity.note(redis, KEY, "predicting with cold-v4, 7 %")
    reconcile.within(work.context, KEY)
    assert studio.titles == [], "it may still be at work"
    activity.forget(redis, KEY)
    reconcile.within(work.context, KEY)
    reconcile.within(work.context, KEY)
    assert studio.titles == [PLAIN]


def test_a_label_studio_that_refuses_does_not_stop_the_job(
    work: ProjectWork, studio: Studio, redis: Redis, clock: Clock
) -> None:
    studio.view_functions["change_backend"] = lambda number: ("", 403)
    with shown_in_studio(work, lambda: "training cold-v4") as shown:
        for _ in range(50):
            clock(10)
            watch(shown, 60)
        assert activity.recall(redis, KEY) == "training cold-v4, 60 %"
