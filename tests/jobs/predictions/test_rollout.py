"""A version reaches every task with its questions and in an order, and is shown only then."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from known_project import predicted, queued
from loopback import serving
from redis import Redis
from studio import KEY, Studio, drawn

from ml_backend.demo.clips import LABELS, Clip, Script, make_clips
from ml_backend.errors import CustomModelError, StorageError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.predictions import rollout as rollouts
from ml_backend.jobs.predictions.predictor import Predictor, predictor
from ml_backend.jobs.predictions.pushing import Held, Pushed
from ml_backend.jobs.predictions.rollout import predict, rollout
from ml_backend.jobs.project import open_project
from ml_backend.jobs.project_lock import project_lock
from ml_backend.jobs.training.train import train
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import registry, stored_predictions, task_view
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

CONFIG = (
    '<View><TimelineLabels name="events" toName="film">'
    + "".join(f'<Label value="{label}"/>' for label in LABELS)
    + '</TimelineLabels><Video name="film" value="$video" framerate="25"/></View>'
)
SCRIPTS = (
    Script("labelled.mp4", 25, (("clear", 20), ("ball", 30), ("car", 30)), 1),
    Script("waiting.mp4", 25, (("car", 30), ("clear", 20), ("ball", 30)), 2),
)
LABELLED, WAITING, COPY, COPIED_AGAIN = 1, 2, 3, 4


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), SCRIPTS)


def opened(clips: list[Clip]) -> Studio:
    """Some frames of task 1 are labelled; tasks 2, 3 and 4 show the same video."""
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for task in (LABELLED, WAITING, COPY, COPIED_AGAIN):
        studio.add_task(task, clips[task > LABELLED].path)
    result = [answer(frame, clips[0].labels[frame - 1]) for frame in range(5, 80, 10)]
    studio.tasks[LABELLED]["annotations"] = [{"id": 1, "result": result, "updated_at": "2026-01-31T12:00:00Z"}]
    return studio


@pytest.fixture
def studio(clips: list[Clip]) -> Studio:
    return opened(clips)


def answer(frame: int, label: str) -> dict[str, Any]:
    return {**drawn(f"kf-{frame}", frame, frame, label), "origin": "prediction-changed"}


def worker(settings: Settings, url: str, data_dir: Path) -> JobContext:
    """With all videos embedded."""
    here = {"label_studio_url": url, "data_dir": data_dir, "redis_url": redis_url(settings)}
    made = JobContext(replace(settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
    registry.remember(made.redis, Known(KEY, CONFIG, {}))
    work = open_project(made, KEY)
    for task in made.studio.tasks.all(work.id):
        task_features(made, work.question, task, made.backbone)
    return made


@pytest.fixture(scope="module")
def trained(
    clips: list[Clip],
    redis_settings: Settings,
    warm: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A data folder in which cold-v1 is."""
    data = warm(tmp_path_factory.mktemp("data"))
    with serving(opened(clips)) as url:
        made = worker(redis_settings, url, data)
        assert "cold-v1 is rolled out" in train.within(made, KEY)
        made.redis.close()
    return data


@pytest.fixture
def context(
    trained: Path,
    studio: Studio,
    redis: Redis,
    redis_settings: Settings,
    tmp_path: Path,
) -> Iterator[JobContext]:
    shutil.copytree(trained, tmp_path / "data")
    with serving(studio) as url:
        made = worker(redis_settings, url, tmp_path / "data")
        registry.want(redis, KEY, "cold-v1")
        yield made
        made.redis.close()


def pushed(studio: Studio) -> dict[int, dict[str, Any]]:
    found = {each["task"]: each for each in studio.predictions}
    assert len(found) == len(studio.predictions)
    return found


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
        assert "Label Studio counts 25 frames per second, the video has 30" in found["message"]
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


def another_version(context: JobContext, name: str = "cold-v2") -> None:
    """A copy of cold-v1 under the next name."""
    models = context.models_dir(KEY)
    shutil.copytree(models / "cold-v1", models / name)
    card = models / name / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "name": name}))


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], object]], None]:
    """What the given function does, of a task, happens while that task is predicted."""

    def set_up(happens: Callable[[int], object]) -> None:
        def watched(*arguments: Any) -> Predictor:
            predict_one = predictor(*arguments)

            def during(task: Task, annotated: Any) -> Any:
                happens(task.id)
                return predict_one(task, annotated)

            return during

        monkeypatch.setattr(rollouts, "predictor", watched)

    return set_up


class TestSeveralWorkers:
    def test_each_task_gets_a_version_once_and_a_worker_that_finds_it_rolled_out_goes_on(
        self, context: JobContext, studio: Studio, meanwhile: Callable[..., None]
    ) -> None:
        said: list[str] = []
        meanwhile(lambda _: said or said.append(rollout.within(context, KEY, "cold-v1")))
        assert rollout.within(context, KEY, "cold-v1") == "predicted 4 of 4 tasks with cold-v1"
        assert said == ["cold-v1 follows the roll-out that runs"]
        assert pushed(studio).keys() == {LABELLED, WAITING, COPY, COPIED_AGAIN}
        assert "rollout cold-v1" not in queued(context.redis), "it is done"

    def test_a_task_that_got_it_meanwhile_is_left_alone(
        self, context: JobContext, studio: Studio, meanwhile: Callable[..., None]
    ) -> None:
        """By whoever did not see the lock: a worker on a machine that was cut off from Redis."""

        def elsewhere(task: int) -> None:
            if task == WAITING:
                predicted(studio, COPY, "cold-v1")

        meanwhile(elsewhere)
        assert rollout.within(context, KEY, "cold-v1") == "predicted 3 of 4 tasks with cold-v1"
        assert pushed(studio).keys() == {LABELLED, WAITING, COPY, COPIED_AGAIN}

    def test_one_that_waited_is_judged_anew_and_does_not_push_aside_a_later_one(
        self, context: JobContext, studio: Studio
    ) -> None:
        another_version(context)
        with project_lock(context.redis, context.settings.data_dir, KEY, "rollout"):
            assert rollout.within(context, KEY, "cold-v1") == "cold-v1 follows the roll-out that runs"
            registry.want(context.redis, KEY, "cold-v2")
        assert rollout.within(context, KEY, "cold-v1") == "cold-v1 was overtaken by cold-v2"
        assert "rollout cold-v2" in queued(context.redis)
        assert studio.predictions == []

    def test_the_one_that_is_wanted_by_then_follows(
        self, context: JobContext, studio: Studio, meanwhile: Callable[..., None]
    ) -> None:
        another_version(context)
        said: list[str] = []

        def later(_: int) -> None:
            if not said:
                registry.want(context.redis, KEY, "cold-v2")
                said.append(rollout.within(context, KEY, "cold-v2"))

        meanwhile(later)
        assert rollout.within(context, KEY, "cold-v1").startswith("predicted 4")
        assert said == ["cold-v2 follows the roll-out that runs"]
        assert studio.project is not None
        assert studio.project["model_version"] == "cold-v1", "until the other has all its predictions"
        assert "rollout cold-v2" in queued(context.redis)
        assert rollout.within(context, KEY, "cold-v2").startswith("predicted 4")
        assert studio.project["model_version"] == "cold-v2"

    def test_new_tasks_are_predicted_side_by_side(
        self, context: JobContext, studio: Studio, clips: list[Clip], meanwhile: Callable[..., None]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        new = range(11, 20)
        for task in new:
            studio.add_task(task, clips[1].path)
        both = threading.Barrier(2)
        first = {11, 12}

        def meet(task: int) -> None:
            if task in first:
                both.wait(60)

        meanwhile(meet)
        with ThreadPoolExecutor(2) as workers:
            said = list(workers.map(lambda task: predict.within(context, KEY, task), new))
        assert said == [f"predicted task {task} with cold-v1" for task in new]
        assert set(new) < pushed(studio).keys()

    def test_a_new_task_does_not_wait_for_a_roll_out(
        self, context: JobContext, studio: Studio, clips: list[Clip]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        studio.add_task(9, clips[1].path)
        with project_lock(context.redis, context.settings.data_dir, KEY, "rollout"):
            assert predict.within(context, KEY, 9) == "predicted task 9 with cold-v1"

    def test_two_workers_at_one_new_task_store_one_prediction(
        self, context: JobContext, studio: Studio, clips: list[Clip], meanwhile: Callable[..., None]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        studio.add_task(9, clips[1].path)
        both = threading.Barrier(2)
        meanwhile(lambda _: both.wait(60))
        with ThreadPoolExecutor(2) as workers:
            said = sorted(workers.map(lambda _: predict.within(context, KEY, 9), range(2)))
        assert said == ["predicted task 9 with cold-v1", "task 9 has its prediction already"]
        assert 9 in pushed(studio)

    def test_a_new_task_of_which_the_version_was_overtaken_meanwhile_is_predicted_again(
        self, context: JobContext, studio: Studio, clips: list[Clip], meanwhile: Callable[..., None]
    ) -> None:
        rollout.within(context, KEY, "cold-v1")
        studio.add_task(9, clips[1].path)
        meanwhile(lambda _: registry.activate(context.redis, KEY, "cold-v2"))
        predict.within(context, KEY, 9)
        assert "predict 9" in queued(context.redis)


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
