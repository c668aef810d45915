"""Which frames of which videos become pictures of a data set, and in which part of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ml_backend.errors import SettingsError
from ml_backend.export.project import Run, Video
from ml_backend.wording import counted

Part = str
Sources = Literal["human", "model", "both"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Choice:
    """What to take. `every`: of each label's frames in a video every so many, counted through.

    `min_confidence`: of a model's labels at least this; a person's word is not measured by it. `none`: the folder for
    frames that a person said have none of the labels; None leaves them out. `shares`: of the frames in train, val and
    test; None does not split. `near`: frames whose perceptual hash differs from the one kept before in fewer bits are
    left out; 0 keeps all.
    """

    every: int = 1
    max_per_label: int | None = None
    sources: Sources = "both"
    min_confidence: float = 0.0
    none: str | None = None
    near: int = 0
    shares: tuple[float, float, float] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Picked:
    """One frame in one label's folder."""

    frame: int
    label: str
    run: Run


@dataclass(frozen=True)
class Plan:
    """`picked`: by task, ordered by frame. `parts`: the part of each task, empty when nothing is split."""

    picked: Mapping[int, tuple[Picked, ...]]
    parts: Mapping[int, Part] = field(default_factory=dict)

    def counts(self) -> dict[Part, dict[str, int]]:
        """Pictures by part (`""` when nothing is split) and label."""
        counted: dict[Part, Counter[str]] = {}
        for task, rows in self.picked.items():
            counted.setdefault(self.parts.get(task, ""), Counter()).update(row.label for row in rows)
        return {part: dict(sorted(counted[part].items())) for part in ("", *PARTS) if part in counted}

    def __len__(self) -> int:
        return sum(map(len, self.picked.values()))


def plan(videos: Sequence[Video], choice: Choice) -> Plan:
    """Raises SettingsError when nothing is left to take, or there are too few videos to split."""
    picked = _pick(videos, choice)
    if not picked:
        raise nothing_to_export()
    groups = {video.task.id: video.group for video in videos}
    frames = {task: len(rows) for task, rows in picked.items()}
    parts = split(frames, groups, choice.shares, choice.seed) if choice.shares else {}
    return Plan({task: tuple(rows) for task, rows in picked.items()}, parts)


def narrow(videos: Sequence[Video], choice: Choice) -> list[Video]:
    """The videos with what a table lists of them, those of which nothing is left not among them. Frames that a person
    said have none of the labels are listed, too. Raises SettingsError when nothing is left."""
    if choice.every == 1 and choice.max_per_label is None:
        kept = {video.task.id: tuple(run for run in video.runs if is_taken(run, choice)) for video in videos}
    else:
        picked = _pick(videos, replace(choice, none=""))
        kept = {
            task: tuple(replace(row.run, start=row.frame, stop=row.frame + 1) for row in rows)
            for task, rows in picked.items()
        }
    narrowed = []
    for video in videos:
        if runs := kept.get(video.task.id, ()):
            version = video.version if any(run.source == "model" for run in runs) else None
            narrowed.append(replace(video, runs=runs, version=version))
    if not narrowed:
        raise nothing_to_export()
    return narrowed


def is_taken(run: Run, choice: Choice) -> bool:
    """Whether its source is asked for, and sure enough."""
    sure = run.source == "human" or run.confidence >= choice.min_confidence
    return sure and choice.sources in ("both", run.source)


def nothing_to_export() -> SettingsError:
    """What to raise when a choice leaves nothing."""
    return SettingsError(
        "No frame matches the export options.",
        "Label some frames, or relax the options: another --source, or a lower --min-confidence.",
    )


def _pick(videos: Iterable[Video], choice: Choice) -> dict[int, list[Picked]]:
    candidates = ((video.task.id, _candidates(video, choice)) for video in videos)
    picked = {task: rows for task, rows in candidates if rows}
    return picked if choice.max_per_label is None else _limited(picked, choice.max_per_label)


def _candidates(video: Video, choice: Choice) -> list[Picked]:
    by_label: dict[str, list[Run]] = {}
    for run in video.runs:
        label = choice.none if run.label is None else run.label
        if label is not None and is_taken(run, choice):
            by_label.setdefault(label, []).append(run)
    rows = []
    for label, runs in by_label.items():
        frames = [(frame, run) for run in runs for frame in range(run.start, run.stop)]
        rows += [Picked(frame, label, run) for frame, run in frames[:: choice.every]]
    return sorted(rows, key=lambda row: (row.frame, row.label))


def _limited(picked: Mapping[int, list[Picked]], most: int) -> dict[int, list[Picked]]:
    """At most `most` of each label, spread evenly over all frames of all videos that have it."""
    by_label: dict[str, list[tuple[int, Picked]]] = {}
    for task, rows in picked.items():
        for row in rows:
            by_label.setdefault(row.label, []).append((task, row))
    kept: dict[int, list[Picked]] = {}
    for rows_of_label in by_label.values():
        where = np.unique(np.linspace(0, len(rows_of_label) - 1, min(most, len(rows_of_label))).astype(int))
        for at in where.tolist():
            task, row = rows_of_label[at]
            kept.setdefault(task, []).append(row)
    return {task: sorted(kept[task], key=lambda row: (row.frame, row.label)) for task in sorted(kept)}


def split(
    frames: Mapping[int, int], groups: Mapping[int, str], shares: tuple[float, float, float], seed: int
) -> dict[int, Part]:
    """A part for each task of which `frames` says how many it gives, the same for all tasks with the same video: each goes where
    most frames are still missing.

    Raises SettingsError when a part would stay empty.
    """
    of_group: Counter[str] = Counter()
    for task, count in frames.items():
        of_group[groups[task]] += count
    total = sum(of_group.values())
    wanted = {part: share * total for part, share in zip(PARTS, shares, strict=True) if share > 0}
    if len(of_group) < len(wanted):
        raise SettingsError(
            f"{counted(len(of_group), 'video')} cannot be split into {len(wanted)} parts.",
            "Frames of one video must stay in one part. Label more videos, or omit --split.",
        )

    def order(group: str) -> tuple[int, str]:
        return -of_group[group], hashlib.sha256(f"{seed} {group}".encode()).hexdigest()

    given: dict[str, Part] = {}
    missing = dict(wanted)
    for left, group in zip(range(len(of_group), 0, -1), sorted(of_group, key=order), strict=True):
        empty = [part for part in wanted if part not in given.values()]
        part = max(empty if len(empty) >= left else wanted, key=lambda one: missing[one])
        given[group] = part
        missing[part] -= of_group[group]
    return {task: given[groups[task]] for task in frames}
