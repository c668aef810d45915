"""`coldblitz custom`: a researcher's own model file, tried before a project depends on it."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_backend.commands.terminal import terminal
from ml_backend.errors import ColdblitzError
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from ml_backend.learning.custom.check import CustomCheck

app = typer.Typer(help="Your own model file.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `check` a command of its own while it is the only one."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The model file: .py, .pt, .pt2 or .onnx.")],
    video: Annotated[Path, typer.Option(help="A video to run the model on.")],
    project: Annotated[
        int | None, typer.Option(help="Match its labels with the labels of a Label Studio project.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Runs a model file on a video's first frames, as a worker would. Exit code 0: it can be used; 1: it cannot, with the
    file, the line and what to do; 2: the command was not understood. Example: coldblitz custom check mine.py --video film.mp4"""
    from ml_backend.learning.custom.check import check_custom

    labels, mapping = _of_project(project)
    try:
        # What the file itself prints must not end up in our JSON.
        with redirect_stdout(sys.stderr):
            found = check_custom(file, video, labels, mapping)
    except ColdblitzError as error:
        if not as_json:
            raise
        terminal().print_json(json.dumps({"usable": False, "error": error.message, "remedy": error.remedy}))
        raise SystemExit(1) from None
    if as_json:
        terminal().print_json(json.dumps({"usable": True, **asdict(found)}))
    else:
        _print(found, terminal())


def _of_project(project: int | None) -> tuple[tuple[str, ...] | None, dict[str, str] | None]:
    """Labels and `predicted_values` of a project; neither without one."""
    if project is None:
        return None, None
    from ml_backend.jobs.worker_context import WorkerContext
    from ml_backend.labelstudio.label_config import parse_label_config

    client = WorkerContext(Settings.from_environment()).client
    question = parse_label_config(client.project(project).label_config).main
    return question.labels, dict(question.predicted_values)


def _print(found: CustomCheck, console: Console) -> None:
    height, width = found.size
    console.print(Text(f"{found.file} can be used.", style="bold green"))
    for name, value in (
        ("labels", ", ".join(found.labels)),
        ("outputs", ", ".join(found.outputs)),
        ("pictures", f"{height} x {width}"),
        (
            "answers",
            f"{found.shape[0]} frames x {found.shape[1]} labels, from {found.lowest:.3f} to {found.highest:.3f}",
        ),
        ("speed", f"{found.frames_per_second:g} frames per second, decoding included"),
        *(
            [
                (
                    "fit",
                    f"{found.fit_seconds:g} seconds to learn 32 frames with made-up labels, and to predict them correctly",
                )
            ]
            if found.fit_seconds is not None
            else []
        ),
    ):
        console.print(Text(f"  {name:<10}{value}"))
    table = Table("frame", "second", *found.labels)
    for row in found.first:
        table.add_row(str(row.index), f"{row.seconds:.3f}", *(f"{p:.3f}" for p in row.probabilities))
    console.print(table)
    for note in found.notes:
        console.print(Text(note, style="yellow"))
