"""What people submit of boxes is kept for the pages as it is now, and tracks that are probably wrong are noted and forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from studio import KEY, Studio

from ml_backend.jobs.box_tracks import queue_said
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_project
from ml_backend.jobs.track_checks import check_found
from ml_backend.jobs.videos import forget_tasks
from ml_backend.projects import registry, submitted_tracks, track_faults
from ml_backend.projects.registry import Known
from ml_backend.projects.tracks import StoredTrack, StoredTracks

CONFIG = (
    '<View><Labels name="who" toName="film"><Label value="mouse"/><Label value="rat"/></Labels>'
    '<VideoRectangle name="box" toName="film"/><Video name="film" value="$video" framerate="25"/></View>'
)


@pytest.fixture
def boxes(context: JobContext, studio: Studio) -> JobContext:
    """A project that asks for boxes."""
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    registry.remember(context.redis, Known(KEY, CONFIG, {"detector": "none"}))
    studio.add_task(1)
    studio.add_task(2)
    return context


def key(frame: int, x: float, enabled: bool = True) -> dict[str, Any]:
    return {"frame": frame, "enabled": enabled, "rotation": 0, "x": x, "y": 10.0, "width": 8.0, "height": 8.0}


def item(region: str, *keys: dict[str, Any], label: str = "mouse") -> dict[str, Any]:
    value = {"labels": [label], "sequence": list(keys)}
    return {
        "id": region,
        "from_name": "box",
        "to_name": "film",
        "type": "videorectangle",
        "value": value,
        "origin": "manual",
    }


def submit(studio: Studio, task: int, *items: dict[str, Any], **more: object) -> None:
    annotation = {"id": task, "result": list(items), "updated_at": "2026-02-01T12:00:00Z", "completed_by": 3, **more}
    studio.tasks[task]["annotations"] = [annotation]


def read(context: JobContext) -> None:
    queue_said(open_project(context, KEY))


def test_what_is_submitted_is_kept_and_what_is_taken_back_goes(boxes: JobContext, studio: Studio) -> None:
    data = boxes.settings.data_dir
    submit(studio, 1, item("a", key(1, 10), key(50, 30, enabled=False)), item("b", key(20, 40), label="rat"))
    submit(studio, 2, item("c", key(1, 10), key(50, 30)), was_cancelled=True)
    read(boxes)
    one, other = submitted_tracks.load(data, KEY, 1)
    assert (one.region, one.labels, one.author, one.accepted, one.called) == ("a", ("mouse",), 3, False, "mouse")
    assert one.keys == ((1, 10.0, 10.0, 8.0, 8.0, 0.0, True), (50, 30.0, 10.0, 8.0, 8.0, 0.0, False))
    assert other.labels == ("rat",)
    assert submitted_tracks.tasks(data, KEY) == {1}
    studio.tasks[1]["annotations"] = []
    read(boxes)
    assert submitted_tracks.load(data, KEY, 1) == ()


def test_a_jump_in_what_was_submitted_is_noted_until_it_is_mended(boxes: JobContext, studio: Studio) -> None:
    data = boxes.settings.data_dir
    jumps = item("coldblitz-track-4", key(1, 10), key(100, 20), key(101, 70), key(200, 80, enabled=False))
    submit(studio, 1, jumps)
    read(boxes)
    [fault], number = track_faults.worst(data, KEY, 10)
    assert (number, fault.task, fault.source, fault.tracks, fault.start, fault.kind) == (
        1,
        1,
        "human",
        ("mouse 4",),
        100,
        "jump",
    )
    assert fault.second == pytest.approx(99 / 25)
    submit(studio, 1, item("coldblitz-track-4", key(1, 10), key(200, 80, enabled=False)))
    read(boxes)
    assert track_faults.worst(data, KEY, 10) == ([], 0)


def test_found_tracks_are_checked_as_they_are_shown_and_a_task_that_is_gone_leaves_nothing(
    boxes: JobContext, studio: Studio
) -> None:
    data, work = boxes.settings.data_dir, open_project(boxes, KEY)
    flat = tuple(
        (each["frame"], each["x"], each["y"], 8.0, 8.0, each["enabled"])
        for each in (key(1, 10), key(100, 20), key(101, 70), key(200, 80, enabled=False))
    )
    stored = StoredTracks(
        tracks=(StoredTrack(1, "box", flat, 0.9), StoredTrack(2, "box", flat, 0.9, replaced=True)),
        lengths={"box": (200, 8.0, 25.0)},
    )
    check_found(work, boxes.studio.tasks.get(7, 1), stored)
    [fault] = track_faults.load(data, KEY, 1)
    assert (fault.source, fault.tracks, fault.control, fault.numbers) == ("model", ("Object 1",), "box", (1,))
    submit(studio, 1, item("a", key(1, 10), key(50, 30, enabled=False)))
    read(boxes)
    forget_tasks(boxes, KEY, [1])
    assert track_faults.load(data, KEY, 1) == []
    assert submitted_tracks.load(data, KEY, 1) == ()


def test_a_damaged_file_is_none(boxes: JobContext, studio: Studio) -> None:
    data = boxes.settings.data_dir
    submit(studio, 1, item("a", key(1, 10), key(50, 30, enabled=False)))
    read(boxes)
    [path] = (data / "projects" / KEY / "submitted_tracks").iterdir()
    path.write_text("[{]")
    (data / "projects" / KEY / "track_faults").mkdir(exist_ok=True)
    (data / "projects" / KEY / "track_faults" / "1.human.json").write_text("{")
    assert submitted_tracks.load(data, KEY, 1) == ()
    assert track_faults.worst(data, KEY, 10) == ([], 0)
    read(boxes)
    assert len(submitted_tracks.load(data, KEY, 1)) == 1
