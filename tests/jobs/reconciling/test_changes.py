"""What a reconcile notices of Label Studio, and how little it asks for."""

from __future__ import annotations

from typing import Any

import pytest
from known_project import annotate, do_all, project, queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry
from ml_backend.projects.registry import Known

pytestmark = pytest.mark.usefixtures("context", "known")
CALM = "nothing has changed"


class TestNothingHasChanged:
    def test_then_no_task_is_listed_and_nothing_is_queued(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        for task in range(1, 6):
            studio.add_task(task, annotations=task % 2)
        reconcile.within(context, KEY)
        do_all(redis, studio)
        reconcile.within(context, KEY)  # notices that its own jobs are done
        studio.listed.clear()
        assert reconcile.within(context, KEY) == CALM
        assert queued(redis) == []
        assert studio.listed == ["-tasks:updated_at"] * 2, "of all the one that changed last, and of those annotated"

    def test_after_an_hour_the_tasks_are_compared_all_the_same(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(1)
        reconcile.within(context, KEY)
        assert 0 < redis.ttl(f"coldblitz:marks:{KEY}:tasks") <= 3600

    def test_what_redis_has_lost_is_looked_at_again(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        reconcile.within(context, KEY)
        redis.flushall()
        reconcile.within(context, KEY)
        assert queued(redis) == ["suggest 1"]


class TestAnnotations:
    @pytest.fixture(autouse=True)
    def learnt(self, context: JobContext, studio: Studio, redis: Redis, known: None) -> None:
        for task in (1, 2):
            studio.add_task(task)
        annotate(studio, 1, "2026-02-01T00:00:00Z")
        reconcile.within(context, KEY)
        do_all(redis, studio)
        reconcile.within(context, KEY)

    def test_one_that_was_missed_trains(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        annotate(studio, 2, "2026-02-02T00:00:00Z")
        assert reconcile.within(context, KEY) == "annotations to learn from"
        assert queued(redis) == ["train"]

    def test_one_that_was_changed_trains(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.tasks[1]["updated_at"] = "2026-02-03T00:00:00Z"
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]

    def test_one_of_two_that_was_deleted_trains(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        annotate(studio, 2, "2026-01-01T00:00:00Z")
        reconcile.within(context, KEY)
        do_all(redis, studio)
        studio.tasks[2]["annotations"].clear()
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]

    def test_another_label_config_or_setting_trains(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        project(studio)["label_config"] = project(studio)["label_config"].replace("dog", "hound")
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]
        do_all(redis, studio)
        registry.remember(redis, Known(KEY, "<View/>", {"min_frames": 10}))
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]

    def test_a_model_file_that_is_missing_is_the_trainings_to_tell_and_holds_up_nothing_else(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(9)
        registry.remember(redis, Known(KEY, "<View/>", {"custom_model": "missing.py"}))
        reconcile.within(context, KEY)
        assert queued(redis) == ["suggest 9", "train"]

    def test_a_training_that_was_lost_is_asked_for_again(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        annotate(studio, 2, "2026-02-02T00:00:00Z")
        reconcile.within(context, KEY)
        redis.delete(*redis.scan_iter("rq:*"))
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]

    def test_a_training_that_failed_for_good_waits_for_news(
        self, context: JobContext, studio: Studio, redis: Redis, work: Any
    ) -> None:
        redis.rpush(f"do:{KEY}", "fail for good")
        annotate(studio, 2, "2026-02-02T00:00:00Z")
        reconcile.within(context, KEY)
        work()
        reconcile.within(context, KEY)
        assert queued(redis) == []
        annotate(studio, 2, "2026-02-03T00:00:00Z")
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]


class TestTasks:
    def test_a_new_one_gets_its_suggestions(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        reconcile.within(context, KEY)
        do_all(redis, studio)
        studio.add_task(2)
        assert reconcile.within(context, KEY) == "1 task to suggest"

    def test_predictions_that_somebody_deleted_are_made_again(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(1)
        reconcile.within(context, KEY)
        do_all(redis, studio)
        reconcile.within(context, KEY)
        studio.predictions.clear()
        assert reconcile.within(context, KEY) == "1 task to suggest"
