"""Labels of tracks, learned: from what people called some of them, each other track of the project gets its label."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from asking import ask
from known_project import queued
from redis import Redis
from studio import KEY, Studio

from benchmarks.objects.kinds import DISTINCT, FilmedKinds, film_kinds
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects.recognize import recognize
from ml_backend.jobs.objects.track import track
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.training.train import train
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.objects.boxes import iou
from ml_backend.projects import reconcile_state, track_rows, tracks

CONFIG = (
    '<View><Labels name="who" toName="film">{}</Labels><VideoRectangle name="box" toName="film"/>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)


def config(*labels: str) -> str:
    return CONFIG.format("".join(f'<Label value="{each}"/>' for each in labels))


BOTH = config("mouse", "vole")
QUESTION = parse_label_config(BOTH).tracks[0]
MOUSE, VOLE, _ = DISTINCT.kinds
TASKS = (1, 2, 3)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[int, FilmedKinds]:
    """Of each task: a mouse and a vole, not always in the same order."""
    folder = tmp_path_factory.mktemp("kinds")
    pairs = {1: (MOUSE, VOLE), 2: (VOLE, MOUSE), 3: (MOUSE, VOLE)}
    return {task: film_kinds(pairs[task], folder / f"{task}.mp4", 40 + task, seconds=6) for task in TASKS}


@pytest.fixture
def studio(films: dict[int, FilmedKinds]) -> Studio:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = BOTH
    for task, film in films.items():
        studio.add_task(task, film.path)
    return studio


@pytest.fixture
def tracked(context: JobContext) -> JobContext:
    for task in TASKS:
        suggest.within(context, KEY, task)
        track.within(context, KEY, task)
    for key in context.redis.scan_iter("rq:*"):
        context.redis.delete(key)
    return context


def shown(studio: Studio, task: int) -> tuple[Track, ...]:
    [prediction] = [each for each in studio.predictions if each["task"] == task]
    return read_tracks(prediction["result"], QUESTION).tracks


def kind_of(found: Track, film: FilmedKinds) -> str:
    """What a track is of, by the truth."""

    def overlap(number: int) -> float:
        truth = film.truth[number]
        return float(np.nan_to_num(iou(found.boxes(truth.frames + 1)[:, :4] / 100, truth.boxes)).mean())

    best = max(range(len(film.truth)), key=overlap)
    assert overlap(best) > 0.4
    return str(film.truth[best].label)


def called(studio: Studio, task: int, film: FilmedKinds) -> dict[str, tuple[str, ...]]:
    """By what each shown track of a task is of, what it is called."""
    return {kind_of(each, film): each.labels for each in shown(studio, task)}


def submit(studio: Studio, task: int, result: list[dict[str, Any]], when: str = "2026-02-01T12:00:00Z") -> None:
    studio.tasks[task]["annotations"] = [{"id": 100 + task, "result": result, "updated_at": when}]
    studio.tasks[task]["updated_at"] = when


def items(studio: Studio, task: int) -> list[dict[str, Any]]:
    """The items of a task's prediction, as its annotation begins with them."""
    [prediction] = [each for each in studio.predictions if each["task"] == task]
    found: list[dict[str, Any]] = json.loads(json.dumps(prediction["result"]))
    return found


def name_them(
    studio: Studio, task: int, film: FilmedKinds, name: Callable[[str], str] = str, when: str = "2026-02-01T12:00:00Z"
) -> None:
    """A person gives each found track of a task its label, and submits."""
    result = items(studio, task)
    ours = [each for each in result if each["id"].startswith("coldblitz-track-")]
    for item, found in zip(ours, shown(studio, task), strict=True):
        item["value"]["labels"] = [name(kind_of(found, film))]
    submit(studio, task, result, when)


def work_off(context: JobContext) -> list[str]:
    """Does the jobs on tracks that are queued, until there are none."""
    done: list[str] = []
    while waiting := [each for each in queued(context.redis) if each.split()[0] in ("track", "recognize")]:
        for key in context.redis.scan_iter("rq:*"):
            context.redis.delete(key)
        # As workers take them.
        for each in sorted(waiting):
            done.append(each)
            kind, *task = each.split()
            said = recognize.within(context, KEY) if kind == "recognize" else track.within(context, KEY, int(task[0]))
            assert said
    return done


def sentence(context: JobContext) -> str:
    [told] = track_rows.load_taught(context.settings.data_dir, KEY)
    return told.sentence


def test_labels_of_one_video_are_shown_in_the_others(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    assert called(studio, 2, films[2]) == {"mouse": (), "vole": ()}
    without = {each.id: each.score for each in shown(studio, 2)}
    name_them(studio, 1, films[1])
    before = items(studio, 1)
    train.within(tracked, KEY)
    assert work_off(tracked) == ["track 1", "recognize"]
    for task in (2, 3):
        assert called(studio, task, films[task]) == {"mouse": ("mouse",), "vole": ("vole",)}
    for each in shown(studio, 2):
        assert each.score is not None
        # One example of each is not much to go by.
        assert 0.5 * (without[each.id] or 0) < each.score < 0.95 * (without[each.id] or 0)
    [prediction] = [each for each in studio.predictions if each["task"] == 2]
    assert 0 < prediction["score"] <= min(each.score or 0 for each in shown(studio, 2))
    assert items(studio, 1) == before, "somebody has begun to work on it"
    assert sentence(tracked) == (
        "2 tracks of 1 video taught labels (1 mouse, 1 vole); 4 others got theirs. How right they are is known once two kinds "
        "are labeled in several videos."
    )


def test_a_video_that_comes_later_has_its_labels_from_the_start_and_nothing_is_done_twice(
    tracked: JobContext, studio: Studio, redis: Redis, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    studio.add_task(4, films[2].path)
    suggest.within(tracked, KEY, 4)
    track.within(tracked, KEY, 4)
    assert called(studio, 4, films[2]) == {"mouse": ("mouse",), "vole": ("vole",)}
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    reconcile.within(tracked, KEY)
    assert not [each for each in queued(redis) if each.startswith(("recognize", "track"))]
    train.within(tracked, KEY)
    assert not [each for each in queued(redis) if each.startswith(("recognize", "track"))]
    # What Redis forgets, and what a killed worker leaves undone, a reconcile finds.
    reconcile_state.drop(redis, KEY, "recognized")
    reconcile.within(tracked, KEY)
    assert "recognize" in queued(redis)
    before = [dict(each) for each in studio.predictions]
    assert work_off(tracked) == ["recognize"]
    assert studio.predictions == before


def test_held_out_videos_tell_how_right_it_is(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    for task in TASKS:
        name_them(studio, task, films[task])
    train.within(tracked, KEY)
    work_off(tracked)
    assert sentence(tracked) == (
        "6 tracks of 3 videos taught labels (3 mouse, 3 vole). In videos that taught nothing, 100% of 6 "
        "tracks were right."
    )


def test_what_people_say_wins_and_what_they_change_is_learned_anew(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    swapped = {"mouse": "vole", "vole": "mouse"}
    # A person calls the mouse of another task a vole: theirs stays what they said.
    name_them(studio, 2, films[2], swapped.__getitem__, "2026-02-02T12:00:00Z")
    train.within(tracked, KEY)
    work_off(tracked)
    stored = tracks.load(tracked.settings.data_dir, KEY, 2)
    assert stored is not None
    assert {(each.label, each.predicted) for each in stored.shown} == {("mouse", None), ("vole", None)}
    name_them(studio, 1, films[1], swapped.__getitem__, "2026-02-03T12:00:00Z")
    train.within(tracked, KEY)
    work_off(tracked)
    assert called(studio, 3, films[3]) == {"mouse": ("vole",), "vole": ("mouse",)}
    # And what they take back is not known any more.
    for task in (1, 2):
        submit(studio, task, [], "2026-02-04T12:00:00Z")
    train.within(tracked, KEY)
    work_off(tracked)
    assert called(studio, 3, films[3]) == {"mouse": (), "vole": ()}
    assert sentence(tracked).startswith("No track has a label from the label config yet")


def test_a_predicted_label_that_is_kept_while_its_box_is_dragged_teaches_nothing(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    told = sentence(tracked)
    result = [each for each in items(studio, 2) if each["id"].startswith("coldblitz-track-")]
    for item in result:
        assert item["value"]["labels"]
        item["value"]["sequence"][0]["x"] += 1
    submit(studio, 2, result)
    train.within(tracked, KEY)
    work_off(tracked)
    assert sentence(tracked) == told
    stored = tracks.load(tracked.settings.data_dir, KEY, 2)
    assert stored is not None
    assert {each.label for each in stored.shown} == {None}
    # The same track under another label is a person's word.
    name_them(studio, 2, films[2], {"mouse": "vole", "vole": "mouse"}.__getitem__, "2026-02-02T12:00:00Z")
    train.within(tracked, KEY)
    work_off(tracked)
    assert sentence(tracked).startswith("4 tracks of 2 videos taught labels (2 mouse, 2 vole)")


def test_a_drawn_box_and_a_track_of_ones_own_teach_as_well(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    result = []
    for number, frames in ((0, (40,)), (1, (20, 60, 100))):
        truth = films[1].truth[number]
        sequence = []
        for frame in frames:
            box = truth.box(frame - 1)
            assert box is not None
            x, y, width, height = (100 * box.astype(float)).tolist()
            sequence.append(
                {"frame": frame, "enabled": True, "rotation": 0, "x": x, "y": y, "width": width, "height": height}
            )
        value = {"labels": [truth.label], "sequence": sequence}
        head = {"from_name": "box", "to_name": "film", "type": "videorectangle", "origin": "manual"}
        result.append({"id": f"own-{number}", **head, "value": value})
    submit(studio, 1, result)
    train.within(tracked, KEY)
    work_off(tracked)
    assert called(studio, 2, films[2]) == {"mouse": ("mouse",), "vole": ("vole",)}
    assert sentence(tracked).startswith("2 tracks of 1 video taught labels (1 mouse, 1 vole)")
    # The found track of the same object is called as the person's own.
    assert called(studio, 1, films[1])["vole"] == ("vole",)


def test_a_track_of_ones_own_of_what_was_not_found_teaches_alone(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    corner = [
        {"frame": frame, "enabled": True, "rotation": 0, "x": 1, "y": 1, "width": 8, "height": 9} for frame in (10, 90)
    ]
    result = [each for each in items(studio, 1) if each["id"].startswith("coldblitz-track-")]
    for item in result:
        item["value"]["labels"] = ["mouse"]
    head = {"from_name": "box", "to_name": "film", "type": "videorectangle", "origin": "manual"}
    result.append({"id": "corner", **head, "value": {"labels": ["vole"], "sequence": corner}})
    submit(studio, 1, result)
    train.within(tracked, KEY)
    work_off(tracked)
    assert sentence(tracked).startswith("3 tracks of 1 video taught labels (2 mouse, 1 vole)")
    stored = tracks.load(tracked.settings.data_dir, KEY, 1)
    assert stored is not None
    assert len(stored.shown) == 2, "what a person drew is theirs, and not predicted beside it"


def test_one_label_alone_teaches_nothing_and_says_so(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1], lambda _: "mouse")
    train.within(tracked, KEY)
    work_off(tracked)
    assert called(studio, 2, films[2]) == {"mouse": (), "vole": ()}
    assert sentence(tracked) == ("Only 2 mouse so far: give labels to tracks of two kinds, and the others get theirs.")


def test_a_label_that_is_not_in_the_label_config_any_more_is_not_used(
    tracked: JobContext, studio: Studio, redis: Redis, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    ask(redis, studio, config("mouse", "rat", "hamster"))
    reconcile.within(tracked, KEY)
    work_off(tracked)
    assert {each.labels for each in shown(studio, 2)} == {()}
    assert "recognize" not in queued(redis)
    name_them(studio, 2, films[2], lambda kind: {"mouse": "mouse", "vole": "rat"}[kind])
    train.within(tracked, KEY)
    work_off(tracked)
    assert called(studio, 3, films[3]) == {"mouse": ("mouse",), "vole": ("rat",)}
    assert sentence(tracked).endswith("Not in the label config any more, so unused: “vole”.")


@pytest.mark.parametrize("damage", ["gone", "empty", "cut off", "no numbers", "of another network"])
def test_what_is_not_known_of_tracks_any_more_is_looked_at_again(
    damage: str, tracked: JobContext, studio: Studio, redis: Redis, films: dict[int, FilmedKinds]
) -> None:
    data_dir = tracked.settings.data_dir
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    labeled = {task: called(studio, task, films[task]) for task in (2, 3)}
    folder = data_dir / "projects" / KEY / "tracks"
    for task in TASKS:
        path = folder / f"{task}.npz"
        known = track_rows.load(data_dir, KEY, task)
        assert known is not None
        if damage == "gone":
            path.unlink()
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "cut off":
            path.write_bytes(path.read_bytes()[:-200])
        elif damage == "no numbers":
            bad = {key: {name: row * np.nan for name, row in each.items()} for key, each in known.rows.items()}
            track_rows.save(data_dir, KEY, task, replace(known, rows=bad))
        else:
            track_rows.save(data_dir, KEY, task, replace(known, made_by="another"))
    reconcile_state.drop(redis, KEY, "recognized")
    reconcile.within(tracked, KEY)
    done = work_off(tracked)
    assert {f"track {task}" for task in TASKS} <= set(done)
    assert len(done) < 12, "it comes to an end"
    assert {task: called(studio, task, films[task]) for task in (2, 3)} == labeled
    reconcile.within(tracked, KEY)
    assert not [each for each in queued(redis) if each.startswith(("recognize", "track"))]


def test_a_damaged_head_says_nothing_and_tracks_are_found_without_it(
    tracked: JobContext, studio: Studio, films: dict[int, FilmedKinds]
) -> None:
    name_them(studio, 1, films[1])
    train.within(tracked, KEY)
    work_off(tracked)
    [head] = (tracked.settings.data_dir / "projects" / KEY / "tracks").glob("head-*.npz")
    head.write_bytes(head.read_bytes()[:500])
    studio.add_task(4, films[2].path)
    suggest.within(tracked, KEY, 4)
    assert track.within(tracked, KEY, 4) == "found 2 tracks in the video of task 4"
    assert {each.labels for each in shown(studio, 4)} == {()}


def test_without_tracks_to_learn_from_there_is_nothing_to_do(context: JobContext, studio: Studio, redis: Redis) -> None:
    assert recognize.within(context, KEY) == "no track has a label to learn from"
    assert "No track has a label" in sentence(context)
    ask(redis, studio, config("mouse"))
    assert recognize.within(context, KEY) == "no track has a label to learn from"
    assert track_rows.load_taught(context.settings.data_dir, KEY) == []
    reconcile.within(context, KEY)
    assert "recognize" not in queued(redis)
