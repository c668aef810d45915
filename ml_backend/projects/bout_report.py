"""What a page shows of a project's bouts, as a job has counted them. Imports nothing heavy, and reads of the tables only the page that is
looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from ml_backend.projects.storage import write_whole
from ml_backend.store.files import current

TableName = Literal["bouts", "budget", "transitions"]
# Rows of a page, and videos of one picture.
PAGE, PICTURED = 100, 10
FILE = "report.json"
_NAME = re.compile(r"(?:bouts|budget|transitions)\.(?:csv|parquet)|ethogram-[1-9]\d{0,5}\.svg")


@dataclass(frozen=True)
class BoutTable:
    """`offsets`: at which byte of its file each page begins."""

    columns: tuple[str, ...]
    rows: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Spent:
    """Of one label of one individual in all videos: bouts, seconds, their mean length, and the share of the time."""

    control: str
    who: str
    label: str
    count: int
    total_s: float
    mean_s: float | None
    share: float


@dataclass(frozen=True)
class Follows:
    """How often a bout of `after` is the next that begins after one of `before`."""

    control: str
    before: str
    after: str
    count: int


@dataclass(frozen=True)
class BoutReport:
    """`made`: ISO 8601. `stem`: the folder of its files. `skipped`: why the first of the `left_out` videos are."""

    made: str
    stem: str
    videos: int
    skipped: tuple[str, ...]
    left_out: int
    tables: Mapping[str, BoutTable]
    pictures: int
    spent: tuple[Spent, ...]
    follows: tuple[Follows, ...]


def save(folder: Path, report: BoutReport) -> None:
    """Raises StorageError."""
    write_whole(folder / FILE, json.dumps(asdict(report), ensure_ascii=False).encode(), "What is known of bouts")


def load(folder: Path) -> BoutReport | None:
    """None before the first one, or when it cannot be read."""
    try:
        said = json.loads(current(folder / FILE).read_text(encoding="utf-8"))
        tables = {
            name: BoutTable(tuple(each["columns"]), int(each["rows"]), tuple(each["offsets"]))
            for name, each in said["tables"].items()
        }
        lists = {
            "skipped": tuple(said["skipped"]),
            "spent": tuple(Spent(**row) for row in said["spent"]),
            "follows": tuple(Follows(**row) for row in said["follows"]),
        }
        return BoutReport(**{**said, **lists, "tables": tables})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def rows(folder: Path, report: BoutReport, name: TableName, page: int) -> list[dict[str, Any]]:
    """The rows of one page, from 1; none where it has been counted anew meanwhile."""
    table = report.tables[name]
    if not 1 <= page <= len(table.offsets):
        return []
    try:
        with current(folder / report.stem / f"{name}.jsonl").open("rb") as file:
            file.seek(table.offsets[page - 1])
            return [json.loads(line) for line in islice(file, PAGE)]
    except (OSError, ValueError):
        return []


def file_of(folder: Path, report: BoutReport, name: str) -> Path | None:
    """One of the files of a report; None for a name that is none."""
    return current(folder / report.stem / name) if _NAME.fullmatch(name) else None
