"""A file that is replaced at its address, under the same task, is found, and what was made of the one before is made again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from known_project import queued
from redis import Redis
from rollout_scene import COPY, LABELLED, WAITING, clips, context, pushed, studio, trained
from studio import KEY, Studio, drawn

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.errors import VideoError
from ml_backend.jobs import replaced_videos
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions import rollout as rollouts
from ml_backend.jobs.predictions.predictor import Predicted, Predictor
from ml_backend.jobs.predictions.rollout import predict, rollout
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.replaced_videos import recheck
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.suggestions.sheet import pictures
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.training.labelled import Annotated, annotated_tasks, fingerprint
from ml_backend.jobs.training.train import train
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import playback, reconcile_state, registry, stored_predictions, task_view

__all__ = ["clips", "context", "studio", "trained"]


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 200 frames; those of the project have 80."""
    folder = tmp_path_factory.mktemp("longer")
    (clip,) = make_clips(folder, (Script("longer.mp4", 25, (("ball", 100), ("clear", 40), ("car", 60)), 9),))
    return clip.path


@pytest.fixture
def predicted(context: JobContext, studio: Studio, redis: Redis) -> JobContext:
    """All videos have their predictions, and nothing is left to do."""
    rollout.within(context, KEY, "cold-v1")
    assert set(pushed(studio)) == set(studio.tasks)
    settled(redis)
    return context


def settled(redis: Redis) -> None:
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)


def ends(prediction: dict[str, Any]) -> int:
    """The last frame that a prediction says something of."""
    return max(each["end"] for region in prediction["result"] for each in region["value"]["ranges"])


def findings(redis: Redis, task: int) -> list[tuple[str, str]]:
    return [
        (each.severity, each.message) for each in registry.findings_of_task(redis, KEY, task) if each.kind == "replaced"
    ]


def test_is_found_and_predicted_anew_in_the_same_place(
    predicted: JobContext, studio: Studio, redis: Redis, longer: Path
) -> None:
    before = {task: (each["id"], ends(each)) for task, each in pushed(studio).items()}
    assert before[WAITING][1] <= 80
    assert recheck.within(predicted, KEY) == "asked about 4 videos, of which 0 were replaced"
    assert queued(redis) == []

    studio.files[f"{WAITING}.mp4"] = longer
    assert recheck.within(predicted, KEY) == "asked about 4 videos, of which 1 were replaced"
    assert queued(redis) == [f"predict {WAITING}"]
    predict.within(predicted, KEY, WAITING)
    after = {task: (each["id"], ends(each)) for task, each in pushed(studio).items()}
    assert after[WAITING] == (before[WAITING][0], 200), "who has the task open can still submit"
    assert after[COPY] == before[COPY]

    data_dir = predicted.settings.data_dir
    view, stored = task_view.load(data_dir, KEY, WAITING), stored_predictions.load(data_dir, KEY, "cold-v1", WAITING)
    assert view is not None
    assert (view.frames, view.version) == (200, "cold-v1")
    assert stored is not None
    assert stored["result"] == pushed(studio)[WAITING]["result"]
    [(severity, told)] = findings(redis, WAITING)
    assert severity == "note"
    assert told == f"The file of {WAITING}.mp4 was replaced at its address, and is predicted again."

    settled(redis)
    assert recheck.within(predicted, KEY) == "asked about 4 videos, of which 0 were replaced"
    assert predict.within(predicted, KEY, WAITING) == f"task {WAITING} has its prediction already"


def test_annotations_of_the_file_before_stay_and_are_pointed_out_until_somebody_has_looked(
    predicted: JobContext, studio: Studio, redis: Redis, longer: Path
) -> None:
    annotations = [dict(each) for each in studio.tasks[LABELLED]["annotations"]]
    work = open_project(predicted, KEY)
    mark = fingerprint(work, annotated_tasks(work), "resnet")
    studio.files[f"{LABELLED}.mp4"] = longer
    recheck.within(predicted, KEY)
    predict.within(predicted, KEY, LABELLED)
    assert studio.tasks[LABELLED]["annotations"] == annotations
    [(severity, told)] = findings(redis, LABELLED)
    assert severity == "warning"
    assert "was replaced at its address after it was annotated" in told
    assert "train" in queued(redis)
    assert fingerprint(work, annotated_tasks(work), "resnet") != mark
    train.within(predicted, KEY)
    assert findings(redis, LABELLED)
    said = (
        f"The video of task {LABELLED} was replaced by another file after people labeled it, and the model learns from"
    )
    assert [said in problem for problem in registry.problems(redis)[KEY]].count(True) == 1
    studio.tasks[LABELLED]["annotations"][0]["updated_at"] = datetime(2040, 1, 1, tzinfo=UTC).isoformat()
    train.within(predicted, KEY)
    assert findings(redis, LABELLED) == []
    assert not any(said in problem for problem in registry.problems(redis)[KEY])


def test_one_that_is_reviewed_is_not_said_to_be_predicted_again(
    predicted: JobContext, studio: Studio, redis: Redis, clips: list[Clip]
) -> None:
    result = [drawn("r1", 1, 50, "clear"), drawn("r2", 51, 80, "car")]
    studio.tasks[LABELLED]["annotations"] = [{"id": 1, "result": result, "updated_at": "2026-02-01T12:00:00Z"}]
    studio.files[f"{LABELLED}.mp4"] = clips[1].path
    assert "is reviewed" in predict.within(predicted, KEY, LABELLED)
    [(severity, told)] = findings(redis, LABELLED)
    assert severity == "warning"
    assert told.endswith("was replaced at its address after it was annotated.")


def test_the_same_file_with_another_stamp_is_none(
    predicted: JobContext, studio: Studio, redis: Redis, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {task: dict(each) for task, each in pushed(studio).items()}
    answer = studio.view_functions["video"]

    def stamped(name: str) -> Any:
        found = answer(name)
        found.headers["ETag"] = '"after a restart"'
        return found

    monkeypatch.setitem(studio.view_functions, "video", stamped)
    assert "of which 4 were replaced" in recheck.within(predicted, KEY)
    for task in studio.tasks:
        predict.within(predicted, KEY, task)
        assert findings(redis, task) == []
    assert pushed(studio) == shown
    settled(redis)
    assert "of which 0 were replaced" in recheck.within(predicted, KEY)


def test_that_somebody_else_has_fetched_meanwhile_is_found_all_the_same(
    predicted: JobContext, studio: Studio, redis: Redis, longer: Path
) -> None:
    """As an export or a page does, or another project with the same address."""
    studio.files[f"{WAITING}.mp4"] = longer
    work = open_project(predicted, KEY)
    address = predicted.studio.videos.address(work.question.video_of(studio.tasks[WAITING]["data"]))
    assert address is not None
    predicted.videos.fetch(address.url, address.headers)
    assert "of which 1 were replaced" in recheck.within(predicted, KEY)
    predict.within(predicted, KEY, WAITING)
    assert ends(pushed(studio)[WAITING]) == 200


def test_a_new_version_predicts_what_is_there(
    predicted: JobContext, studio: Studio, redis: Redis, longer: Path
) -> None:
    studio.files[f"{WAITING}.mp4"] = longer
    work = open_project(predicted, KEY)
    address = predicted.studio.videos.address(work.question.video_of(studio.tasks[WAITING]["data"]))
    assert address is not None
    predicted.videos.fetch(address.url, address.headers)
    studio.predictions = [each for each in studio.predictions if each["task"] != WAITING]
    embed.within(predicted, KEY, WAITING)
    rollout.within(predicted, KEY, "cold-v1")
    assert ends(pushed(studio)[WAITING]) == 200
    assert f"predict {WAITING}" in queued(redis), "what it has of other versions is about the file before"


def test_one_that_is_replaced_again_while_it_is_predicted_is_predicted_again(
    predicted: JobContext,
    studio: Studio,
    redis: Redis,
    longer: Path,
    clips: list[Clip],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = rollouts.predictor

    def replacing(work: ProjectWork, version: str) -> Predictor:
        predictor = make(work, version)

        def predict_and_replace(task: Task, annotated: Annotated | None) -> Predicted | None:
            found = predictor(task, annotated)
            studio.files[f"{WAITING}.mp4"] = clips[0].path
            return found

        return predict_and_replace

    monkeypatch.setattr(rollouts, "predictor", replacing)
    studio.files[f"{WAITING}.mp4"] = longer
    predict.within(predicted, KEY, WAITING)
    assert ends(pushed(studio)[WAITING]) == 200
    settled(redis)
    assert "of which 1 were replaced" in recheck.within(predicted, KEY)
    predict.within(predicted, KEY, WAITING)
    assert ends(pushed(studio)[WAITING]) == 80
    settled(redis)
    assert "of which 0 were replaced" in recheck.within(predicted, KEY)


def test_a_page_shows_the_new_file(predicted: JobContext, studio: Studio, redis: Redis, longer: Path) -> None:
    """Its player and pictures need no asking for."""
    pictures.within(predicted, KEY, WAITING)
    studio.files[f"{WAITING}.mp4"] = longer
    predict.within(predicted, KEY, WAITING)
    assert f"pictures {WAITING}" in queued(redis)
    pictures.within(predicted, KEY, WAITING)
    found = playback.load(predicted.settings.data_dir, KEY, WAITING)
    assert found is not None
    assert found.frames == 200


def test_a_broken_file_is_tried_once_and_a_good_one_after_it(
    predicted: JobContext, studio: Studio, redis: Redis, longer: Path, tmp_path: Path
) -> None:
    (broken := tmp_path / "broken.mp4").write_bytes(b"not a video" * 1000)
    studio.files[f"{WAITING}.mp4"] = broken
    recheck.within(predicted, KEY)
    with pytest.raises(VideoError):
        predict.within(predicted, KEY, WAITING)
    studio.files[f"{WAITING}.mp4"] = longer
    settled(redis)
    assert "of which 1 were replaced" in recheck.within(predicted, KEY)
    predict.within(predicted, KEY, WAITING)
    assert ends(pushed(studio)[WAITING]) == 200


def test_a_server_that_is_away_says_nothing_about_its_files(
    predicted: JobContext, studio: Studio, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {task: dict(each) for task, each in pushed(studio).items()}

    def away(name: str) -> Any:
        return "away", 503

    monkeypatch.setitem(studio.view_functions, "video", away)
    assert "of which 0 were replaced" in recheck.within(predicted, KEY)
    assert predict.within(predicted, KEY, WAITING) == f"task {WAITING} has its prediction already"
    assert pushed(studio) == shown


def test_suggestions_are_made_anew_where_no_model_predicts(
    context: JobContext, studio: Studio, redis: Redis, longer: Path
) -> None:
    suggest.within(context, KEY, WAITING)
    (before,) = [each["id"] for each in studio.predictions]
    settled(redis)
    studio.files[f"{WAITING}.mp4"] = longer
    recheck.within(context, KEY)
    assert queued(redis) == [f"suggest {WAITING}"]
    suggest.within(context, KEY, WAITING)
    (after,) = studio.predictions
    assert after["id"] == before
    assert ends(after) > 80
    assert [severity for severity, _ in findings(redis, WAITING)] == ["note"]


class TestWhatItCosts:
    def test_a_look_takes_the_next_ones_and_begins_again_after_the_last(
        self, predicted: JobContext, studio: Studio, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replaced_videos, "_TOGETHER", 3)
        asked: list[str] = []
        answer = studio.view_functions["video"]

        def counting(name: str) -> Any:
            asked.append(name)
            return answer(name)

        monkeypatch.setitem(studio.view_functions, "video", counting)
        for _ in range(3):
            recheck.within(predicted, KEY)
        assert asked == [f"{task}.mp4" for task in (1, 2, 3, 4, 1, 2, 3)]

    def test_a_reconcile_asks_no_server_and_has_it_done_every_few_minutes(
        self, predicted: JobContext, studio: Studio, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(studio.view_functions, "video", lambda name: pytest.fail("it asked a server"))
        for _ in range(2):
            reconcile.within(predicted, KEY)
            assert "recheck" not in queued(redis)
        last = reconcile_state.get(redis, KEY, "rechecked")
        reconcile_state.put(redis, KEY, "rechecked", last - 300)
        reconcile.within(predicted, KEY)
        assert "recheck" in queued(redis)


def test_a_task_that_takes_over_a_number_is_not_one_with_a_replaced_file(
    predicted: JobContext, studio: Studio, redis: Redis, longer: Path
) -> None:
    studio.delete_task(WAITING)
    studio.add_task(WAITING, longer)
    studio.tasks[WAITING].update(created_at="2026-02-01T00:00:00Z", updated_at="2026-02-01T00:00:00Z")
    predict.within(predicted, KEY, WAITING)
    assert findings(redis, WAITING) == []
    assert ends(pushed(studio)[WAITING]) == 200
    settled(redis)
    assert "of which 0 were replaced" in recheck.within(predicted, KEY)
