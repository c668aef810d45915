"""What a reconcile notes of a project as a whole, for the dashboard."""

from __future__ import annotations

from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry


class TestAProject:
    def test_a_reconcile_notes_its_title_tasks_and_versions(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        assert registry.recall_overview(redis, KEY) is None
        studio.add_task(1)
        studio.add_task(2)
        studio.predictions.append({"id": 0, "task": 2, "model_version": "keyframes-v1", "result": []})
        reconcile.within(context, KEY)
        found = registry.recall_overview(redis, KEY)
        assert found is not None
        assert studio.project is not None
        assert (found.title, found.tasks, found.versions) == (studio.project["title"], 2, {"keyframes-v1": 1})

    def test_it_is_forgotten_with_the_project(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        reconcile.within(context, KEY)
        studio.project = None
        reconcile.within(context, KEY)
        assert registry.recall_overview(redis, KEY) is None
