"""A detector that learns from the boxes that people submit: until they are enough `motion` finds what moves; then it is trained, measured
on videos that it has not seen, and put to use unless it is worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import ask
from known_project import queued
from still_films import StillFilm, still_film
from studio import KEY, Studio

from ml_backend.errors import ColdblitzError, JobCancelled, TrainingError, WeightsError
from ml_backend.features import trainable_detection
from ml_backend.jobs.box_tracks import queue_said
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects import detector_examples
from ml_backend.jobs.objects import train_detector as training
from ml_backend.jobs.objects.track import track
from ml_backend.jobs.objects.train_detector import train_detector
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.learning.detector_training import Budget
from ml_backend.objects.boxes import iou
from ml_backend.projects import detector_versions, registry

CONFIG = (
    '<View><Labels name="who" toName="film">{}</Labels><VideoRectangle name="box" toName="film"/>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
BALL = CONFIG.format('<Label value="ball"/>')
ENOUGH = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[int, StillFilm]:
    folder = tmp_path_factory.mktemp("still")
    return {task: still_film(folder / f"{task}.mp4", task) for task in range(1, 7)}


@pytest.fixture
def studio(films: dict[int, StillFilm]) -> Studio:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = BALL
    for task, film in films.items():
        studio.add_task(task, film.path)
    return studio


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, and pictures, epochs and examples are few."""

    def nowhere(name: str, *_: object) -> None:
        raise WeightsError(f"The weights of {name} could not be fetched.", "Copy them.")

    monkeypatch.setattr(trainable_detection, "find_detector_weights", nowhere)
    monkeypatch.setattr(training, "_SIDES", (160,))
    monkeypatch.setattr(detector_examples, "_MOST", 6)
    monkeypatch.setattr(Budget, "on", classmethod(lambda cls, device: Budget(6, 32, 4, 3)))


def submit(studio: Studio, task: int, *items: dict[str, Any], when: str = "2026-02-01T12:00:00Z") -> None:
    studio.tasks[task]["annotations"] = [{"id": 100 + task, "result": list(items), "updated_at": when}]
    studio.tasks[task]["updated_at"] = when


def submit_all(studio: Studio, films: dict[int, StillFilm], tasks: tuple[int, ...] = ENOUGH) -> None:
    for task in tasks:
        submit(studio, task, films[task].item("ball", "ball"))


def empty(context: JobContext) -> None:
    for key in context.redis.scan_iter("rq:*"):
        context.redis.delete(key)


def cards(context: JobContext) -> list[Any]:
    return detector_versions.cards(context.settings.data_dir, KEY)


def sentence(context: JobContext) -> str:
    report = detector_versions.load_report(context.settings.data_dir, KEY)
    assert report is not None
    return report.sentence


def problems(context: JobContext) -> list[str]:
    return registry.problems(context.redis).get(KEY, [])


def test_before_there_are_enough_boxes_motion_finds_what_moves_and_the_page_says_what_is_missing(
    context: JobContext, studio: Studio, films: dict[int, StillFilm]
) -> None:
    ask(context.redis, studio, BALL, detector="train")
    suggest.within(context, KEY, 1)
    assert track.within(context, KEY, 1) == "found 0 tracks in the video of task 1"
    submit_all(studio, films, (1,))
    empty(context)
    queue_said(open_project(context, KEY))
    assert "train_detector" not in queued(context.redis)
    assert "3 more videos with submitted boxes" in sentence(context)
    assert train_detector.within(context, KEY) == sentence(context)
    assert problems(context) == []


def test_one_recording_in_four_tasks_is_one_video(
    context: JobContext, studio: Studio, films: dict[int, StillFilm]
) -> None:
    for task in ENOUGH:
        studio.add_task(task, films[1].path)
    ask(context.redis, studio, BALL, detector="train")
    for task in ENOUGH:
        suggest.within(context, KEY, task)
        submit(studio, task, films[1].item("ball", "ball"))
    assert "3 more videos" in train_detector.within(context, KEY)


def test_enough_boxes_train_a_detector_that_finds_what_motion_cannot(
    context: JobContext, studio: Studio, films: dict[int, StillFilm]
) -> None:
    ask(context.redis, studio, BALL, detector="train")
    for task in (1, 5):
        suggest.within(context, KEY, task)
        track.within(context, KEY, task)
    submit_all(studio, films)
    empty(context)
    queue_said(open_project(context, KEY))
    assert "train_detector" in queued(context.redis)
    said = train_detector.within(context, KEY)
    [card] = cards(context)
    assert card.active, said
    assert card.figures.ap50 > 0.6 > card.against.ap50 == 0.0
    assert card.figures.hota > 0.4 > card.against.hota
    assert card.against.name == "motion"
    assert set(card.trained_on) | set(card.held_out) == set(ENOUGH)
    assert len(card.held_out) == 1
    assert "begins from random weights" in " ".join(problems(context))
    assert sentence(context).startswith("detector-v1 is in use, trained on")
    # All videos are looked at again, by the new one.
    reconcile.within(context, KEY)
    assert {f"track {task}" for task in films} <= set(queued(context.redis))
    suggest.within(context, KEY, 5)
    assert track.within(context, KEY, 5) == "found 1 track in the video of task 5"
    [prediction] = [each for each in studio.predictions if each["task"] == 5]
    [found] = read_tracks(prediction["result"], parse_label_config(BALL).tracks[0]).tracks
    assert found.labels == ("ball",)
    assert float(iou(found.boxes(np.array([10]))[0, :4], np.array(films[5].box))) > 0.5
    # What it knows already is not learned again, and one more of six videos is.
    empty(context)
    assert train_detector.within(context, KEY) == "detector-v1 knows these boxes already"
    submit_all(studio, films, (5,))
    queue_said(open_project(context, KEY))
    assert "train_detector" in queued(context.redis)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that are over at once, whatever comes of them."""
    monkeypatch.setattr(Budget, "on", classmethod(lambda cls, device: Budget(1, 4, 2, 1)))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Has the new detector and the one before have these figures."""

    def have(new: float, before: float) -> None:
        real = training._figures

        def measured(work: Any, chosen: Any, lessons: Any, name: str) -> Any:
            found = real(work, chosen, lessons, name)
            return replace(
                found, ap=before if name else new, ap50=before if name else new, hota=before if name else new
            )

        monkeypatch.setattr(training, "_figures", measured)

    return have


def test_a_worse_one_is_kept_out_of_use_and_told_in_a_sentence(
    context: JobContext, studio: Studio, films: dict[int, StillFilm], quick: None, figures: Callable[..., None]
) -> None:
    figures(0.2, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films)
    said = train_detector.within(context, KEY)
    assert "detector-v1 is kept out of use: on 1 held-out video its mean AP is 0.200 instead of 0.500" in said
    assert not cards(context)[0].active
    assert any(each.startswith("detector-v1 is kept out of use") for each in problems(context))
    assert "motion finds what moves" in sentence(context)
    # It is not made again from the same boxes.
    assert train_detector.within(context, KEY) == "detector-v1 knows these boxes already"
    # Once another detector is chosen, nothing is to be done about it any more.
    ask(context.redis, studio, BALL, detector="motion")
    reconcile.within(context, KEY)
    assert not any("detector-v1" in each for each in problems(context))


def test_another_label_or_base_has_it_trained_anew_and_old_weights_go(
    context: JobContext, studio: Studio, films: dict[int, StillFilm], quick: None, figures: Callable[..., None]
) -> None:
    figures(0.5, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films)
    for config in (BALL, CONFIG.format('<Label value="Ball"/>'), CONFIG.format('<Label value="sphere"/>')):
        ask(context.redis, studio, config, detector="train")
        empty(context)
        reconcile.within(context, KEY)
        assert "train_detector" in queued(context.redis)
        train_detector.within(context, KEY)
    made = cards(context)
    assert [(each.name, each.active) for each in made] == [(f"detector-v{n}", True) for n in (1, 2, 3)]
    assert made[2].against.name == "detector-v2"
    assert made[2].held_out == made[0].held_out
    folder = context.settings.data_dir / "projects" / KEY / "detectors"
    assert sorted(path.parent.name for path in folder.glob("*/weights.safetensors")) == ["detector-v2", "detector-v3"]


def test_a_training_that_was_cut_off_goes_on_where_it_was(
    context: JobContext,
    studio: Studio,
    films: dict[int, StillFilm],
    monkeypatch: pytest.MonkeyPatch,
    figures: Callable[..., None],
) -> None:
    figures(0.5, 0.5)
    monkeypatch.setattr(Budget, "on", classmethod(lambda cls, device: Budget(3, 4, 2, 3)))
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films)
    real = detector_versions.keep_unfinished

    def killed(*arguments: Any) -> None:
        real(*arguments)
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(detector_versions, "keep_unfinished", killed)
        with pytest.raises(SystemExit):
            train_detector.within(context, KEY)
    assert cards(context) == []
    saved: list[int] = []
    monkeypatch.setattr(detector_versions, "keep_unfinished", lambda *arguments: (saved.append(1), real(*arguments))[1])
    train_detector.within(context, KEY)
    [card] = cards(context)
    assert [point["epoch"] for point in card.curve] == [1, 2, 3]
    assert len(saved) == 2
    assert detector_versions.unfinished(context.settings.data_dir, KEY) is None


def test_boxes_that_say_nothing_are_told_and_the_others_are_learned_from(
    context: JobContext, studio: Studio, films: dict[int, StillFilm], quick: None, figures: Callable[..., None]
) -> None:
    figures(0.5, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films, (1, 2, 3, 4, 5))
    outside = films[1].item("ball", "ball", x=130.0)
    submit(studio, 1, outside)
    train_detector.within(context, KEY)
    [card] = cards(context)
    assert 1 not in (*card.trained_on, *card.held_out)
    assert any("task 1: all of its boxes are outside the picture" in each for each in problems(context))


def test_a_video_that_says_nothing_is_not_what_the_detector_is_judged_by(
    context: JobContext, studio: Studio, films: dict[int, StillFilm], quick: None, figures: Callable[..., None]
) -> None:
    figures(0.5, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films, (1, 2, 3, 4, 5))
    train_detector.within(context, KEY)
    [first] = cards(context)
    detector_versions.drop(context.settings.data_dir, KEY, first)
    (context.settings.data_dir / "projects" / KEY / "detectors" / first.name / "card.json").unlink()
    assert cards(context) == []
    [judging] = first.held_out
    submit(studio, judging, films[judging].item("ball", "ball", x=130.0))
    train_detector.within(context, KEY)
    [card] = cards(context)
    assert card.held_out
    assert judging not in card.held_out


def test_a_single_drawn_box_counts_at_its_frame_alone_and_judges_nothing(
    context: JobContext,
    studio: Studio,
    films: dict[int, StillFilm],
    quick: None,
    figures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures(0.5, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films)
    for task in (1, 2, 3):
        item = films[task].item("ball", "ball")
        item["value"]["sequence"] = item["value"]["sequence"][:1]
        submit(studio, task, item)
    with pytest.raises(TrainingError, match="cannot be trained on 3 boxes; 8 is the minimum"):
        train_detector.within(context, KEY)
    monkeypatch.setattr(training, "_FEWEST_BOXES", 3)
    train_detector.within(context, KEY)
    [card] = cards(context)
    assert card.held_out == (4,)
    assert (card.frames, card.boxes) == (3, 3)


def test_what_goes_wrong_in_a_training_leaves_the_detector_before_in_use(
    context: JobContext,
    studio: Studio,
    films: dict[int, StillFilm],
    quick: None,
    figures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures(0.5, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films)
    train_detector.within(context, KEY)
    submit_all(studio, films, (5, 6))
    for error in (TrainingError("Its loss is no number.", "Look."), JobCancelled("It was cancelled.", "Retry it.")):

        def fails(*_: object, raised: ColdblitzError = error) -> None:
            raise raised

        with monkeypatch.context() as failing:
            failing.setattr(training, "_tuned", fails)
            with pytest.raises(type(error)):
                train_detector.within(context, KEY)
        assert str(error) in problems(context)
        assert [each.name for each in cards(context)] == ["detector-v1"]
    suggest.within(context, KEY, 1)
    assert track.within(context, KEY, 1).startswith("found ")


def test_damaged_weights_are_told_tracks_stay_and_it_is_trained_again(
    context: JobContext, studio: Studio, films: dict[int, StillFilm], quick: None, figures: Callable[..., None]
) -> None:
    figures(0.5, 0.5)
    ask(context.redis, studio, BALL, detector="train")
    submit_all(studio, films)
    train_detector.within(context, KEY)
    folder = context.settings.data_dir / "projects" / KEY / "detectors" / "detector-v1"
    (folder / "weights.safetensors").write_bytes(b"nothing")
    empty(context)
    with pytest.raises(WeightsError, match=r"weights of detector-v1 are missing or damaged"):
        track.within(context, KEY, 1)
    assert "train_detector" in queued(context.redis)
    train_detector.within(context, KEY)
    assert [(each.name, each.active) for each in cards(context)] == [("detector-v1", False), ("detector-v2", True)]


def test_a_card_of_a_newer_release_is_left_alone(context: JobContext, tmp_path: Path) -> None:
    folder = context.settings.data_dir / "projects" / KEY / "detectors" / "detector-v7"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"name": "detector-v7", "format": 99}))
    assert cards(context) == []
