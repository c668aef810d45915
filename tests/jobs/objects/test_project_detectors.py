"""The detector that a project has chosen: what it finds gets the project's labels, and what is wrong with it is told once, while all
that was there stays and other tasks go on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
from asking import ask
from boxed_film import BoxedFilm, boxed_film
from known_project import queued
from rq.timeouts import JobTimeoutException
from studio import KEY, Studio
from torchvision import models

from ml_backend.errors import WeightsError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects.track import track
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.objects.boxes import in_shares, iou
from ml_backend.projects import registry, tracks
from ml_backend.queueing.queue import queues

CONFIG = (
    '<View><Labels name="who" toName="film">{}</Labels><VideoRectangle name="box" toName="film"/>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
BALL_AND_CUBE = CONFIG.format('<Label value="Ball" predicted_values="red thing, marble"/><Label value="Cube"/>')
SSD = "torchvision/ssdlite320_mobilenet_v3_large"
RED_THINGS = (Path(__file__).resolve().parents[3] / "docs" / "custom-models" / "red_things.py").read_text()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> BoxedFilm:
    """A ball that lies still: nothing moves."""
    return boxed_film(tmp_path_factory.mktemp("film") / "ball.mp4", seconds=2, moving=False)


@pytest.fixture
def studio(film: BoxedFilm) -> Studio:
    studio = Studio()
    studio.add_task(1, film.path)
    return studio


def put(context: JobContext, code: str, name: str = "detector.py") -> Path:
    folder = context.settings.data_dir / "custom_models"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(code)
    return folder / name


def shown(studio: Studio, config: str, task: int = 1) -> list[Any]:
    [prediction] = [each for each in studio.predictions if each["task"] == task]
    return list(read_tracks(prediction["result"], parse_label_config(config).tracks[0]).tracks)


def empty_queues(context: JobContext) -> None:
    for queue in queues(context.redis):
        queue.empty()


def problems(context: JobContext) -> list[str]:
    return registry.problems(context.redis).get(KEY, [])


def test_a_researchers_file_finds_tracks_under_the_projects_labels(
    context: JobContext, studio: Studio, film: BoxedFilm
) -> None:
    put(context, RED_THINGS, "red.py")
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom:red.py")
    suggest.within(context, KEY, 1)
    assert track.within(context, KEY, 1) == "found 1 track in the video of task 1"
    [found] = shown(studio, BALL_AND_CUBE)
    assert found.labels == ("Ball",)
    truth = in_shares(film.boxes[:40], *film.size)
    assert float(iou(found.boxes(np.arange(1, 41))[:, :4] / 100, truth).min()) > 0.85
    # The file was meant, and its own word is not among what the label asks for besides.
    [told] = problems(context)
    assert told.startswith(
        "The detector custom:red.py does not know “marble”, which predicted_values of <Label> names."
    )


def test_what_a_person_called_a_track_stays_above_what_the_detector_took_it_for(
    context: JobContext, studio: Studio
) -> None:
    put(context, RED_THINGS)
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom")
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    [item] = studio.predictions[0]["result"]
    cube = {**item, "value": {**item["value"], "labels": ["Cube"]}}
    studio.tasks[1]["annotations"] = [{"id": 1, "result": [cube], "updated_at": "2026-02-01T12:00:00Z"}]
    track.within(context, KEY, 1)
    stored = tracks.load(context.settings.data_dir, KEY, 1)
    assert stored is not None
    assert [(each.label, each.detected) for each in stored.tracks] == [("Cube", "Ball")]


def test_where_no_label_means_a_class_of_the_detector_it_is_told_and_all_is_shown(
    context: JobContext, studio: Studio
) -> None:
    put(context, RED_THINGS)
    ask(context.redis, studio, CONFIG.format('<Label value="mouse"/>'), detector="custom")
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    # There is only one that it can be.
    assert [each.labels for each in shown(studio, CONFIG.format('<Label value="mouse"/>'))] == [("mouse",)]
    [told] = problems(context)
    assert told.startswith("The detector custom knows none of the labels of box")
    ask(context.redis, studio, CONFIG.format('<Label value="Red Thing"/>'), detector="custom")
    track.within(context, KEY, 1)
    assert problems(context) == []


@pytest.mark.parametrize("misspelt", ["nonsense", "custom:../../x.py", "torchvision/nope", 7])
def test_a_detector_that_there_is_not_is_told_and_what_was_found_before_stays(
    context: JobContext, studio: Studio, misspelt: object
) -> None:
    put(context, RED_THINGS)
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom")
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    before = studio.predictions[0]["result"]
    ask(context.redis, studio, BALL_AND_CUBE, detector=misspelt)
    assert "names no detector" in str(track.within(context, KEY, 1))
    assert studio.predictions[0]["result"] == before
    assert any("names no detector" in each for each in problems(context))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1 / 0", "detector.py, line 3: ZeroDivisionError"),
        ("[('cat', float('nan'), 0, 0, 1, 1)]", "not numbers"),
        ("[('cat', 0.5, 10, 20, 60, 40)]", "between 0 and 1"),
        ("[('cat', 0.5, 0, 0, 1, 1)] * 5000", "5000 boxes"),
        ("[('horse', 0.5, 0, 0, 1, 1)]", "unknown class 'horse'"),
    ],
)
def test_a_detector_that_fails_on_a_video_is_told_and_what_was_found_before_stays(
    rows: str, said: str, context: JobContext, studio: Studio
) -> None:
    put(context, RED_THINGS)
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom")
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    [before] = shown(studio, BALL_AND_CUBE)
    put(context, f"labels = ['cat']\ndef detect(frames):\n    return [{rows} for _ in frames]\n")
    answer = track.within(context, KEY, 1)
    assert answer.startswith("Task 1 has no new tracks: ")
    assert said in answer
    assert answer in problems(context)
    assert shown(studio, BALL_AND_CUBE) == [before]
    # It is looked at again when the file has been corrected, and not before.
    empty_queues(context)
    reconcile.within(context, KEY)
    assert "track 1" not in queued(context.redis)
    put(context, RED_THINGS + "\n")
    reconcile.within(context, KEY)
    assert "track 1" in queued(context.redis)
    assert track.within(context, KEY, 1) == "found 1 track in the video of task 1"
    assert [each for each in problems(context) if "Task 1" in each] == []


def test_a_detector_that_hangs_is_ended_by_the_jobs_time_limit(context: JobContext, studio: Studio) -> None:
    def too_long(*_: object) -> None:
        raise JobTimeoutException("Task exceeded maximum timeout value (1 seconds)")

    put(
        context,
        "import signal\nlabels = ['cat']\ndef detect(frames):\n    signal.alarm(1)\n    while True:\n        pass\n",
    )
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom")
    before = signal.signal(signal.SIGALRM, too_long)
    try:
        answer = track.within(context, KEY, 1)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert answer.startswith("Task 1 has no new tracks: detector.py, line ")
    assert "exceeded maximum timeout" in answer


def test_a_missing_file_is_told_once_for_all_tasks(context: JobContext, studio: Studio, film: BoxedFilm) -> None:
    studio.add_task(2, film.path)
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom:mine.py")
    for task in (1, 2):
        answer = track.within(context, KEY, task)
        assert answer.startswith(
            "No tracks are predicted by the detector custom:mine.py: The detector is custom:mine.py"
        )
    assert problems(context) == [answer]
    put(context, RED_THINGS, "mine.py")
    reconcile.within(context, KEY)
    assert {"track 1", "track 2"} <= set(queued(context.redis))


def test_missing_weights_are_told_once_and_the_tasks_are_taken_up_when_they_are_there(
    context: JobContext, studio: Studio, film: BoxedFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*arguments: object, **options: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setenv("TORCH_HOME", str(context.settings.data_dir / "torch"))
    studio.add_task(2, film.path)
    ask(context.redis, studio, CONFIG.format('<Label value="thing"/>'), detector=SSD)
    with monkeypatch.context() as offline:
        # Label Studio is asked by another library.
        offline.setattr("ml_backend.features.weights.requests_transport.session", unreachable)
        for task in (1, 2):
            with pytest.raises(WeightsError, match="could not be fetched"):
                track.within(context, KEY, task)
    [told] = problems(context)
    assert told.startswith(f"No tracks are predicted by the detector {SSD}: The weights of {SSD} could not be fetched")
    reconcile.within(context, KEY)
    assert [each for each in queued(context.redis) if each.startswith("track")] == []
    path = context.settings.data_dir / "detectors" / f"{SSD}.pth"
    path.parent.mkdir(parents=True)
    model = models.get_model(SSD[12:], weights=None, weights_backbone=None, num_classes=2)
    torch.save(model.state_dict(), path)
    path.with_suffix(".json").write_text('{"labels": ["thing"]}')
    reconcile.within(context, KEY)
    assert {"track 1", "track 2"} <= set(queued(context.redis))
    for task in (1, 2):
        assert track.within(context, KEY, task).startswith("found ")
    assert problems(context) == []


def test_a_change_of_the_detector_looks_at_all_videos_again(context: JobContext, studio: Studio) -> None:
    put(context, RED_THINGS)
    ask(context.redis, studio, BALL_AND_CUBE)
    suggest.within(context, KEY, 1)
    assert track.within(context, KEY, 1) == "found 0 tracks in the video of task 1"
    empty_queues(context)
    reconcile.within(context, KEY)
    assert "track 1" not in queued(context.redis)
    ask(context.redis, studio, BALL_AND_CUBE, detector="custom")
    reconcile.within(context, KEY)
    assert "track 1" in queued(context.redis)
    assert track.within(context, KEY, 1) == "found 1 track in the video of task 1"
    assert [each.labels for each in shown(studio, BALL_AND_CUBE)] == [("Ball",)]
