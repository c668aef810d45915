"""However many tasks want something, a bounded number of jobs waits, and no task is left out."""

from __future__ import annotations

from typing import Any

import pytest
from known_project import queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs import backlog
from ml_backend.jobs.backlog import ask_for_more
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import counts, enqueue, queue_of, slots

pytestmark = pytest.mark.usefixtures("context", "known")


class TestAHundredThousandTasks:
    @pytest.fixture(autouse=True)
    def narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backlog, "WINDOW", 10)
        monkeypatch.setattr(backlog, "LOW", 3)

    def test_however_many_there_are_a_bounded_number_of_jobs_waits(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        for task in range(1, 36):
            studio.add_task(task)
        assert reconcile.within(context, KEY) == "10 tasks to suggest, more when these are done"
        for _ in range(3):
            reconcile.within(context, KEY)
        assert counts(redis)["queued"] == 10

    def test_when_few_are_left_the_next_ones_are_queued_until_all_are_done(
        self, context: JobContext, studio: Studio, redis: Redis, work: Any
    ) -> None:
        for task in range(1, 36):
            studio.add_task(task)
        reconcile.within(context, KEY)
        most = 0
        for _ in range(60):
            work(1)
            most = max(most, counts(redis)["queued"])
            if b"reconcile " + KEY.encode() in redis.lrange("ran", -1, -1):
                reconcile.within(context, KEY)
        ran = [note.decode() for note in redis.lrange("ran", 0, -1)]
        assert [note for note in ran if note.startswith("suggest")] == [f"suggest {KEY} {n}" for n in range(1, 36)]
        assert most <= 11

    def test_a_small_project_has_its_share_of_the_line_though_a_large_one_has_filled_it(
        self, context: JobContext, studio: Studio, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backlog, "WINDOW", 8)
        for task in range(100):
            enqueue(redis, "suggest", "9.1769860800", task)
        for task in range(1, 6):
            studio.add_task(task)
        assert reconcile.within(context, KEY) == "2 tasks to suggest, more when these are done"
        queue = queue_of(redis, "suggest")
        assert [queue.get_job_ids().index(slots("suggest", KEY, task)[0]) for task in (1, 2)] == [1, 3]
        queue.remove(slots("suggest", KEY, 1)[0])
        assert not backlog.is_low(redis, "suggest", KEY)
        queue.remove(slots("suggest", KEY, 2)[0])
        assert backlog.is_low(redis, "suggest", KEY), "the next ones are queued though many of the other project wait"

    def test_those_that_failed_for_good_do_not_hold_up_the_others(
        self, context: JobContext, studio: Studio, redis: Redis, work: Any
    ) -> None:
        for task in range(1, 15):
            studio.add_task(task)
        redis.rpush(f"do:{KEY}", *["fail for good"] * 10)
        reconcile.within(context, KEY)
        work()
        reconcile.within(context, KEY)
        assert queued(redis) == ["suggest 11", "suggest 12", "suggest 13", "suggest 14"]

    def test_when_a_model_becomes_active_all_tasks_get_its_predictions(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        for task in range(1, 16):
            studio.add_task(task)
        reconcile.within(context, KEY)
        registry.activate(redis, KEY, "cold-v1")
        reconcile.within(context, KEY)
        assert queued(redis)[:2] == ["predict 1", "predict 10"]

    def test_other_kinds_of_jobs_ask_for_nothing(self, redis: Redis) -> None:
        reconcile_state.put(redis, KEY, "cursor", ["keyframes-v1", 10])
        ask_for_more(redis, "train", KEY)
        assert queued(redis) == []
        ask_for_more(redis, "suggest", KEY)
        assert queued(redis) == ["reconcile"]
