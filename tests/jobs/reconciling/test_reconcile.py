"""Reconciling, against a small Label Studio over real HTTP; the real one is in `tests/e2e`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from known_project import predicted, project, queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.errors import (
    LabelConfigError,
    LabelStudioRefused,
    LabelStudioUnreachable,
)
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.settings import Settings


def remember(redis: Redis, **more: object) -> None:
    registry.remember(redis, Known(KEY, "<View/>", **more))  # type: ignore[arg-type]


@pytest.mark.usefixtures("context")
class TestReconciling:
    def test_tasks_without_suggestions_get_them(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        for task in (1, 2, 3):
            studio.add_task(task)
        studio.predictions.append({"id": 0, "task": 2, "model_version": "keyframes-v1", "result": []})
        assert reconcile.within(context, KEY) == "2 tasks to suggest"
        assert queued(redis) == ["suggest 1", "suggest 3"]

    def test_once_a_model_is_active_they_get_its_predictions(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        remember(redis)
        registry.activate(redis, KEY, "cold-v3")
        studio.add_task(1)
        assert reconcile.within(context, KEY) == "1 task to predict"
        assert queued(redis) == ["predict 1"]

    def test_annotations_made_while_we_were_away_are_learnt_from(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(1, annotations=2)
        reconcile.within(context, KEY)
        assert queued(redis) == ["train"]

    def test_when_nothing_is_missing_nothing_is_queued(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        reconcile.within(context, KEY)
        assert queued(redis) == []

    def test_what_a_wiped_redis_knew_is_found_again(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        assert studio.project is not None
        studio.project["model_version"] = "cold-v3"
        (context.models_dir(KEY) / "cold-v3").mkdir(parents=True)
        studio.backends[0]["extra_params"] = '{"min_frames": 3}'
        reconcile.within(context, KEY)
        assert registry.active_version(redis, KEY) == "cold-v3"
        known = registry.recall(redis, KEY)
        assert known is not None
        assert (known.settings.min_frames, known.label_config) == (3, studio.project["label_config"])

    def test_predictions_that_were_imported_under_a_name_of_ours_are_no_model_of_ours(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        remember(redis)
        studio.add_task(1)
        predicted(studio, 1, "cold-v3")
        project(studio)["model_version"] = "cold-v3"
        assert reconcile.within(context, KEY) == "1 task to suggest"
        assert registry.active_version(redis, KEY) is None
        assert project(studio)["model_version"] == "cold-v3"

    @pytest.mark.parametrize("pinned", ["", "Coldblitz", "keyframes-v1", "detector-7"])
    def test_no_other_pinned_version_is_taken_for_a_model_of_ours(
        self, context: JobContext, studio: Studio, redis: Redis, pinned: str
    ) -> None:
        assert studio.project is not None
        studio.project["model_version"] = pinned
        reconcile.within(context, KEY)
        assert registry.active_version(redis, KEY) is None

    def test_a_label_config_to_mend_is_told_until_it_is(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        remember(redis)
        assert studio.project is not None
        good, studio.project["label_config"] = studio.project["label_config"], "<View/>"
        with pytest.raises(LabelConfigError):
            reconcile.within(context, KEY)
        ((told,),) = registry.problems(redis).values()
        assert "TimelineLabels" in told
        studio.project["label_config"] = good
        reconcile.within(context, KEY)
        assert registry.problems(redis) == {}

    def test_wrong_extra_params_are_told(self, context: JobContext, redis: Redis) -> None:
        remember(redis, extra_params={"samplin": "uniform", "min_frames": 0})
        reconcile.within(context, KEY)
        ((number, name),) = registry.problems(redis).values()
        assert "'min_frames'" in number
        assert "'samplin'" in name

    def test_a_project_that_is_gone_is_forgotten(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        reconcile.within(context, KEY)
        studio.project = None
        assert "gone" in reconcile.within(context, KEY)
        assert registry.known_keys(redis) == []

    def test_so_is_one_whose_number_another_has_now(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        remember(redis)
        reconcile.within(context, KEY)
        assert studio.project is not None
        studio.project["created_at"] = "2026-02-01T12:00:00Z"
        studio.add_task(1)
        assert "gone" in reconcile.within(context, KEY)
        assert queued(redis) == []


class TestLabelStudioIsAway:
    def test_jobs_say_that_it_passes(self, redis: Redis, redis_settings: Settings) -> None:
        from loopback import closed_port

        away = JobContext(replace(redis_settings, label_studio_url=f"http://127.0.0.1:{closed_port()}"))
        with pytest.raises(LabelStudioUnreachable):
            reconcile.within(away, KEY)
        away.redis.close()

    def test_a_token_without_rights_does_not(self, context: JobContext, studio: Studio) -> None:
        studio.view_functions["show_project"] = lambda: ({"detail": "No rights."}, 403)
        with pytest.raises(LabelStudioRefused, match="No rights"):
            reconcile.within(context, KEY)
