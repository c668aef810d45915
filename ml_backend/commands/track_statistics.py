"""`coldblitz stats --tracks`: where the objects of a project went, as a table."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError, StorageError
from ml_backend.settings import Settings
from ml_backend.wording import counted

if TYPE_CHECKING:
    from ml_backend.export.track_statistics import Wanted
    from ml_backend.geometry.table import Cell


class Whose(StrEnum):
    HUMAN = "human"
    MODEL = "model"
    BOTH = "both"


def print_tracks(project: int, wanted: Wanted, output: Path | None, as_json: bool) -> None:
    """Writes the table to `output`, or prints it. Raises SettingsError, StorageError, LabelStudioError and LabelConfigError."""
    from ml_backend.export.track_statistics import rows
    from ml_backend.geometry.table import as_csv
    from ml_backend.jobs.context import JobContext

    if output is not None and output.exists():
        raise SettingsError(f"{output} already exists.", "Remove it, or give another name.")
    context, skipped = JobContext(Settings.from_environment()), list[str]()
    with terminal(stderr=True, quiet=as_json).status("reading the project's tracks"):
        found = list(rows(context, project, wanted, context.studio.annotations.author_names(), skipped))
    for sentence in skipped:
        terminal(stderr=True).print(sentence, style="yellow", soft_wrap=True)
    console = terminal()
    if output is not None:
        write_file(output, as_csv(found))
    if as_json:
        console.print_json(json.dumps(found))
    elif output is not None:
        console.print(f"{counted(len(found), 'row')}: {output}", soft_wrap=True)
    elif found:
        console.print(_table(found))
    else:
        console.print("There are no tracks yet: none are predicted, and nobody has submitted any.")


def write_file(path: Path, text: str) -> None:
    """The whole file or none. Raises StorageError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror}).", "Free up disk space, or give another name."
        ) from error


# The task says which video it is; the file and the JSON have the rest.
_LEFT_OUT = {"video", "control"}


def _table(rows: list[dict[str, Cell]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    left_out = _LEFT_OUT | ({"start_s", "end_s"} if all(row["start_s"] == 0 for row in rows) else set())
    shown = [name for name in rows[0] if name not in left_out and any(row[name] not in (None, "") for row in rows)]
    for name in shown:
        number = all(isinstance(row[name], int | float | None) for row in rows)
        head = name.replace("_per_s", "/s").replace("widths", "w").replace("_", " ")
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(row[name])) for name in shown))
    return table


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}".rstrip("0").rstrip(".") if abs(cell) < 10 else f"{cell:.1f}"
    return "" if cell is None else f"{cell}"
