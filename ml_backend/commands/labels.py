"""`coldblitz labels`, `quality` and `stats`: what a training has read, which labels are probably wrong, and how far the work is."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ml_backend.commands.backend import Backend
from ml_backend.commands.terminal import terminal
from ml_backend.commands.track_statistics import Whose, print_tracks, write_file
from ml_backend.errors import SettingsError
from ml_backend.projects.label_report import Account, parse_account
from ml_backend.projects.reports import QualityReport, parse_quality
from ml_backend.settings import Settings
from ml_backend.wording import counted, listed

if TYPE_CHECKING:
    from ml_backend.stats import Row, Stats


def print_account(backend: Backend, project: str, task: int | None, as_json: bool) -> None:
    """Prints the account of the last training, of a project or one of its tasks. Raises SettingsError without one."""
    found = backend.labels(project, task)
    if found is None:
        of = f"project {project}" if task is None else f"task {task} of project {project}"
        raise SettingsError(
            f"No training has read the labels of {of} yet.", "One does when an annotation is submitted."
        )
    console = terminal()
    if as_json:
        console.print_json(json.dumps(found))
    else:
        console.print(_table(parse_account(found)))


def _table(account: Account) -> Table:
    title = (
        f"{counted(account.regions, 'region')} in {counted(account.annotations, 'annotation')}, read {account.made}: "
        f"{account.taught} taught something"
    )
    table = Table("control", "regions", "frames", "what became of them", title=title)
    for row in account.rows:
        table.add_row(row.control, str(row.regions), str(row.frames or ""), row.said)
    return table


NONE = "none of the labels"
_SHOWN = 40


def print_report(backend: Backend, project: str, as_json: bool) -> None:
    """Prints what was found after the last training. Raises SettingsError when there was none."""
    found = backend.quality(project)
    if found is None:
        raise SettingsError(
            f"The labels of project {project} have not been checked yet.",
            "They are checked after each training: submit an annotation.",
        )
    console = terminal()
    if as_json:
        console.print_json(json.dumps(found))
    else:
        report = parse_quality(found)
        console.print(_suspects(report), _agreement(report))


def _suspects(report: QualityReport) -> Group:
    title = f"Labels that are probably wrong: {report.found} in {report.videos} videos ({report.made})"
    if not report.suspects:
        return Group(Text(title, style="bold"))
    table = Table("task", "seconds", "frames", "label", "the model says", "doubt", "about", title=title)
    for row in report.suspects[:_SHOWN]:
        table.add_row(
            Text(f"{row.task} ({row.video})", style=Style(link=row.url)),
            f"{row.first_second:.2f} to {row.last_second:.2f}",
            f"{row.start} to {row.end}",
            listed(row.given) or NONE,
            listed(row.expected) or NONE,
            f"{row.doubt:.2f}",
            row.about,
        )
    more = report.found - _SHOWN
    # Apart from the table, where they would be cut into pieces that nobody can copy.
    links = dict.fromkeys(f"task {row.task}: {row.url}" for row in report.suspects[:_SHOWN])
    rest = [f"and {more} more; all with --json"] if more > 0 else []
    return Group(table, *(Text(line, no_wrap=True, overflow="ignore") for line in [*rest, *links]))


def _agreement(report: QualityReport) -> Group:
    of = f", about {report.about}" if report.about else ""
    title = f"Agreement (kappa; {report.compared_frames} frames labeled by two or more annotators{of})"
    people = dict.fromkeys([*report.annotator_kappa, *report.model_kappa])
    if not people:
        return Group(Text(title, style="bold"), Text("No annotator can be compared with anybody."))
    table = Table("of", "with others", "with the model", title=title)
    for label, kappa in report.label_kappa.items():
        table.add_row(label, _kappa(kappa), "")
    for number in people:
        name = report.names.get(number, f"user {number}")
        table.add_row(name, _kappa(report.annotator_kappa.get(number)), _kappa(report.model_kappa.get(number)))
    return Group(table)


def _kappa(kappa: float | None) -> str:
    return "nothing to compare" if kappa is None else f"{kappa:.3f}"


def stats(
    project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")],
    geo: Annotated[Path | None, typer.Option(help="Write where the videos were taken to this GeoJSON file.")] = None,
    tracks: Annotated[bool, typer.Option("--tracks", help="Where tracked objects went instead: a row each.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With --tracks: write a CSV file instead of printing.")
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(
            help="With --tracks: a part of the picture in percent, NAME=left,top,width,height or NAME=x,y x,y x,y; "
            "may be given several times."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--bin", min=0.1, help="With --tracks: a row for every so many seconds.")
    ] = None,
    cm_per_width: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            help="With --tracks: how many centimeters the picture is wide; without it lengths are in picture widths.",
        ),
    ] = None,
    contact: Annotated[
        float,
        typer.Option(
            min=0.0, help="With --tracks: two are in contact when their centers are nearer than this, in body lengths."
        ),
    ] = 1.0,
    pairs: Annotated[bool, typer.Option("--pairs", help="With --tracks: a row for each two individuals.")] = False,
    source: Annotated[
        Whose, typer.Option(help="With --tracks: whose tracks; both takes people's where they have submitted some.")
    ] = Whose.BOTH,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tasks by state, and annotations by annotator, label and day, with the time they took. With --tracks: distance, speed, visits to
    zones, and contacts of tracked objects. Exit code 1 when Label Studio or the file refuses.
    Example: coldblitz stats 1 --tracks --zone "nest=0,0,25,30" --bin 60 -o tracks.csv"""
    from ml_backend.labelstudio.addresses import task_page
    from ml_backend.labelstudio.label_config import parse_label_config
    from ml_backend.labelstudio.studio import LabelStudio
    from ml_backend.stats import count, geojson

    if tracks:
        from ml_backend.export.track_statistics import Wanted
        from ml_backend.geometry.zones import Zone

        if geo is not None:
            raise SettingsError("--geo and --tracks are two questions.", "Give one of them at a time.")
        zones = Zone.parse_all(zone or ())
        if not all(map(math.isfinite, (cm_per_width or 1.0, seconds or 1.0, contact))):
            raise SettingsError("--cm-per-width, --bin, and --contact are numbers.", "Give a finite number.")
        print_tracks(project, Wanted(source.value, zones, seconds, contact, cm_per_width, pairs), output, as_json)
        return
    if output is not None or zone or seconds is not None or pairs:
        raise SettingsError("--output, --zone, --bin, and --pairs are about tracks.", "Add --tracks.")
    if geo is not None and geo.exists():
        raise SettingsError(f"{geo} already exists.", "Remove it, or give another name.")
    settings = Settings.from_environment()
    studio = LabelStudio(settings.label_studio_url, settings.label_studio_api_key)
    config = parse_label_config(studio.projects.get(project).label_config)
    with terminal(stderr=True, quiet=as_json).status("reading the project's tasks"):
        work = list(studio.annotations.work(project, config))
        found = count(work, config, studio.annotations.author_names())
    if geo is not None:
        places = geojson(work, lambda task: task_page(studio.url, project, task))
        write_file(geo, json.dumps(places, ensure_ascii=False, indent=1))
    console = terminal()
    if as_json:
        console.print_json(json.dumps(asdict(found)))
        return
    _tell(console, found)
    if geo is not None:
        console.print(f"{len(places['features'])} of {found.tasks} tasks have a place: {geo}", markup=False)


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
