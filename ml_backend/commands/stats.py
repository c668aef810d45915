"""`coldblitz stats`: how far the work on a project is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError, StorageError
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from ml_backend.stats import Row, Stats


def stats(
    project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")],
    geo: Annotated[Path | None, typer.Option(help="Write where the videos were taken to this GeoJSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tasks by state, and annotations by annotator, label and day, with the time they took. Exit code 1 when Label Studio or
    the file refuses. Example: coldblitz stats 1 --geo places.geojson"""
    from ml_backend.labelstudio.annotation_stats import Counting
    from ml_backend.labelstudio.label_config import parse_label_config
    from ml_backend.labelstudio.pages import task_page
    from ml_backend.stats import count, geojson

    if geo is not None and geo.exists():
        raise SettingsError(f"{geo} already exists.", "Remove it, or give another name.")
    settings = Settings.from_environment()
    client = Counting(settings.label_studio_url, settings.label_studio_api_key)
    config = parse_label_config(client.project(project).label_config)
    with terminal(stderr=True, quiet=as_json).status("reading the project's tasks"):
        work = list(client.work(project, config))
        found = count(work, config, client.names())
    if geo is not None:
        places = geojson(work, lambda task: task_page(client.url, project, task))
        _write(geo, places)
    console = terminal()
    if as_json:
        console.print_json(json.dumps(asdict(found)))
        return
    _tell(console, found)
    if geo is not None:
        console.print(f"{len(places['features'])} of {found.tasks} tasks have a place: {geo}", markup=False)


def _write(path: Path, content: Mapping[str, object]) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror}).", "Free up disk space, or give another name."
        ) from error


def _tell(console: Console, found: Stats) -> None:
    states = ", ".join(f"{number} {state}" for state, number in found.states.items())
    console.print(f"{found.tasks} tasks: {states}; skipped {found.skipped} times", markup=False)
    for control, labels in {"": found.labels, **found.controls}.items():
        columns = list(next(iter(labels.values()), {}))
        table = Table(f"label of {control}" if control else "label", *columns, box=None, pad_edge=False)
        for label, used in labels.items():
            table.add_row(Text(label), *(str(used[column]) for column in columns))
        console.print(table)
    people = {"annotator": found.annotators, "day": found.days}
    for title, rows in people.items():
        table = Table(title, *_COLUMNS, box=None, pad_edge=False)
        for name, row in rows.items():
            table.add_row(Text(name), *_cells(row))
        if title == "annotator":
            table.add_row("all", *_cells(found.total), style="bold")
        console.print(table)


_COLUMNS = ("annotations", "tasks", "regions", "frames", "time", "median time")


def _cells(row: Row) -> list[str]:
    counts = (row.annotations, row.tasks, row.regions, row.frames)
    return [*map(str, counts), _time(row.seconds), "" if row.median_seconds is None else _time(row.median_seconds)]


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
