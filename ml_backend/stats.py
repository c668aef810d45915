"""How far the work on a project is, and where its videos were taken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from statistics import median
from typing import Any, Literal

from ml_backend.annotation import Annotation
from ml_backend.labelstudio.annotations import Done, TaskWork
from ml_backend.labelstudio.label_config import LabelConfig, Question
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION

State = Literal["none", "suggested", "predicted", "labelled", "reviewed"]
# A task is in the last of these that holds for it.
STATES: tuple[State, ...] = ("none", "suggested", "predicted", "labelled", "reviewed")


@dataclass(frozen=True)
class Row:
    """`annotations`: submitted ones. `frames`: Label Studio frames in their regions. `seconds` and `median_seconds`: of
    lead time, in all and of an annotation; None when Label Studio knows of none."""

    annotations: int
    tasks: int
    regions: int
    frames: int
    seconds: float
    median_seconds: float | None


@dataclass(frozen=True)
class Stats:
    """`labels`: of each label its regions and their Label Studio frames; of a class of whole videos its `videos`. `days`: by
    date in UTC, in order. `controls`: the labels of the config's other questions, by control; `labels` is about the main one.
    """

    tasks: int
    states: Mapping[State, int]
    skipped: int
    labels: Mapping[str, Mapping[str, int]]
    annotators: Mapping[str, Row]
    days: Mapping[str, Row]
    total: Row
    controls: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)


def count(work: Iterable[TaskWork], config: LabelConfig, names: Mapping[int, str]) -> Stats:
    """Labels of the `config` are counted even when nobody used them. `names`: of annotators by their ids."""
    states, skipped, tasks = Counter[State](), 0, 0
    main = config.main.from_name
    done: list[Done] = []
    for each in work:
        tasks += 1
        states[state_of(each)] += 1
        skipped += each.skipped
        done += each.done
    labels = {
        each.from_name: _labels(
            each, [one.annotation if each.from_name == main else one.others[each.from_name] for one in done]
        )
        for each in config.questions
    }

    def author(one: Done) -> str:
        number = one.annotation.author
        return names.get(number, f"user {number}") if number is not None else "unknown"

    return Stats(
        tasks,
        {state: states[state] for state in STATES},
        skipped,
        labels.pop(main, {}),
        _rows(done, author),
        _rows(done, lambda one: one.made.astimezone(UTC).date().isoformat()),
        _row(done),
        labels,
    )


def _labels(question: Question, said: Sequence[Annotation]) -> dict[str, dict[str, int]]:
    """How often each label of a question was given."""
    if question.kind == "choices":
        chosen = Counter(label for each in said if each.whole is not None for label in each.whole.labels)
        return {label: {"videos": chosen[label]} for label in dict.fromkeys([*question.labels, *chosen])}
    regions, frames = Counter[str](), Counter[str]()
    for each in said:
        for region in each.regions:
            for label in region.labels:
                regions[label] += 1
                frames[label] += region.end - region.start + 1
    every = dict.fromkeys([*question.labels, *regions])
    return {label: {"regions": regions[label], "frames": frames[label]} for label in every}


def state_of(work: TaskWork) -> State:
    """`reviewed` when somebody has ticked it; `suggested` when it has nothing but suggested frames."""
    if any(one.annotation.reviewed for one in work.done):
        return "reviewed"
    if work.done:
        return "labelled"
    if work.versions - {KEYFRAMES_VERSION}:
        return "predicted"
    return "suggested" if work.versions else "none"


def geojson(work: Iterable[TaskWork], page: Callable[[int], str]) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946) with a point for each task whose data say where its video was taken.

    `page`: the address that opens a task.
    """
    features = []
    for each in work:
        try:
            place = [float(each.data["longitude"]), float(each.data["latitude"])]
        except (KeyError, TypeError, ValueError):
            continue
        if not (abs(place[0]) <= 180 and abs(place[1]) <= 90):
            continue
        altitude = each.data.get("altitude")
        place += [float(altitude)] if isinstance(altitude, int | float) else []
        properties = {"task": each.id, "state": state_of(each), "page": page(each.id)}
        properties |= {name: each.data[name] for name in ("name", "recorded") if name in each.data}
        point = {"type": "Point", "coordinates": place}
        features.append({"type": "Feature", "geometry": point, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _rows(done: Iterable[Done], key: Callable[[Done], str]) -> dict[str, Row]:
    groups: dict[str, list[Done]] = defaultdict(list)
    for one in done:
        groups[key(one)].append(one)
    return {name: _row(groups[name]) for name in sorted(groups)}


def _row(done: Sequence[Done]) -> Row:
    times = [one.annotation.lead_time for one in done if one.annotation.lead_time is not None]
    regions = [region for one in done for region in one.regions if region.labels]
    return Row(
        annotations=len(done),
        tasks=len({one.annotation.task for one in done}),
        regions=len(regions),
        frames=sum(region.end - region.start + 1 for region in regions),
        seconds=round(sum(times), 1),
        median_seconds=round(median(times), 1) if times else None,
    )
