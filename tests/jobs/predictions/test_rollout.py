"""A version reaches every task with its questions and in an order, and is shown only then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import pytest
from known_project import queued
from redis import Redis
from rollout_scene import (
    CONFIG,
    COPIED_AGAIN,
    COPY,
    LABELLED,
    WAITING,
    clips,
    context,
    meanwhile,
    pushed,
    studio,
    trained,
)
from studio import KEY, Studio, drawn

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.errors import CustomModelError, StorageError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.predictions import rollout as rollouts
from ml_backend.jobs.predictions.pushing import Held, Pushed
from ml_backend.jobs.predictions.rollout import predict, rollout
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry, stored_predictions, task_view
from ml_backend.projects.registry import Known

__all__ = ["clips", "context", "meanwhile", "studio", "trained"]


def test_questions_come_first_and_copies_of_a_video_after_it(context: JobContext, studio: Studio) -> None:
    assert rollout.within(context, KEY, "cold-v1") == "predicted 4 of 4 tasks with cold-v1"
    for task, prediction in pushed(studio).items():
        empty = [not region["value"]["timelinelabels"] for region in prediction["result"]]
        assert 1 <= sum(empty) <= 5
        assert empty == sorted(empty, reverse=True)
        scores = [region["score"] for region in prediction["result"][sum(empty) :]]
        assert scores == sorted(scores)
        asked = {region["value"]["ranges"][0]["start"] for region in prediction["result"][: sum(empty)]}
        assert not asked & set(range(5, 80, 10)) or task != LABELLED

    found, data = pushed(studio), context.settings.data_dir
    first, *copies = sorted((WAITING, COPY, COPIED_AGAIN), key=lambda task: found[task]["score"])
    for task in (first, LABELLED):
        view = task_view.load(data, KEY, task)
        assert view is not None
        assert found[task]["score"] == pytest.approx(view.certainty, abs=1e-5)
    assert found[first]["score"] < 0.999
    assert [found[task]["score"] for task in copies] == pytest.approx([1, 1], abs=1e-3)
    for task, prediction in found.items():
        stored = stored_predictions.load(data, KEY, "cold-v1", task)
        assert stored is not None
        assert stored["score"] == prediction["score"]


class TestATaskThatComesLater:
    def later(self, context: JobContext, studio: Studio, clip: Clip, task: int = 9) -> float:
        studio.add_task(task, clip.path)
        work = open_project(context, KEY)
        task_features(context, work.question, context.studio.tasks.get(work.id, task), context.backbone)
        assert predict.within(context, KEY, task) == f"predicted task {task} with cold-v1"
        return float(pushed(studio)[task]["score"])

    def test_is_inspected_though_nothing_is_suggested_for_it(
        self, context: JobContext, studio: Studio, tmp_path: Path
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        (clip,) = make_clips(tmp_path, (Script("later.mp4", 30, (("clear", 20), ("car", 20)), 5),))
        self.later(context, studio, clip)
        (found,) = registry.findings_of(context.redis, KEY)[9]
        assert "Label Studio counts 25 frames per second, the video has 30" in found.message
        view = task_view.load(context.settings.data_dir, KEY, 9)
        assert view is not None
        assert (view.version, view.natural) == ("cold-v1", 30)

    def test_is_put_behind_those_that_show_the_same(
        self, context: JobContext, studio: Studio, clips: list[Clip]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        before = {task: each["score"] for task, each in pushed(studio).items()}
        assert self.later(context, studio, clips[1]) == pytest.approx(1, abs=1e-3)
        assert {task: pushed(studio)[task]["score"] for task in before} == before

    def test_goes_by_its_certainty_when_it_shows_something_new_and_stands_before_its_copies(
        self, context: JobContext, studio: Studio, clips: list[Clip]
    ) -> None:
        for task in (WAITING, COPY, COPIED_AGAIN):
            del studio.tasks[task]
        rollout.within(context, KEY, "cold-v1")
        first = self.later(context, studio, clips[1])
        view = task_view.load(context.settings.data_dir, KEY, 9)
        assert view is not None
        assert first == pytest.approx(view.certainty, abs=1e-5)
        assert self.later(context, studio, clips[1], 10) == pytest.approx(1, abs=1e-3)

    def test_is_not_compared_with_tasks_that_are_gone(
        self, context: JobContext, studio: Studio, clips: list[Clip]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        stored_predictions.drop_from_order(context.settings.data_dir, KEY, [WAITING, COPY, COPIED_AGAIN])
        assert self.later(context, studio, clips[1]) < 0.999


def test_label_studios_task_order_is_set_only_when_the_admin_says_so(context: JobContext, studio: Studio) -> None:
    assert studio.project is not None
    studio.project["sampling"] = "Sequential sampling"
    rollout.within(context, KEY, "cold-v1")
    assert studio.project["model_version"] == "cold-v1"
    assert studio.project["sampling"] == "Sequential sampling"
    registry.remember(context.redis, Known(KEY, CONFIG, {"serve_uncertain_first": True}))
    rollout.within(context, KEY, "cold-v1")
    assert studio.project["sampling"] == "Uncertainty sampling"


def test_one_that_broke_off_has_shown_nothing_and_is_made_up_for(
    context: JobContext, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    push, calls = rollouts.push_lacking, []

    def broken(*arguments: Any) -> Pushed:
        calls.append(arguments)
        if len(calls) == 3:
            raise SystemExit
        return push(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(rollouts, "_PUSHED_TOGETHER", 1)
        patched.setattr(rollouts, "push_lacking", broken)
        with pytest.raises(SystemExit):
            rollout.within(context, KEY, "cold-v1")
    assert studio.project is not None
    assert studio.project["model_version"] == ""
    assert registry.active_version(context.redis, KEY) is None
    assert 1 <= len(studio.predictions) < 4
    assert rollout.within(context, KEY, "cold-v1").startswith("predicted ")
    assert pushed(studio).keys() == {LABELLED, WAITING, COPY, COPIED_AGAIN}
    assert studio.project["model_version"] == "cold-v1"


def test_where_all_videos_are_reviewed_it_is_made_once(
    context: JobContext, studio: Studio, clips: list[Clip], redis: Redis
) -> None:
    """Each reconcile used to begin it again, since no task has a prediction by which it could be shown."""
    for task in studio.tasks:
        runs = [(label, len(list(run))) for label, run in groupby(clips[task > LABELLED].labels)]
        ends = list(accumulate(length for _, length in runs))
        result = [drawn(f"r{end}", end - n + 1, end, label) for end, (label, n) in zip(ends, runs, strict=True)]
        studio.tasks[task]["annotations"] = [{"id": task, "result": result, "updated_at": "2026-02-01T12:00:00Z"}]

    def queued_again() -> bool:
        for key in redis.scan_iter("rq:*"):
            redis.delete(key)
        reconcile.within(context, KEY)
        return "rollout cold-v1" in queued(redis)

    assert queued_again()
    assert rollout.within(context, KEY, "cold-v1") == "predicted 0 of 4 tasks with cold-v1"
    assert not queued_again()
    registry.want(redis, KEY, "cold-v2")
    assert "rollout cold-v2" in (reconcile.within(context, KEY) and queued(redis))
    registry.want(redis, KEY, "cold-v1")
    studio.add_task(9, clips[1].path)
    studio.tasks[9]["updated_at"] = "2026-02-02T12:00:00Z"
    assert queued_again(), "there is a video to predict now"


class TestWhatCannotBeHad:
    """One task does not keep the others from their predictions."""

    def test_a_task_that_is_deleted_while_it_is_predicted(
        self, context: JobContext, studio: Studio, meanwhile: Callable[..., None]
    ) -> None:
        meanwhile(lambda _: studio.tasks.pop(COPY, None))
        assert rollout.within(context, KEY, "cold-v1").startswith("predicted 3 ")
        assert pushed(studio).keys() == {LABELLED, WAITING, COPIED_AGAIN}
        assert studio.project is not None
        assert studio.project["model_version"] == "cold-v1"
        assert registry.problems(context.redis) == {}

    def test_a_task_that_is_deleted_while_the_predictions_are_stored(
        self, context: JobContext, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = context.studio.predictions.lacking_among

        def lacking(project: int, version: str, tasks: Collection[int]) -> set[int]:
            found = asked(project, version, tasks)
            studio.tasks.pop(COPY, None)
            return found

        monkeypatch.setattr(context.studio.predictions, "lacking_among", lacking)
        assert rollout.within(context, KEY, "cold-v1").startswith("predicted 3 ")
        assert pushed(studio).keys() == {LABELLED, WAITING, COPIED_AGAIN}
        assert studio.project is not None
        assert studio.project["model_version"] == "cold-v1"
        assert registry.problems(context.redis) == {}

    def test_a_prediction_that_label_studio_does_not_take_is_told(
        self, context: JobContext, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(studio, "takes", lambda prediction: prediction["task"] != COPY)
        assert rollout.within(context, KEY, "cold-v1").startswith("predicted 3 ")
        assert pushed(studio).keys() == {LABELLED, WAITING, COPIED_AGAIN}
        assert stored_predictions.load(context.settings.data_dir, KEY, "cold-v1", COPY) is None
        (told,) = registry.problems(context.redis)[KEY]
        assert f"the prediction of task {COPY}" in told

    @pytest.mark.parametrize("bad", [{COPY}, {LABELLED, WAITING}])
    def test_a_video_of_which_a_researchers_file_fails_is_told(
        self, context: JobContext, studio: Studio, meanwhile: Callable[..., None], bad: set[int]
    ) -> None:
        def fail(task: int) -> None:
            if task in bad:
                raise CustomModelError("It fails of this size.", "Correct it.")

        meanwhile(fail)
        assert rollout.within(context, KEY, "cold-v1").startswith(f"predicted {4 - len(bad)} ")
        assert pushed(studio).keys() == {LABELLED, WAITING, COPY, COPIED_AGAIN} - bad
        assert len(registry.problems(context.redis)[KEY]) == len(bad)

    def test_a_researchers_file_that_fails_of_all_is_not_shown(
        self, context: JobContext, studio: Studio, meanwhile: Callable[..., None]
    ) -> None:
        tried: list[int] = []

        def fail(task: int) -> None:
            tried.append(task)
            raise CustomModelError("It fails.", "Correct it.")

        meanwhile(fail)
        with pytest.raises(CustomModelError):
            rollout.within(context, KEY, "cold-v1")
        assert len(tried) == 3, "it is not tried with all videos"
        for task in (WAITING, COPY, COPIED_AGAIN):
            del studio.tasks[task]
        with pytest.raises(CustomModelError):
            rollout.within(context, KEY, "cold-v1")
        assert studio.predictions == []

    def test_a_new_task_that_is_deleted_while_it_is_predicted_is_no_failure(
        self, context: JobContext, studio: Studio, clips: list[Clip], meanwhile: Callable[..., None]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        studio.add_task(9, clips[1].path)
        meanwhile(lambda task: studio.tasks.pop(task))
        assert (
            predict.within(context, KEY, 9)
            == "Task 9 is not in project 7. It was probably deleted; no action is needed."
        )


def test_what_waits_to_be_put_in_order_leaves_no_file_behind(tmp_path: Path) -> None:
    folder = tmp_path / "projects" / KEY
    with Held(folder) as held:
        assert list(held.scored(tmp_path, KEY, "cold-v1", contextlib.nullcontext())) == []
    assert list(folder.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="set DATA_DIR to another disk"):
        Held(tmp_path / "file")
