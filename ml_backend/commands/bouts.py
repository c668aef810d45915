"""`coldblitz bouts`: each bout of a project's timelines, a time budget, transitions, and an ethogram."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ml_backend.commands.terminal import terminal
from ml_backend.commands.track_statistics import Whose, write_file
from ml_backend.errors import SettingsError
from ml_backend.settings import Settings
from ml_backend.wording import counted

if TYPE_CHECKING:
    from ml_backend.export.bouts import Cell


class Show(StrEnum):
    BOUTS = "bouts"
    BUDGET = "budget"
    TRANSITIONS = "transitions"


def bouts(
    project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")],
    show: Annotated[
        Show,
        typer.Option(help="A row a bout; how much time each label takes; or which label follows which."),
    ] = Show.BOUTS,
    seconds: Annotated[
        float | None, typer.Option("--bin", min=0.1, help="With --show budget: a row for every so many seconds.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write a .csv or .parquet file instead of printing.")
    ] = None,
    ethogram: Annotated[Path | None, typer.Option(help="Draw all videos over time into this .svg file.")] = None,
    source: Annotated[
        Whose, typer.Option(help="Whose labels; both takes people's where they have submitted.")
    ] = Whose.BOTH,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Minimum confidence of a predicted label.")] = 0.0,
    control: Annotated[str | None, typer.Option(help="Only this timeline; the default is all of them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bouts of a project's timelines: when each begins and ends, and whom it is about; counts, total and mean time, latency and share of
    time by label, individual and part of a video; transitions. Exit code 1 when Label Studio or the file refuses.
    Example: coldblitz bouts 1 --show budget --bin 60 -o budget.csv"""
    from ml_backend.export.bout_tables import write_table
    from ml_backend.export.bouts import bout_rows, budget_rows, transition_rows
    from ml_backend.export.ethogram import ethogram as drawn
    from ml_backend.export.event_files import EventChoice, bout_videos, label_colors
    from ml_backend.importing.import_labels import open_timelines
    from ml_backend.jobs.context import JobContext

    if seconds is not None and (show != Show.BUDGET or not math.isfinite(seconds)):
        raise SettingsError("--bin is about the time budget, in seconds.", "Add --show budget, or omit it.")
    for path, endings in ((output, (".csv", ".parquet")), (ethogram, (".svg",))):
        if path is not None and path.suffix.lower() not in endings:
            raise SettingsError(f"{path} does not end in {' or '.join(endings)}.", "Give a name that ends so.")
        if path is not None and path.exists():
            raise SettingsError(f"{path} already exists.", "Remove it, or give another name.")
    work, skipped = open_timelines(JobContext(Settings.from_environment()), project, control), list[str]()
    with terminal(stderr=True, quiet=as_json).status("reading the project's labels"):
        videos = list(bout_videos(work, EventChoice(source.value, min_confidence), skipped, control))
    for sentence in skipped:
        terminal(stderr=True).print(sentence, style="yellow", soft_wrap=True)
    made = {Show.BOUTS: bout_rows, Show.TRANSITIONS: transition_rows}
    rows = list(budget_rows(videos, seconds) if show == Show.BUDGET else made[show](videos))
    console = terminal()
    if ethogram is not None:
        write_file(ethogram, drawn(videos, label_colors(work.config)))
    if output is not None:
        write_table(output, rows)
    if as_json:
        console.print_json(json.dumps(rows))
    elif output is not None or ethogram is not None:
        written = ", ".join(str(each) for each in (output, ethogram) if each is not None)
        console.print(f"{counted(len(videos), 'video')}, {counted(len(rows), 'row')}: {written}", soft_wrap=True)
    elif rows:
        console.print(_table(rows))
    else:
        console.print("There are no bouts yet: nothing is labeled or predicted on a timeline.")


def _table(rows: Sequence[Mapping[str, Cell]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [name for name in rows[0] if name != "video" and any(row[name] not in (None, "") for row in rows)]
    for name in shown:
        is_number = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_said(row[name])) for name in shown))
    return table


def _said(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}".rstrip("0").rstrip(".")
    return "" if cell is None else str(cell)
