"""Boxes worth a look: what is asked about tracks, in which task, and what becomes of it."""

from __future__ import annotations

import pytest
from asking import ask
from redis import Redis
from studio import KEY, Studio
from test_track_labels import (
    BOTH,
    QUESTION,
    called,
    films,
    items,
    kind_of,
    name_them,
    sentence,
    shown,
    studio,
    submit,
    tracked,
    work_off,
)

from benchmarks.objects.kinds import FilmedKinds
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects.track import track
from ml_backend.jobs.project import open_project
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.track_questions import asked_of, keep_asked
from ml_backend.jobs.training.train import train
from ml_backend.jobs.videos import forget_tasks
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.projects import submitted_tracks, track_questions, tracks
from ml_backend.projects.track_faults import TrackFault
from ml_backend.projects.tracks import StoredTrack, StoredTracks

__all__ = ["films", "studio", "tracked"]


def asked_in(studio: Studio, task: int) -> list[str]:
    """The ids of the questions in a task's prediction."""
    return [each["id"] for each in items(studio, task) if each["id"].startswith("coldblitz-question-")]


def kind_of_number(studio: Studio, films: dict[int, FilmedKinds], task: int, number: int) -> str:
    return next(kind_of(each, films[task]) for each in shown(studio, task) if each.id == f"coldblitz-track-{number}")


def test_before_anything_is_labeled_the_tracks_of_a_video_are_asked_about_and_answers_teach(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    data_dir = tracked.settings.data_dir
    asked = track_questions.load(data_dir, KEY, 1)
    assert [each.number for each in asked] in ([1, 2], [2, 1])
    assert asked[0].worth >= asked[1].worth > 0
    assert all("Press the digit of its label" in each.text for each in asked)
    assert asked_in(studio, 1) == [f"coldblitz-question-label-{each.number}-{each.frame}" for each in asked]
    # A person gives a label to the questions alone.
    result = items(studio, 1)
    for each in result:
        if each["id"] in asked_in(studio, 1):
            number = int(each["id"].split("-")[3])
            each["value"]["labels"] = [kind_of_number(studio, films, 1, number)]
            each["origin"] = "prediction-changed"
    submit(studio, 1, result)
    train.within(tracked, KEY)
    work_off(tracked)
    assert sentence(tracked).startswith("2 tracks of 1 video taught labels (1 mouse, 1 vole)")
    assert called(studio, 2, films[2]) == {"mouse": ("mouse",), "vole": ("vole",)}
    # Questions are no objects, and an answered task is asked about nothing more.
    assert {each.region for each in submitted_tracks.load(data_dir, KEY, 1)} == {
        "coldblitz-track-1",
        "coldblitz-track-2",
    }
    assert track_questions.load(data_dir, KEY, 1) == ()
    assert {each.task for each in track_questions.best(data_dir, KEY, 9)[0]} <= {2, 3}
    # It is asked again when the annotation is gone.
    studio.tasks[1]["annotations"] = []
    studio.tasks[1]["updated_at"] = "2026-02-09T12:00:00Z"
    train.within(tracked, KEY)
    work_off(tracked)
    assert len(track_questions.load(data_dir, KEY, 1)) == 2


def test_an_untouched_question_teaches_nothing(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    submit(studio, 1, items(studio, 1))
    train.within(tracked, KEY)
    assert work_off(tracked) == []
    stored = tracks.load(tracked.settings.data_dir, KEY, 1)
    assert stored is not None
    assert {each.label for each in stored.shown} == {None}
    assert track_questions.load(tracked.settings.data_dir, KEY, 1) == ()
    [annotation] = studio.tasks[1]["annotations"]
    assert len(read_tracks(annotation["result"], QUESTION).tracks) == 2


def test_who_also_labels_the_track_itself_has_said_that(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1])
    [annotation] = studio.tasks[1]["annotations"]
    for each in annotation["result"]:
        if each["id"].startswith("coldblitz-question-"):
            each["value"]["labels"] = ["vole"]
    train.within(tracked, KEY)
    work_off(tracked)
    assert sentence(tracked).startswith("2 tracks of 1 video taught labels (1 mouse, 1 vole)")


def test_a_video_whose_labels_are_certain_is_asked_about_less_and_opened_later(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    data_dir = tracked.settings.data_dir

    def score(task: int) -> float:
        return float(next(each["score"] for each in studio.predictions if each["task"] == task))

    before = {task: score(task) for task in (2, 3)}
    assert set(before.values()) == {0.5}
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    for task in (2, 3):
        asked = track_questions.load(data_dir, KEY, task)
        stored = tracks.load(data_dir, KEY, task)
        assert stored is not None
        worth = max((each.worth for each in asked), default=0.0)
        assert worth < 0.5
        assert score(task) == pytest.approx(
            min([1 - worth, *(each.score * each.sure for each in stored.shown)]), abs=1e-3
        )
        assert all("Probably" in each.text for each in asked)


def test_none_are_asked_where_the_project_wants_none(
    tracked: JobContext, studio: Studio, redis: Redis, films: dict[int, FilmedKinds]
) -> None:
    ask(redis, studio, BOTH, questions_per_video=0)
    studio.add_task(4, films[2].path)
    suggest.within(tracked, KEY, 4)
    track.within(tracked, KEY, 4)
    assert len(items(studio, 4)) == 2
    assert track_questions.load(tracked.settings.data_dir, KEY, 4) == ()


WALK = ((1, 10.0, 10.0, 8.0, 8.0, True), (60, 20.0, 10.0, 10.0, 10.0, True), (200, 80.0, 10.0, 8.0, 8.0, False))


def test_doubtful_places_are_asked_about_the_most_doubtful_first_and_one_of_each_track(
    tracked: JobContext, studio: Studio
) -> None:
    work = open_project(tracked, KEY)
    task = tracked.studio.tasks.get(7, 1)
    stored = StoredTracks(
        tracks=tuple(StoredTrack(number, "box", WALK, 0.9, worth=0.3) for number in (1, 2, 3, 4, 5)),
        lengths={"box": (200, 8.0, 25.0)},
    )
    faults = [
        TrackFault(1, "a.mp4", "model", ("Object 2",), 100, 101, 3.96, 0.7, "jump", "It jumps.", "box", (2,)),
        TrackFault(
            1, "a.mp4", "model", ("Object 3", "Object 4"), 40, 80, 1.5, 0.9, "switch", "They met.", "box", (3, 4)
        ),
        TrackFault(1, "a.mp4", "model", ("Object 2",), 150, 151, 5.9, 0.6, "jump", "It jumps.", "box", (2,)),
        TrackFault(1, "a.mp4", "model", ("Object 9",), 150, 151, 5.9, 0.99, "jump", "It is gone.", "box", (9,)),
    ]
    asked = asked_of(work, task, stored, faults)
    assert [(each.number, each.frame, each.of_label) for each in asked] == [
        (3, 80, False),
        (2, 101, False),
        (1, 60, True),
    ]
    assert asked[0].text.startswith("With Object 4: They met. If so, end both tracks")
    assert asked[0].name == "Object 3"
    # The box is where the track is at that frame.
    assert asked[1].box[0] == pytest.approx(20 + 60 * 41 / 140, abs=1e-3)
    assert asked[2].second == pytest.approx(59 / 25)
    assert keep_asked(work, task, stored)
    assert not keep_asked(work, task, stored), "nothing has changed"
    assert [each.number for each in track_questions.load(tracked.settings.data_dir, KEY, 1)] == [1, 2, 3]
    forget_tasks(tracked, KEY, [1])
    assert track_questions.load(tracked.settings.data_dir, KEY, 1) == ()


def test_a_damaged_file_asks_nothing(tracked: JobContext) -> None:
    folder = tracked.settings.data_dir / "projects" / KEY / "track_questions"
    for damage in ("", "[{", "[1]", '[{"task": 1}]', "{}"):
        (folder / "1.json").write_text(damage)
        assert track_questions.load(tracked.settings.data_dir, KEY, 1) == ()
        assert track_questions.best(tracked.settings.data_dir, KEY, 50)[0]
