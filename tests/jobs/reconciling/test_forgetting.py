"""What is removed of tasks and projects that are gone, and what is not, since they may be another Label Studio's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from known_project import queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.checks import Finding
from ml_backend.errors import LabelStudioError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import discover, reconcile
from ml_backend.projects import registry, stored_predictions
from ml_backend.projects.registry import Known
from ml_backend.queueing.queue import enqueue

pytestmark = pytest.mark.usefixtures("context", "known")
UNSEEN = "8.1769860801"


class TestTasksThatAreGone:
    def test_nothing_of_them_is_kept(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        for task in (1, 2, 3):
            studio.add_task(task)
            item = {"task": task, "model_version": "keyframes-v1", "score": 0, "result": [{"id": "kf-1"}]}
            stored_predictions.save(context.settings.data_dir, KEY, item)
            registry.note_findings(redis, KEY, task, [Finding("rate", "Uneven.", "None.", "note")])
        reconcile.within(context, KEY)
        del studio.tasks[2]
        studio.add_task(4)  # as many as before
        studio.tasks[4]["updated_at"] = "2026-02-01T00:00:00Z"
        assert "1 deleted tasks" in reconcile.within(context, KEY)
        assert stored_predictions.tasks(context.settings.data_dir, KEY) == {1, 3}
        assert registry.tasks_with_findings(redis, KEY) == {1, 3}
        assert queued(redis) == ["suggest 1", "suggest 3", "suggest 4"]

    def test_also_when_redis_does_not_know_that_they_were_there(self, context: JobContext, studio: Studio) -> None:
        studio.add_task(1)
        for task in (1, 2):
            stored_predictions.save(
                context.settings.data_dir, KEY, {"task": task, "model_version": "cold-v1", "result": []}
            )
        reconcile.within(context, KEY)
        assert stored_predictions.tasks(context.settings.data_dir, KEY) == {1}


class TestProjectsThatAreGone:
    def kept(self, context: JobContext) -> Path:
        stored_predictions.save(context.settings.data_dir, KEY, {"task": 1, "model_version": "cold-v1", "result": []})
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        return context.settings.data_dir / "projects" / KEY

    def test_their_jobs_and_predictions_go_at_once_and_their_models_a_day_later(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        folder = self.kept(context)
        for kind in ("train", "embed"):
            enqueue(redis, kind, KEY, *([1] if kind == "embed" else []))
        studio.project = None
        assert reconcile.within(context, KEY) == "the project is gone from Label Studio"
        assert (registry.known_keys(redis), queued(redis)) == ([], [])
        assert not (folder / "predictions").exists()
        discover.within(context, "http://studio")
        assert (folder / "models" / "cold-v1").exists()
        os.utime(folder / ".gone", (time.time() - 25 * 3600,) * 2)
        assert "removed the files of 1" in discover.within(context, "http://studio")
        assert not folder.exists()

    def test_one_that_comes_back_within_the_day_has_its_models(self, context: JobContext, studio: Studio) -> None:
        folder, here = self.kept(context), studio.project
        studio.project = None
        reconcile.within(context, KEY)
        studio.project = here
        discover.within(context, "http://studio")
        os.utime(folder, (0, 0))
        assert not (folder / ".gone").exists()
        assert (folder / "models" / "cold-v1").exists()

    def test_an_address_that_is_not_label_studio_costs_nothing(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        folder = self.kept(context)
        for view in ("show_project", "list_projects"):
            studio.view_functions[view] = lambda: ({"detail": "Not found."}, 404)
        for look in (lambda: reconcile.within(context, KEY), lambda: discover.within(context, "http://studio")):
            with pytest.raises(LabelStudioError, match="404"):
                look()
        assert registry.known_keys(redis) == [KEY]
        assert (folder / "predictions").exists()


class TestAnotherLabelStudio:
    """Whoever points LABEL_STUDIO_URL elsewhere for a while finds everything again."""

    @pytest.fixture(autouse=True)
    def elsewhere(self, context: JobContext, studio: Studio, redis: Redis, known: None) -> None:
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        reconcile.within(context, KEY)
        studio.project = None

    def move(self, redis: Redis, context: JobContext) -> None:
        redis.hset("coldblitz:studios", KEY, "http://another")
        (context.settings.data_dir / "projects" / KEY / ".studio").write_text("http://another")

    def test_forgets_nothing_of_the_first_one(self, context: JobContext, redis: Redis) -> None:
        self.move(redis, context)
        with pytest.raises(LabelStudioError, match="http://another"):
            reconcile.within(context, KEY)
        discover.within(context, "http://studio")
        assert registry.known_keys(redis) == [KEY]
        assert not (context.settings.data_dir / "projects" / KEY / ".gone").exists()

    def test_nor_when_redis_was_lost_meanwhile(self, context: JobContext, redis: Redis) -> None:
        self.move(redis, context)
        redis.flushall()
        discover.within(context, "http://studio")
        assert not (context.settings.data_dir / "projects" / KEY / ".gone").exists()

    def test_that_connects_us_is_told_of_and_its_project_not_kept(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        registry.remember(redis, Known(UNSEEN, "<View/>"))
        with pytest.raises(
            LabelStudioError, match=f"{UNSEEN}, which is not in the one at {context.settings.label_studio_url}"
        ):
            reconcile.within(context, UNSEEN)
        assert registry.known_keys(redis) == [KEY]

    def test_is_the_same_one_when_it_has_the_project(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        self.move(redis, context)
        studio.project = Studio().project
        reconcile.within(context, KEY)
        studio.project = None
        assert "gone" in reconcile.within(context, KEY)

    def test_a_project_that_was_deleted_while_nobody_looked_goes_too(self, context: JobContext, redis: Redis) -> None:
        redis.flushall()
        discover.within(context, "http://studio")
        assert (context.settings.data_dir / "projects" / KEY / ".gone").exists()
