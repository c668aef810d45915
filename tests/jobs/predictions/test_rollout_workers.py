"""Several workers roll out side by side: each task gets a version once, and the one that is wanted by then is shown."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from known_project import predicted, queued
from rollout_scene import (
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
from studio import KEY, Studio

from ml_backend.demo.clips import Clip
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.rollout import predict, rollout
from ml_backend.jobs.project_lock import project_lock
from ml_backend.projects import registry

__all__ = ["clips", "context", "meanwhile", "studio", "trained"]


def another_version(context: JobContext, name: str = "cold-v2") -> None:
    """A copy of cold-v1 under the next name."""
    models = context.models_dir(KEY)
    shutil.copytree(models / "cold-v1", models / name)
    card = models / name / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "name": name}))


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
