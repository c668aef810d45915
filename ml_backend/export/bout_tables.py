"""Bouts as tables in files, and all that a page shows of them, which a job makes."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ml_backend.errors import StorageError
from ml_backend.export.bouts import BoutVideo, Cell, bout_rows, budget_rows, transition_rows
from ml_backend.export.ethogram import Colors, ethogram
from ml_backend.export.event_files import EventChoice, bout_videos, label_colors
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import open_project
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.projects import bout_report
from ml_backend.projects.bout_report import PAGE, PICTURED, BoutReport, BoutTable, Follows, Spent
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.queue import enqueue
from ml_backend.store import files
from ml_backend.wording import counted

_WHOLE = ("task", "first_frame", "last_frame", "count")


@job
def bouts(context: JobContext, project_key: str) -> str:
    """Counts the bouts of a project for its page: people's where they have submitted, predicted ones elsewhere."""
    work, skipped = open_project(context, project_key), list[str]()
    redis, data_dir = context.redis, context.settings.data_dir

    def again() -> None:
        enqueue(redis, "bouts", project_key)

    with project_lock_if_free(redis, data_dir, project_key, "bouts", again) as ours:
        if not ours:
            return "the bouts are being counted, and will be counted again after that"
        videos = []
        for each in bout_videos(work, EventChoice("both", 0.0), skipped):
            videos.append(each)
            context.progress.report(50, f"reading the labels of task {each.task}, {len(videos)} so far")
        context.progress.report(60, f"counting the bouts of {counted(len(videos), 'video')}")
        report = write_report(ProjectFolder(data_dir, project_key).bouts, videos, skipped, label_colors(work.config))
    return f"{counted(report.tables['bouts'].rows, 'bout')} of {counted(report.videos, 'video')}"


def write_report(folder: Path, videos: Sequence[BoutVideo], skipped: Sequence[str], colors: Colors) -> BoutReport:
    """All files of a report, and then the report itself, by which they are found; those of the one before go. Raises StorageError."""
    stem = uuid.uuid4().hex[:12]
    made = {
        "bouts": list(bout_rows(videos)),
        "budget": list(budget_rows(videos)),
        "transitions": list(transition_rows(videos)),
    }
    pictures = -(-len(videos) // PICTURED)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as parent:
            own = Path(parent) / stem
            own.mkdir()
            tables = {name: _lines(own / f"{name}.jsonl", rows) for name, rows in made.items()}
            for name, rows in made.items():
                for ending in ("csv", "parquet"):
                    write_table(own / f"{name}.{ending}", rows)
            for number in range(pictures):
                drawn = ethogram(videos[number * PICTURED : (number + 1) * PICTURED], colors)
                (own / f"ethogram-{number + 1}.svg").write_text(drawn, encoding="utf-8")
            if not files.put_folder(own, folder / stem):
                raise FileExistsError(errno.EEXIST, f"{stem} is there already")
    except OSError as error:
        raise StorageError(
            f"Bouts cannot be written to {folder} ({error.strerror}).",
            "Free up disk space, or set DATA_DIR to another disk.",
        ) from error
    report = BoutReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        stem=stem,
        videos=len(videos),
        skipped=tuple(skipped[:20]),
        left_out=len(skipped),
        tables=tables,
        pictures=pictures,
        spent=tuple(_spent(made["budget"])),
        follows=tuple(_follows(made["transitions"])),
    )
    bout_report.save(folder, report)
    # Also what one that was killed has left here.
    for name in {*files.names(folder), *os.listdir(folder)} - {stem, bout_report.FILE}:
        files.remove_folder(folder / name)
    return report


def _lines(path: Path, rows: Sequence[Mapping[str, Cell]]) -> BoutTable:
    """A row a line, and where each page begins."""
    offsets, at = [], 0
    with path.open("wb") as file:
        for number, row in enumerate(rows):
            if number % PAGE == 0:
                offsets.append(at)
            at += file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return BoutTable(tuple(rows[0]) if rows else (), len(rows), tuple(offsets))


def _spent(budget: Iterable[Mapping[str, Cell]]) -> Iterator[Spent]:
    """The time budget of all videos together."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in budget:
        sums = found.setdefault((str(row["control"]), str(row["who"]), str(row["label"])), [0.0, 0.0, 0.0, 0.0])
        count = float(row["count"] or 0)
        length = float(row["end_s"] or 0) - float(row["start_s"] or 0)
        for at, value in enumerate((count, float(row["total_s"] or 0), count * float(row["mean_s"] or 0), length)):
            sums[at] += value
    for (control, who, label), (count, total, lengths, seconds) in sorted(found.items()):
        mean, share = lengths / count if count else None, total / seconds if seconds else 0.0
        yield Spent(control, who, label, int(count), round(total, 3), mean, share)


def _follows(transitions: Iterable[Mapping[str, Cell]]) -> Iterator[Follows]:
    found: dict[tuple[str, str, str], int] = {}
    for row in transitions:
        key = str(row["control"]), str(row["from"]), str(row["to"])
        found[key] = found.get(key, 0) + int(row["count"] or 0)
    return (Follows(*key, count) for key, count in sorted(found.items()) if count)


def write_table(path: Path, rows: Sequence[Mapping[str, Cell]]) -> None:
    """The whole file or none. Raises StorageError."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    def kind(name: str) -> pa.DataType:
        if name in _WHOLE:
            return pa.int64()
        return pa.float64() if name.endswith("_s") or name in ("share", "score") else pa.string()

    # The same types in each project, also where nothing is known.
    columns = list(rows[0]) if rows else ["task", "video"]
    table = pa.table({name: pa.array([row[name] for row in rows], kind(name)) for name in columns})
    part = path.with_name(f"{path.name}.part")
    try:
        if path.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(table, part)
        else:
            pyarrow.parquet.write_table(table, part, compression="zstd")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}).", "Free up disk space, or give another name."
        ) from error
