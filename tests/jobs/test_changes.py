"""What a reconcile notices of Label Studio, how little it asks for, and what it does about it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from studio import KEY, Studio

from ml_backend.errors import LabelStudioError
from ml_backend.jobs import filling
from ml_backend.jobs.filling import ask_for_more
from ml_backend.jobs.reconcile import discover, reconcile
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.queueing.queue import counts, listing, request
from ml_backend.records import marks, projects, ready
from ml_backend.records.projects import Known

pytestmark = pytest.mark.usefixtures("context")
CALM = "nothing has changed"


@pytest.fixture(autouse=True)
def known(redis: Redis) -> None:
    projects.remember(redis, Known(KEY, "<View/>"))


def queued(redis: Redis) -> list[str]:
    rows = listing(redis)["queued"]
    return sorted(" ".join(str(part) for part in (row["kind"], row["task"], row["version"]) if part) for row in rows)


def do_all(redis: Redis, studio: Studio, version: str = "keyframes-v1") -> None:
    """As if the workers had done what is queued, and knew all annotations."""
    for row in listing(redis)["queued"]:
        if row["task"]:
            predicted(studio, row["task"], version)
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    marks.put(redis, KEY, "trained", marks.get(redis, KEY, "asked"))


def predicted(studio: Studio, task: int, version: str) -> None:
    studio.predictions.append({"id": len(studio.predictions), "task": task, "model_version": version, "result": []})


def annotate(studio: Studio, task: int, when: str) -> None:
    studio.tasks[task]["annotations"].append({"id": 100 + task, "result": [], "updated_at": when})
    studio.tasks[task]["updated_at"] = when


def project(studio: Studio) -> dict[str, Any]:
    assert studio.project is not None
    return studio.project


class TestNothingHasChanged:
    def test_then_no_task_is_listed_and_nothing_is_queued(self, studio: Studio, redis: Redis) -> None:
        for task in range(1, 6):
            studio.add_task(task, annotations=task % 2)
        reconcile(KEY)
        do_all(redis, studio)
        reconcile(KEY)  # notices that its own jobs are done
        studio.listed.clear()
        assert reconcile(KEY) == CALM
        assert queued(redis) == []
        assert studio.listed == ["-tasks:id", "-tasks:updated_at"], "the newest task, and the one that changed last"

    def test_after_an_hour_the_tasks_are_compared_all_the_same(self, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        reconcile(KEY)
        assert 0 < redis.ttl(f"coldblitz:marks:{KEY}:tasks") <= 3600

    def test_what_redis_has_lost_is_looked_at_again(self, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        reconcile(KEY)
        redis.flushall()
        reconcile(KEY)
        assert queued(redis) == ["suggest 1"]


class TestAnnotations:
    @pytest.fixture(autouse=True)
    def learnt(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        for task in (1, 2):
            studio.add_task(task)
        annotate(studio, 1, "2026-02-01T00:00:00Z")
        reconcile(KEY)
        do_all(redis, studio)
        reconcile(KEY)

    def test_one_that_was_missed_trains(self, studio: Studio, redis: Redis) -> None:
        annotate(studio, 2, "2026-02-02T00:00:00Z")
        assert reconcile(KEY) == "annotations to learn from"
        assert queued(redis) == ["train"]

    def test_one_that_was_changed_trains(self, studio: Studio, redis: Redis) -> None:
        studio.tasks[1]["updated_at"] = "2026-02-03T00:00:00Z"
        reconcile(KEY)
        assert queued(redis) == ["train"]

    def test_one_of_two_that_was_deleted_trains(self, studio: Studio, redis: Redis) -> None:
        annotate(studio, 2, "2026-01-01T00:00:00Z")
        reconcile(KEY)
        do_all(redis, studio)
        studio.tasks[2]["annotations"].clear()
        reconcile(KEY)
        assert queued(redis) == ["train"]

    def test_another_label_config_or_setting_trains(self, studio: Studio, redis: Redis) -> None:
        project(studio)["label_config"] = project(studio)["label_config"].replace("dog", "hound")
        reconcile(KEY)
        assert queued(redis) == ["train"]
        do_all(redis, studio)
        projects.remember(redis, Known(KEY, "<View/>", {"min_frames": 10}))
        reconcile(KEY)
        assert queued(redis) == ["train"]

    def test_a_model_file_that_is_missing_is_the_trainings_to_tell_and_holds_up_nothing_else(
        self, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(9)
        projects.remember(redis, Known(KEY, "<View/>", {"custom_model": "missing.py"}))
        reconcile(KEY)
        assert queued(redis) == ["suggest 9", "train"]

    def test_a_training_that_was_lost_is_asked_for_again(self, studio: Studio, redis: Redis) -> None:
        annotate(studio, 2, "2026-02-02T00:00:00Z")
        reconcile(KEY)
        redis.delete(*redis.scan_iter("rq:*"))
        reconcile(KEY)
        assert queued(redis) == ["train"]

    def test_a_training_that_failed_for_good_waits_for_news(self, studio: Studio, redis: Redis, work: Any) -> None:
        redis.rpush(f"do:{KEY}", "fail for good")
        annotate(studio, 2, "2026-02-02T00:00:00Z")
        reconcile(KEY)
        work()
        reconcile(KEY)
        assert queued(redis) == []
        annotate(studio, 2, "2026-02-03T00:00:00Z")
        reconcile(KEY)
        assert queued(redis) == ["train"]


class TestTasks:
    def test_a_new_one_gets_its_suggestions(self, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        reconcile(KEY)
        do_all(redis, studio)
        studio.add_task(2)
        assert reconcile(KEY) == "1 tasks to suggest"

    def test_predictions_that_somebody_deleted_are_made_again(self, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        reconcile(KEY)
        do_all(redis, studio)
        reconcile(KEY)
        studio.predictions.clear()
        assert reconcile(KEY) == "1 tasks to suggest"

    def test_of_a_deleted_one_nothing_is_kept(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        for task in (1, 2, 3):
            studio.add_task(task)
            item = {"task": task, "model_version": "keyframes-v1", "score": 0, "result": [{"id": "kf-1"}]}
            ready.save(context.settings.data_dir, KEY, item)
            projects.note_findings(redis, KEY, task, [{"kind": "rate"}])
        reconcile(KEY)
        del studio.tasks[2]
        studio.add_task(4)  # as many as before
        assert "1 deleted tasks" in reconcile(KEY)
        assert ready.tasks(context.settings.data_dir, KEY) == {1, 3}
        assert projects.tasks_with_findings(redis, KEY) == {1, 3}
        assert queued(redis) == ["suggest 1", "suggest 3", "suggest 4"]

    def test_also_when_redis_does_not_know_that_it_was_there(self, context: WorkerContext, studio: Studio) -> None:
        studio.add_task(1)
        for task in (1, 2):
            ready.save(context.settings.data_dir, KEY, {"task": task, "model_version": "cold-v1", "result": []})
        reconcile(KEY)
        assert ready.tasks(context.settings.data_dir, KEY) == {1}


class TestAHundredThousandTasks:
    @pytest.fixture(autouse=True)
    def narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filling, "WINDOW", 10)
        monkeypatch.setattr(filling, "LOW", 3)

    def test_however_many_there_are_a_bounded_number_of_jobs_waits(self, studio: Studio, redis: Redis) -> None:
        for task in range(1, 36):
            studio.add_task(task)
        assert reconcile(KEY) == "10 tasks to suggest, more when these are done"
        for _ in range(3):
            reconcile(KEY)
        assert counts(redis)["queued"] == 10

    def test_when_few_are_left_the_next_ones_are_queued_until_all_are_done(
        self, studio: Studio, redis: Redis, work: Any
    ) -> None:
        for task in range(1, 36):
            studio.add_task(task)
        reconcile(KEY)
        most = 0
        for _ in range(60):
            work(1)
            most = max(most, counts(redis)["queued"])
            if b"reconcile " + KEY.encode() in redis.lrange("ran", -1, -1):
                reconcile(KEY)
        ran = [note.decode() for note in redis.lrange("ran", 0, -1)]
        assert [note for note in ran if note.startswith("suggest")] == [f"suggest {KEY} {n}" for n in range(1, 36)]
        assert most <= 11

    def test_those_that_failed_for_good_do_not_hold_up_the_others(
        self, studio: Studio, redis: Redis, work: Any
    ) -> None:
        for task in range(1, 15):
            studio.add_task(task)
        redis.rpush(f"do:{KEY}", *["fail for good"] * 10)
        reconcile(KEY)
        work()
        reconcile(KEY)
        assert queued(redis) == ["suggest 11", "suggest 12", "suggest 13", "suggest 14"]

    def test_when_a_model_becomes_active_all_tasks_get_its_predictions(self, studio: Studio, redis: Redis) -> None:
        for task in range(1, 16):
            studio.add_task(task)
        reconcile(KEY)
        projects.activate(redis, KEY, "cold-v1")
        reconcile(KEY)
        assert queued(redis)[:2] == ["predict 1", "predict 10"]

    def test_other_kinds_of_jobs_ask_for_nothing(self, redis: Redis) -> None:
        marks.put(redis, KEY, "cursor", ["keyframes-v1", 10])
        ask_for_more(redis, "train", KEY)
        assert queued(redis) == []
        ask_for_more(redis, "suggest", KEY)
        assert queued(redis) == ["reconcile"]


class TestTheShownVersion:
    def test_a_roll_out_that_broke_off_is_begun_again(self, redis: Redis) -> None:
        projects.activate(redis, KEY, "cold-v1")
        projects.want(redis, KEY, "cold-v2")
        assert "cold-v2 to roll out" in reconcile(KEY)
        assert queued(redis) == ["rollout cold-v2"]

    def test_what_the_admin_pins_is_taken_up(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        projects.activate(redis, KEY, "cold-v2")
        projects.want(redis, KEY, "cold-v2")
        project(studio)["model_version"] = "cold-v1"
        reconcile(KEY)
        assert (projects.active_version(redis, KEY), projects.wanted_version(redis, KEY)) == ("cold-v1", "cold-v1")
        assert queued(redis) == []

    def test_another_backends_version_is_left_alone_and_told(self, studio: Studio, redis: Redis) -> None:
        projects.activate(redis, KEY, "cold-v2")
        project(studio)["model_version"] = "cold-v7"
        studio.add_task(1)
        for version in ("cold-v2", "cold-v7"):
            predicted(studio, 1, version)
        reconcile(KEY)
        assert project(studio)["model_version"] == "cold-v7"
        assert projects.active_version(redis, KEY) == "cold-v2"
        assert "cold-v7" in projects.problems(redis)[KEY][0]

    @pytest.mark.parametrize("pinned", ["", "Coldblitz"])
    @pytest.mark.parametrize("active", [None, "cold-v2"])
    def test_where_the_stream_shows_nothing_ours_is_pinned_again(
        self, studio: Studio, redis: Redis, pinned: str, active: str | None
    ) -> None:
        studio.add_task(1)
        predicted(studio, 1, active or "keyframes-v1")
        if active:
            projects.activate(redis, KEY, active)
        project(studio)["model_version"] = pinned
        reconcile(KEY)
        assert project(studio)["model_version"] == (active or "keyframes-v1")

    def test_but_not_where_the_admin_wants_none_shown(self, studio: Studio, redis: Redis) -> None:
        studio.add_task(1)
        predicted(studio, 1, "keyframes-v1")
        project(studio).update(model_version="", show_collab_predictions=False)
        reconcile(KEY)
        assert project(studio)["model_version"] == ""


class TestProjectsThatAreGone:
    def kept(self, context: WorkerContext) -> Path:
        ready.save(context.settings.data_dir, KEY, {"task": 1, "model_version": "cold-v1", "result": []})
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        return context.settings.data_dir / "projects" / KEY

    def test_their_jobs_and_predictions_go_at_once_and_their_models_a_day_later(
        self, context: WorkerContext, studio: Studio, redis: Redis
    ) -> None:
        folder = self.kept(context)
        for kind in ("train", "embed"):
            request(redis, kind, KEY, *([1] if kind == "embed" else []))
        studio.project = None
        assert reconcile(KEY) == "the project is gone from Label Studio"
        assert (projects.known_keys(redis), queued(redis)) == ([], [])
        assert not (folder / "predictions").exists()
        discover("http://studio")
        assert (folder / "models" / "cold-v1").exists()
        os.utime(folder / ".gone", (time.time() - 25 * 3600,) * 2)
        assert "removed the files of 1" in discover("http://studio")
        assert not folder.exists()

    def test_one_that_comes_back_within_the_day_has_its_models(self, context: WorkerContext, studio: Studio) -> None:
        folder, here = self.kept(context), studio.project
        studio.project = None
        reconcile(KEY)
        studio.project = here
        discover("http://studio")
        os.utime(folder, (0, 0))
        assert not (folder / ".gone").exists()
        assert (folder / "models" / "cold-v1").exists()

    def test_an_address_that_is_not_label_studio_costs_nothing(
        self, context: WorkerContext, studio: Studio, redis: Redis
    ) -> None:
        folder = self.kept(context)
        for view in ("show_project", "list_projects"):
            studio.view_functions[view] = lambda: ({"detail": "Not found."}, 404)
        for look in (lambda: reconcile(KEY), lambda: discover("http://studio")):
            with pytest.raises(LabelStudioError, match="404"):
                look()
        assert projects.known_keys(redis) == [KEY]
        assert (folder / "predictions").exists()


class TestAnotherLabelStudio:
    """Whoever points LABEL_STUDIO_URL elsewhere for a while finds everything again."""

    @pytest.fixture(autouse=True)
    def elsewhere(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        reconcile(KEY)
        studio.project = None

    def move(self, redis: Redis, context: WorkerContext) -> None:
        redis.hset("coldblitz:studios", KEY, "http://another")
        (context.settings.data_dir / "projects" / KEY / ".studio").write_text("http://another")

    def test_forgets_nothing_of_the_first_one(self, context: WorkerContext, redis: Redis) -> None:
        self.move(redis, context)
        with pytest.raises(LabelStudioError, match="http://another"):
            reconcile(KEY)
        discover("http://studio")
        assert projects.known_keys(redis) == [KEY]
        assert not (context.settings.data_dir / "projects" / KEY / ".gone").exists()

    def test_nor_when_redis_was_lost_meanwhile(self, context: WorkerContext, redis: Redis) -> None:
        self.move(redis, context)
        redis.flushall()
        discover("http://studio")
        assert not (context.settings.data_dir / "projects" / KEY / ".gone").exists()

    def test_is_the_same_one_when_it_has_the_project(
        self, context: WorkerContext, studio: Studio, redis: Redis
    ) -> None:
        self.move(redis, context)
        studio.project = Studio().project
        reconcile(KEY)
        studio.project = None
        assert "gone" in reconcile(KEY)

    def test_a_project_that_was_deleted_while_nobody_looked_goes_too(
        self, context: WorkerContext, redis: Redis
    ) -> None:
        redis.flushall()
        discover("http://studio")
        assert (context.settings.data_dir / "projects" / KEY / ".gone").exists()


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
