"""Of two predictions of one version the older one goes, when nobody can have it open any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from studio import KEY, USER, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.retire import remove_doubles
from ml_backend.jobs.project import open_project
from ml_backend.projects import reconcile_state

LONG_AGO, TODAY = timedelta(hours=25), timedelta(hours=1)


def predicted(studio: Studio, task: int, version: str, *ages: timedelta) -> None:
    for age in ages:
        studio.made += 1
        made = {
            "id": studio.made,
            "task": task,
            "model_version": version,
            "result": [],
            "created_at": (datetime.now(UTC) - age).isoformat(),
        }
        studio.predictions.append(made)
        studio.tasks[task]["predictions"].append(made)


def removed(context: JobContext, studio: Studio) -> int:
    work = open_project(context, KEY)
    found = remove_doubles(work, len(studio.tasks), context.studio.predictions.versions(work.id))
    for task in studio.tasks.values():
        task["predictions"] = [each for each in task["predictions"] if each in studio.predictions]
    return found


@pytest.fixture
def tasks(studio: Studio, context: JobContext) -> None:
    for task in range(1, 6):
        studio.add_task(task)
    for version in ("cold-v1", "cold-v12"):
        (context.models_dir(KEY) / version).mkdir(parents=True)


@pytest.mark.usefixtures("tasks")
class TestRemovingDoubles:
    def test_the_newest_stays(self, context: JobContext, studio: Studio) -> None:
        for task in (1, 2):
            predicted(studio, task, "cold-v1", LONG_AGO, LONG_AGO, LONG_AGO)
        predicted(studio, 3, "cold-v1", LONG_AGO)
        predicted(studio, 3, "keyframes-v1", LONG_AGO)
        assert removed(context, studio) == 4
        assert [each["id"] for each in studio.predictions] == [3, 6, 7, 8]
        assert removed(context, studio) == 0

    def test_both_stay_as_long_as_somebody_may_have_the_older_one_open(
        self, context: JobContext, studio: Studio
    ) -> None:
        predicted(studio, 1, "cold-v1", LONG_AGO, TODAY)
        predicted(studio, 2, "cold-v1", LONG_AGO, LONG_AGO)
        studio.tasks[2]["drafts"] = [{"id": 1, "user": USER + 1}]
        assert removed(context, studio) == 0
        assert len(studio.predictions) == 4

    def test_they_are_looked_for_again_later(self, context: JobContext, studio: Studio) -> None:
        predicted(studio, 1, "cold-v1", TODAY, TODAY)
        assert removed(context, studio) == 0
        assert 0 < context.redis.ttl(f"coldblitz:marks:{KEY}:doubles") <= 3600
        for each in studio.predictions:
            each["created_at"] = (datetime.now(UTC) - LONG_AGO).isoformat()
        reconcile_state.drop(context.redis, KEY, "doubles")
        assert removed(context, studio) == 1

    def test_a_version_is_not_taken_for_one_with_a_longer_name(self, context: JobContext, studio: Studio) -> None:
        predicted(studio, 1, "cold-v1", LONG_AGO, LONG_AGO)
        predicted(studio, 1, "cold-v12", LONG_AGO)
        predicted(studio, 2, "cold-v12", LONG_AGO)
        assert removed(context, studio) == 1
        assert [each["id"] for each in studio.predictions] == [2, 3, 4]

    @pytest.mark.parametrize("version", ["yolo", "cold-v7"])
    def test_what_was_not_made_here_is_nobody_s_business(
        self, context: JobContext, studio: Studio, version: str
    ) -> None:
        predicted(studio, 1, version, LONG_AGO, LONG_AGO)
        assert removed(context, studio) == 0
        assert len(studio.predictions) == 2

    def test_without_any_and_without_news_label_studio_is_not_asked(self, context: JobContext, studio: Studio) -> None:
        predicted(studio, 1, "cold-v1", LONG_AGO)
        removed(context, studio)
        asked = len(studio.listed)
        removed(context, studio)
        assert len(studio.listed) == asked
