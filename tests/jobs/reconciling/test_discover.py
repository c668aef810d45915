"""Projects that Redis knows nothing of are found again."""

from __future__ import annotations

import pytest
from known_project import project, queued
from redis import Redis
from studio import Studio

from ml_backend.jobs.reconciling.reconcile import discover

pytestmark = pytest.mark.usefixtures("context", "known")


class TestProjectsThatRedisDoesNotKnow:
    @pytest.fixture(autouse=True)
    def wiped(self, redis: Redis, known: None) -> None:
        redis.flushall()

    def test_one_that_shows_a_version_of_ours_is_reconciled(self, studio: Studio, redis: Redis) -> None:
        project(studio)["model_version"] = "cold-v3"
        assert "found 1 projects" in discover("http://studio")
        assert queued(redis) == ["reconcile"]

    def test_one_with_a_webhook_to_a_backend_has_label_studio_call_us_but_not_all_the_time(
        self, studio: Studio
    ) -> None:
        studio.webhooks.append({"id": 1, "project": 7, "url": "http://backend:9090/webhook"})
        for _ in range(3):
            discover("http://studio")
        assert studio.listed_backends == 1

    def test_others_are_left_alone(self, studio: Studio, redis: Redis) -> None:
        studio.webhooks.append({"id": 1, "project": 7, "url": "http://elsewhere/notify"})
        discover("http://studio")
        assert studio.listed_backends == 0
        assert queued(redis) == []
