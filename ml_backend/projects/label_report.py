"""What people have labelled in a project, as files beside its models. Imports nothing heavy: the web reads it too."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ml_backend.projects.files import write_whole
from ml_backend.projects.folder import ProjectFolder


@dataclass(frozen=True)
class HumanRegion:
    """Labels that somebody left on Label Studio frames `start`..`end`, both included.

    `source`: `person` drew it or answered a suggestion, `accepted` a predicted region as it was, `changed` a predicted one.
    """

    start: int
    end: int
    labels: tuple[str, ...]
    author: int | None
    source: str


@dataclass(frozen=True)
class Author:
    """What one annotator (Label Studio's user id, None when unknown) has done: `frames` are Label Studio frames.

    `name`: as Label Studio has it, None when the token may not see it. `seconds` and `median_seconds`: that their
    annotations took, in all and one of them; None when Label Studio knows of none.
    """

    author: int | None
    annotations: int
    frames: int
    person: int
    accepted: int
    changed: int
    last: str
    name: str | None = None
    seconds: float | None = None
    median_seconds: float | None = None

    @property
    def called(self) -> str:
        """What a page calls them."""
        return self.name or ("unknown" if self.author is None else f"user {self.author}")


@dataclass(frozen=True)
class LabelReport:
    """`made`: ISO 8601. `tasks`: those with an annotation; `reviewed`: those of them whose whole video was looked at.

    `frames`, `regions`: of each label, in Label Studio frames. `sources`: of each label, how many of its regions are of
    which source (as `HumanRegion` has it).
    """

    made: str
    tasks: tuple[int, ...]
    reviewed: tuple[int, ...]
    frames: dict[str, int]
    regions: dict[str, int]
    authors: tuple[Author, ...]
    sources: dict[str, dict[str, int]] = field(default_factory=dict)


def save(
    data_dir: Path, project: str, report: LabelReport, regions: Iterable[tuple[int, Sequence[HumanRegion]]]
) -> None:
    """Replaces the report and what each task has; tasks that are not among `regions` have nothing any more.

    Raises StorageError.
    """
    folder = _folder(data_dir, project)
    kept = set()
    for task, mine in regions:
        _write(folder / f"{task}.json", [asdict(region) for region in mine])
        kept.add(str(task))
    for path in folder.glob("*.json"):
        if path.stem.isdecimal() and path.stem not in kept:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    _write(folder / "report.json", asdict(report))


def load(data_dir: Path, project: str) -> LabelReport | None:
    """None before the first annotation, or when it cannot be read."""
    try:
        data = _read(_folder(data_dir, project) / "report.json")
        authors = tuple(Author(**author) for author in data["authors"])
        lists = {name: tuple(data[name]) for name in ("tasks", "reviewed")}
        return LabelReport(**{**data, **lists, "authors": authors})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def regions_of(data_dir: Path, project: str, task: int) -> tuple[HumanRegion, ...]:
    """What people have labelled in one task, by where it begins."""
    try:
        rows = _read(_folder(data_dir, project) / f"{task}.json")
        found = [HumanRegion(**{**row, "labels": tuple(row["labels"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(sorted(found, key=lambda region: (region.start, region.end)))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, data: object) -> None:
    text = json.dumps(data, ensure_ascii=False)
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return
    write_whole(path, text.encode(), "What people have labeled")


def _folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).labelled
