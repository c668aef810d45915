"""What is there twice in a project: videos, and pictures that are therefore asked about in one of them only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ml_backend.projects import asked_frames

_SHOWN = 50


@dataclass(frozen=True)
class Same:
    """`number` pictures of `task` that are not asked about, since they show what `other` is asked about."""

    task: int
    other: int
    number: int


@dataclass(frozen=True)
class Twice:
    """The first few of `groups` videos that are there more than once, each as its tasks, and of `pairs` of tasks that share
    pictures, those with the most first."""

    copies: tuple[tuple[int, ...], ...]
    groups: int
    shared: tuple[Same, ...]
    pairs: int


def twice(data_dir: Path, project: str) -> Twice:
    copies = asked_frames.copies(data_dir, project)
    counted = Counter((each.task, each.same_task) for each in asked_frames.repeats(data_dir, project))
    shared = [Same(task, other, number) for (task, other), number in counted.most_common(_SHOWN)]
    return Twice(tuple(tuple(group[:_SHOWN]) for group in copies[:_SHOWN]), len(copies), tuple(shared), len(counted))
