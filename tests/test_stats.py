"""What is counted of a project's work, and where its videos were taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ml_backend.annotation import Annotation, Region, WholeVideo
from ml_backend.labelstudio.annotations import Done, TaskWork
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.stats import count, geojson, state_of
from ml_backend.video.timeline import StudioFrame


def done(
    task: int, author: int, day: int, seconds: float | None, spans: list[tuple[int, int, str]], reviewed: bool = False
) -> Done:
    regions = tuple(
        Region(f"r{start}", StudioFrame(start), StudioFrame(end), (label,) if label else ())
        for start, end, label in spans
    )
    made = datetime.fromisoformat(f"2026-05-{day:02}T23:30:00+00:00")
    annotation = Annotation(task * 10 + author, task, regions, made, author, reviewed=reviewed, lead_time=seconds)
    return Done(annotation, made)


def task(number: int, *work: Done, versions: tuple[str, ...] = (), skipped: int = 0, **data: Any) -> TaskWork:
    return TaskWork(number, data, work, skipped, frozenset(versions))


def config(*labels: str) -> LabelConfig:
    items = "".join(f'<Label value="{label}"/>' for label in labels)
    return parse_label_config(
        f"""<View><TimelineLabels name="t" toName="v">{items}</TimelineLabels><Video name="v" value="$video"/></View>"""
    )


def test_a_task_is_in_the_last_state_that_holds() -> None:
    answered = done(1, 3, 1, 1.0, [(1, 2, "cat")])
    assert state_of(task(1)) == "none"
    assert state_of(task(1, skipped=1)) == "none"
    assert state_of(task(1, versions=("keyframes-v1",))) == "suggested"
    assert state_of(task(1, versions=("keyframes-v1", "cold-v2"))) == "predicted"
    assert state_of(task(1, answered, versions=("cold-v2",))) == "labelled"
    assert state_of(task(1, answered, done(1, 4, 1, 1.0, [], reviewed=True))) == "reviewed"


def test_annotators_days_and_labels_add_up_to_the_whole() -> None:
    work = [
        task(1, done(1, 3, 1, 10.0, [(1, 10, "cat"), (20, 20, "")]), done(1, 4, 2, 30.0, [(1, 5, "cat")]), skipped=1),
        task(2, done(2, 3, 2, None, [(1, 1, "dog"), (3, 4, "dog")])),
        task(3),
    ]
    found = count(work, config("cat", "dog", "cow"), {3: "Ada", 5: "nobody"})
    assert (found.tasks, found.skipped, found.states["labelled"], found.states["none"]) == (3, 1, 2, 1)
    assert found.labels == {
        "cat": {"regions": 2, "frames": 15},
        "dog": {"regions": 2, "frames": 3},
        "cow": {"regions": 0, "frames": 0},
    }
    ada, other = found.annotators["Ada"], found.annotators["user 4"]
    assert (ada.annotations, ada.tasks, ada.regions, ada.frames, ada.seconds, ada.median_seconds) == (
        2,
        2,
        3,
        13,
        10,
        10,
    )
    assert (other.annotations, other.frames, other.seconds) == (1, 5, 30)
    assert list(found.days) == ["2026-05-01", "2026-05-02"]
    assert [row.annotations for row in found.days.values()] == [1, 2]
    assert (found.total.annotations, found.total.seconds, found.total.median_seconds) == (3, 40, 20)


def test_an_empty_project_has_nothing_to_tell() -> None:
    found = count([], config("cat"), {})
    assert (found.tasks, found.total.annotations, found.total.median_seconds) == (0, 0, None)


def test_boxes_alone_are_no_labels_of_frames() -> None:
    boxes = parse_label_config('<View><VideoRectangle name="b" toName="v"/><Video name="v" value="$video"/></View>')
    found = count([], boxes, {})
    assert (found.labels, found.controls) == ({}, {})


def test_places_are_geojson_with_longitude_first() -> None:
    work = [
        task(1, latitude=51.5, longitude=-0.17, altitude=12.5, name="a.mp4", recorded="2026-05-01T20:30:00+00:00"),
        task(2, name="no place.mp4"),
        task(3, latitude="nowhere", longitude=1),
        task(4, latitude=95, longitude=1),
    ]
    [feature] = geojson(work, lambda number: f"http://studio/{number}")["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-0.17, 51.5, 12.5]}
    assert feature["properties"] == {
        "task": 1,
        "state": "none",
        "page": "http://studio/1",
        "name": "a.mp4",
        "recorded": "2026-05-01T20:30:00+00:00",
    }


def test_labels_of_the_same_name_in_two_controls_are_counted_apart() -> None:
    asked = parse_label_config(
        """<View><TimelineLabels name="t" toName="v"><Label value="cat"/></TimelineLabels>
        <TimelineLabels name="u" toName="v"><Label value="cat"/></TimelineLabels>
        <Choices name="c" toName="v"><Choice value="day"/><Choice value="night"/></Choices>
        <Video name="v" value="$video"/></View>"""
    )
    one = done(1, 3, 1, 10.0, [(1, 10, "cat")])
    other = done(1, 3, 1, 10.0, [(1, 2, "cat")]).annotation
    whole = Annotation(1, 1, (), one.made, 3, whole=WholeVideo("c", ("day",)))
    found = count([task(1, Done(one.annotation, one.made, {"u": other, "c": whole}))], asked, {})
    assert found.labels == {"cat": {"regions": 1, "frames": 10}}
    assert found.controls == {
        "u": {"cat": {"regions": 1, "frames": 2}},
        "c": {"day": {"videos": 1}, "night": {"videos": 0}},
    }
    assert (found.total.annotations, found.total.regions, found.total.frames) == (1, 2, 12)
