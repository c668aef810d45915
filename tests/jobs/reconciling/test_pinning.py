"""Which version Label Studio shows, and what a reconcile does when it is not ours."""

from __future__ import annotations

import pytest
from known_project import predicted, project, queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.pinning import follow_pin, pin
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry

pytestmark = pytest.mark.usefixtures("context", "known")


class TestTheShownVersion:
    def test_a_roll_out_that_broke_off_is_begun_again(self, context: JobContext, redis: Redis) -> None:
        registry.activate(redis, KEY, "cold-v1")
        registry.want(redis, KEY, "cold-v2")
        assert "cold-v2 to roll out" in reconcile.within(context, KEY)
        assert queued(redis) == ["rollout cold-v2"]

    def test_what_the_admin_pins_is_taken_up(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        registry.activate(redis, KEY, "cold-v2")
        registry.want(redis, KEY, "cold-v2")
        project(studio)["model_version"] = "cold-v1"
        reconcile.within(context, KEY)
        assert (registry.active_version(redis, KEY), registry.wanted_version(redis, KEY)) == ("cold-v1", "cold-v1")
        assert queued(redis) == []

    def test_another_backends_version_is_left_alone_and_told(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        registry.activate(redis, KEY, "cold-v2")
        project(studio)["model_version"] = "cold-v7"
        studio.add_task(1)
        for version in ("cold-v2", "cold-v7"):
            predicted(studio, 1, version)
        reconcile.within(context, KEY)
        assert project(studio)["model_version"] == "cold-v7"
        assert registry.active_version(redis, KEY) == "cold-v2"
        assert "cold-v7" in registry.problems(redis)[KEY][0]

    @pytest.mark.parametrize("pinned", ["cold-v7", "yolo-8"])
    def test_suggestions_that_imported_predictions_hide_are_told_of(
        self, context: JobContext, studio: Studio, redis: Redis, pinned: str
    ) -> None:
        studio.add_task(1)
        studio.add_task(2)
        predicted(studio, 1, pinned)
        predicted(studio, 2, "keyframes-v1")
        project(studio)["model_version"] = pinned
        reconcile.within(context, KEY)
        assert project(studio)["model_version"] == pinned
        [told] = registry.problems(redis)[KEY]
        assert pinned in told
        assert "choose keyframes-v1" in told
        project(studio)["model_version"] = "keyframes-v1"
        reconcile.within(context, KEY)
        assert KEY not in registry.problems(redis)

    @pytest.mark.parametrize("pinned", ["", "Coldblitz"])
    @pytest.mark.parametrize("active", [None, "cold-v2"])
    def test_where_the_stream_shows_nothing_ours_is_pinned_again(
        self, context: JobContext, studio: Studio, redis: Redis, pinned: str, active: str | None
    ) -> None:
        studio.add_task(1)
        predicted(studio, 1, active or "keyframes-v1")
        if active:
            registry.activate(redis, KEY, active)
        project(studio)["model_version"] = pinned
        reconcile.within(context, KEY)
        assert project(studio)["model_version"] == (active or "keyframes-v1")

    def test_a_roll_out_that_ends_after_the_project_was_read_is_not_undone(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(1)
        for version in ("cold-v1", "cold-v2"):
            predicted(studio, 1, version)
            (context.models_dir(KEY) / version).mkdir(parents=True)
        pin(open_project(context, KEY), "cold-v1")
        read = open_project(context, KEY)
        pin(read, "cold-v2")
        follow_pin(read, context.studio.predictions.versions(7))
        assert project(studio)["model_version"] == registry.active_version(redis, KEY) == "cold-v2"

    def test_suggestions_that_come_late_do_not_push_the_model_aside(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        work = open_project(context, KEY)
        pin(work, "cold-v1")
        pin(work, "keyframes-v1")
        assert project(studio)["model_version"] == registry.active_version(redis, KEY) == "cold-v1"

    def test_but_not_where_the_admin_wants_none_shown(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        predicted(studio, 1, "keyframes-v1")
        project(studio).update(model_version="", show_collab_predictions=False)
        reconcile.within(context, KEY)
        assert project(studio)["model_version"] == ""
