"""Whose number was another task's, and who shows another video, never gets what was made for the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from known_project import annotate, predicted, project, queued
from numbered import numbered_video
from redis import Redis
from studio import KEY, Studio

from ml_backend.checks import Finding
from ml_backend.errors import VideoError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.suggestions.sheet import fetch
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.training.labelled import annotated_tasks, fingerprint
from ml_backend.jobs.videos import begin
from ml_backend.projects import reconcile_state, registry, stored_predictions, task_view
from ml_backend.projects.registry import Known
from ml_backend.queueing.queue import enqueue, queue_of

pytestmark = pytest.mark.usefixtures("context", "known")
LATER, LATEST = "2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A short one, and a long one."""
    folder = tmp_path_factory.mktemp("films")
    return numbered_video(folder / "short.mp4", 30), numbered_video(folder / "long.mp4", 90)


def suggested(studio: Studio, task: int) -> list[int]:
    """The frames that Label Studio shows as suggestions of a task."""
    found = [p for p in studio.predictions if p["task"] == task and p["model_version"] == "keyframes-v1"]
    return [region["value"]["ranges"][0]["start"] for p in found for region in p["result"]]


def kept(context: JobContext, task: int) -> list[str]:
    """What there is of a task in files and in Redis."""
    data_dir = context.settings.data_dir
    return [
        name
        for name, there in (
            ("predictions", task in stored_predictions.tasks(data_dir, KEY)),
            ("view", task_view.load(data_dir, KEY, task) is not None),
            ("sheet", task_view.load_sheet(data_dir, KEY, task) is not None),
            ("findings", task in registry.tasks_with_findings(context.redis, KEY)),
        )
        if there
    ]


def test_a_file_that_is_replaced_at_its_address_is_shown_as_long_as_it_is(
    context: JobContext, studio: Studio, films: tuple[Path, Path]
) -> None:
    studio.add_task(1, films[0])
    suggest.within(context, KEY, 1)
    studio.files["1.mp4"] = films[1]
    embed.within(context, KEY, 1)
    view = task_view.load(context.settings.data_dir, KEY, 1)
    assert view is not None
    assert view.seconds == pytest.approx(90 / 25)
    assert view.frames == round(view.seconds * view.framerate)


class TestANumberThatIsUsedAgain:
    """SQLite, Label Studio's default, gives the number of a deleted newest task to the next one."""

    def replace_newest(self, studio: Studio, task: int, video: Path) -> None:
        studio.delete_task(task)
        studio.add_task(task, video)
        studio.tasks[task].update(created_at=LATER, updated_at=LATER)
        studio.exchange(task, video, name="another.mp4", when=LATER)

    def test_a_good_video_in_the_place_of_a_broken_one_gets_its_suggestions(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], tmp_path: Path, work: Any
    ) -> None:
        (broken := tmp_path / "broken.mp4").write_bytes(b"not a video" * 1000)
        studio.add_task(1, broken)
        redis.rpush(f"do:{KEY}", "fail for good")
        reconcile.within(context, KEY)
        work()
        with pytest.raises(VideoError):
            suggest.within(context, KEY, 1)
        assert reconcile.within(context, KEY) == "nothing has changed"
        self.replace_newest(studio, 1, films[0])
        assert "1 task to suggest" in reconcile.within(context, KEY)
        assert queued(redis) == ["suggest 1"]
        suggest.within(context, KEY, 1)
        assert suggested(studio, 1)

    def test_nothing_of_the_old_one_is_kept(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path]
    ) -> None:
        studio.add_task(1, films[1])
        suggest.within(context, KEY, 1)
        before = suggested(studio, 1)
        registry.note_findings(redis, KEY, 1, [Finding("rate", "Uneven.", "None.", "note")])
        assert max(before) > 30
        reconcile.within(context, KEY)
        self.replace_newest(studio, 1, films[0])
        assert "1 deleted tasks" in reconcile.within(context, KEY)
        assert kept(context, 1) == []
        suggest.within(context, KEY, 1)
        assert 0 < max(suggested(studio, 1)) <= 30

    def test_a_job_finds_out_before_any_reconcile(
        self, context: JobContext, studio: Studio, films: tuple[Path, Path]
    ) -> None:
        studio.add_task(1, films[1])
        suggest.within(context, KEY, 1)
        self.replace_newest(studio, 1, films[0])
        suggest.within(context, KEY, 1)
        assert 0 < max(suggested(studio, 1)) <= 30

    def test_predictions_that_it_brings_along_are_left_alone(
        self, context: JobContext, studio: Studio, films: tuple[Path, Path]
    ) -> None:
        studio.add_task(1, films[1])
        suggest.within(context, KEY, 1)
        self.replace_newest(studio, 1, films[0])
        for version in ("keyframes-v1", "yolo-8"):
            predicted(studio, 1, version)
        before = [dict(p) for p in studio.predictions]
        assert "already" in suggest.within(context, KEY, 1)
        assert studio.predictions == before


class TestAnotherVideo:
    """Label Studio sends no event when a task's data are changed."""

    @pytest.fixture
    def task(self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path]) -> int:
        """It has its suggestions, and nothing is left to do."""
        for number in (1, 2):
            studio.add_task(number, films[1])
            suggest.within(context, KEY, number)
        reconcile.within(context, KEY)
        for key in redis.scan_iter("rq:*"):
            redis.delete(key)
        assert reconcile.within(context, KEY) == "nothing has changed"
        return 1

    def test_is_suggested_anew_in_the_same_place(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], task: int
    ) -> None:
        before = {p["id"] for p in studio.predictions}
        studio.exchange(task, films[0], name="another.mp4", when=LATER)
        assert "1 task with another video to suggest" in reconcile.within(context, KEY)
        assert queued(redis) == ["suggest 1"]
        assert kept(context, task) == []
        suggest.within(context, KEY, task)
        assert 0 < max(suggested(studio, task)) <= 30
        assert {p["id"] for p in studio.predictions} == before, "who has the task open can still submit"
        assert reconcile.within(context, KEY) == "nothing has changed"

    def test_what_somebody_waits_for_is_done_for_it(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], task: int
    ) -> None:
        for kind in ("fetch", "sheet", "pictures"):
            enqueue(redis, kind, KEY, task)
        enqueue(redis, "embed_part", KEY, task, 0, "content", "network", 0, 9)
        studio.exchange(task, films[0], name="another.mp4", when=LATER)
        reconcile.within(context, KEY)
        assert queued(redis) == ["fetch 1", "pictures 1", "sheet 1", "suggest 1"]
        assert not len(queue_of(redis, "embed_part"))
        assert fetch.within(context, KEY, task) == "the video of task 1 can be watched"
        # What waited for the task that had the number before is not for this one.
        enqueue(redis, "fetch", KEY, 2)
        del studio.tasks[2]
        studio.add_task(2, films[0])
        studio.tasks[2] |= {"created_at": LATEST, "updated_at": LATEST}
        reconcile.within(context, KEY)
        assert "fetch 2" not in queued(redis)

    def test_in_another_region_of_interest_is_another_one(self, context: JobContext, studio: Studio, task: int) -> None:
        begun = dict(studio.tasks[task]["data"])
        studio.tasks[task].update(data={**begun, "roi": [0, 0, 50, 50]}, updated_at=LATER)
        assert "1 task with another video to suggest" in reconcile.within(context, KEY)
        suggest.within(context, KEY, task)
        assert suggested(studio, task)
        assert reconcile.within(context, KEY) == "nothing has changed"

    def test_at_another_frame_rate_is_another_one(
        self, context: JobContext, studio: Studio, redis: Redis, task: int
    ) -> None:
        registry.remember(redis, Known(KEY, "<View/>", {"sampling": "uniform"}))
        project(studio)["label_config"] = project(studio)["label_config"].replace('"25"', '"$fps"')
        begun = dict(studio.tasks[2]["data"])
        suggest.within(context, KEY, 2)
        studio.tasks[2]["data"] = {**begun, "fps": 50}
        suggest.within(context, KEY, 2)
        assert max(suggested(studio, 2)) > 90

    def test_predictions_of_our_other_versions_go_and_those_of_other_models_stay(
        self, context: JobContext, studio: Studio, films: tuple[Path, Path], task: int
    ) -> None:
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        for version in ("cold-v1", "cold-v9", "yolo-8"):
            predicted(studio, task, version)
        studio.exchange(task, films[0], name="another.mp4", when=LATER)
        suggest.within(context, KEY, task)
        assert sorted(p["model_version"] for p in studio.predictions if p["task"] == task) == [
            "cold-v9",
            "keyframes-v1",
            "yolo-8",
        ]

    def test_a_changed_note_or_a_new_signature_is_none(
        self, context: JobContext, studio: Studio, redis: Redis, task: int
    ) -> None:
        data = studio.tasks[task]["data"]
        data["note"] = "cloudy"
        data["video"] += "?X-Amz-Signature=123&Expires=5"
        studio.tasks[task]["updated_at"] = LATER
        assert reconcile.within(context, KEY) == "nothing has changed"
        assert "already" in suggest.within(context, KEY, task)

    def test_once_a_model_is_active_is_predicted_anew_even_when_annotated(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], task: int
    ) -> None:
        registry.activate(redis, KEY, "cold-v1")
        for number in (1, 2):
            predicted(studio, number, "cold-v1")
        annotate(studio, task, LATER)
        reconcile.within(context, KEY)
        studio.exchange(task, films[0], name="another.mp4", when=LATEST)
        assert "1 task with another video to predict" in reconcile.within(context, KEY)
        assert "predict 1" in queued(redis)

    def test_that_cannot_be_used_is_tried_again_when_it_is_changed_again(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], task: int, tmp_path: Path
    ) -> None:
        (broken := tmp_path / "broken.mp4").write_bytes(b"not a video" * 1000)
        studio.exchange(task, broken, name="broken.mp4", when=LATER)
        reconcile.within(context, KEY)
        with pytest.raises(VideoError):
            suggest.within(context, KEY, task)
        studio.exchange(task, films[0], name="good.mp4", when=LATEST)
        assert "1 task with another video" in reconcile.within(context, KEY)
        suggest.within(context, KEY, task)
        assert 0 < max(suggested(studio, task)) <= 30

    def test_is_found_though_redis_was_lost_meanwhile(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], task: int
    ) -> None:
        studio.exchange(task, films[0], name="another.mp4", when=LATER)
        redis.flushall()
        assert "1 task with another video to suggest" in reconcile.within(context, KEY)

    def test_trains_anew(self, context: JobContext, studio: Studio, films: tuple[Path, Path], task: int) -> None:
        annotate(studio, task, LATER)
        work = open_project(context, KEY)
        before = fingerprint(work, annotated_tasks(work), "resnet")
        studio.exchange(task, films[0], name="another.mp4", when=LATEST)
        assert fingerprint(work, annotated_tasks(work), "resnet") != before

    def test_which_came_while_a_job_was_at_work_is_not_missed(
        self, context: JobContext, studio: Studio, redis: Redis, films: tuple[Path, Path], task: int
    ) -> None:
        work = open_project(context, KEY)
        read = context.studio.tasks.get(7, task)
        studio.exchange(task, films[0], name="another.mp4", when=LATER)
        assert begin(work, [read]) == set()
        assert "1 task with another video" in reconcile.within(context, KEY)


class TestWhatItCosts:
    def test_only_tasks_that_changed_and_were_known_are_listed(
        self, context: JobContext, studio: Studio, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for task in range(1, 31):
            studio.add_task(task)
        work = open_project(context, KEY)
        begin(work, context.studio.tasks.all(7))
        reconcile.within(context, KEY)
        listed: list[int] = []
        recall = reconcile_state.recall_identities

        def noted(data_dir: Path, key: str, tasks: Any) -> Any:
            listed.extend(tasks)
            return recall(data_dir, key, tasks)

        monkeypatch.setattr(reconcile_state, "recall_identities", noted)
        for task in range(31, 61):
            studio.add_task(task)
            studio.tasks[task].update(created_at=LATER, updated_at=LATER)
        studio.tasks[5]["updated_at"] = LATER
        reconcile.within(context, KEY)
        assert listed == [5]
        assert reconcile_state.get(redis, KEY, "since") == LATER
