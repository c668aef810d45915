"""`coldblitz suggest`, `train`, `predict`, `reconcile`: jobs that come by themselves, asked for now. `coldblitz status` shows them live."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ml_backend.commands.backend import Backend, There, Url, backend, ended
from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError
from ml_backend.project_settings import BlitzSettings

_Project = Annotated[str, typer.Argument(help="Number of the project in Label Studio.")]
_Tasks = Annotated[list[int] | None, typer.Option("--task", help="One task; may be given several times.")]
_Seconds = Annotated[float, typer.Option(min=0, help="How long to wait for the workers, in seconds.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def suggest(
    project: _Project, task: _Tasks = None, seconds: _Seconds = 60, url: Url = None, as_json: _AsJson = False
) -> None:
    """Keyframe suggestions for tasks, or for all that lack any. Exit code 1 when something failed or still waits.
    Example: coldblitz suggest 1 --task 12"""
    _tell(ask(backend(url), "suggest", project, task or (), seconds), as_json)


def train(
    project: _Project,
    kind: Annotated[
        str | None,
        typer.Option(
            help="cold, blitz, or custom, for this training and all later ones; extra-params: as the extra params say.",
            show_default="as it is chosen",
        ),
    ] = None,
    fit: Annotated[str | None, typer.Option(help="With --kind blitz: head or finetune.")] = None,
    cycles: Annotated[int | None, typer.Option(help="With --kind blitz: number of epochs.")] = None,
    validation_split: Annotated[
        float | None, typer.Option(help="With --kind blitz: share of the videos held out.")
    ] = None,
    early_stopping: Annotated[
        int | None, typer.Option(help="With --kind blitz: stop after this many epochs without improvement.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="With --kind blitz: side of the training pictures in pixels.")
    ] = None,
    frame_step: Annotated[int | None, typer.Option(help="With --kind blitz: train on every n-th frame.")] = None,
    file: Annotated[
        str | None, typer.Option(help="With --kind custom: the name of a file in custom_models inside DATA_DIR.")
    ] = None,
    seconds: _Seconds = 600,
    url: Url = None,
    as_json: _AsJson = False,
) -> None:
    """Trains a project's next model version from the annotations there are. Exit code 1 when it failed or still waits.
    Example: coldblitz train 1 --kind blitz --fit finetune --cycles 20"""
    knobs = (fit, cycles, validation_split, early_stopping, image_size, frame_step)
    blitz = {each.name: value for each, value in zip(fields(BlitzSettings), knobs, strict=True) if value is not None}
    if blitz and kind != "blitz":
        raise SettingsError(f"{', '.join(blitz)} is about Blitz, which is not asked for.", "Add --kind blitz.")
    if file is not None and kind != "custom":
        raise SettingsError("--file is about custom, which is not asked for.", "Add --kind custom.")
    asked = backend(url)
    jobs = asked.ask("train", project, ()) if kind is None else asked.train(project, kind, blitz, file)
    _tell(_ended(asked, jobs, seconds), as_json)


def predict(
    project: _Project, task: _Tasks = None, seconds: _Seconds = 600, url: Url = None, as_json: _AsJson = False
) -> None:
    """Timelines of the active model version for tasks, or for all that lack one. Exit code 1 when something failed or still
    waits. Example: coldblitz predict 1"""
    _tell(ask(backend(url), "predict", project, task or (), seconds), as_json)


def ask(backend: Backend, kind: str, project: str, tasks: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """Queues the jobs and waits at most so long; one row each: `job`, `state` and `text`.

    Raises SettingsError when no backend runs, the project is not known, or there is nothing to predict with.
    """
    return _ended(backend, backend.ask(kind, project, tasks), seconds)


def _ended(backend: Backend, jobs: Mapping[str, str], seconds: float) -> list[dict[str, Any]]:
    return [{"job": name, **row} for name, row in ended(backend, jobs, seconds).items()]


def _tell(rows: list[dict[str, Any]], as_json: bool) -> None:
    raise SystemExit(0 if report(rows, as_json, of="job", told="what it did") else 1)


def reconcile(backend: Backend, project: str | None, *, thorough: bool, seconds: float) -> list[dict[str, Any]]:
    """Queues the reconcile of one project (its number or key) or of all, and waits at most so long for the workers.

    One row each: project, state (`finished`, `failed`, else what it waits for) and text. `thorough` compares everything
    though nothing seems to have changed. Raises SettingsError.
    """
    jobs = backend.reconcile(project, thorough)
    return [{"project": key, **row} for key, row in ended(backend, jobs, seconds).items()]


def report(rows: list[dict[str, Any]], as_json: bool, *, of: str = "project", told: str = "what was missing") -> bool:
    """Prints what became of jobs, each named by its column `of`; returns whether all are finished."""
    if as_json:
        terminal().print_json(json.dumps(rows))
    else:
        table = Table(of, "state", told)
        for row in rows:
            table.add_row(row[of], row["state"], row["text"])
        terminal().print(table)
    return all(row["state"] == "finished" for row in rows)


_EVERY = 0.5
_SHOWN = 8


def follow(url: str, *, once: bool, as_json: bool) -> None:
    """Prints once, or follows until Ctrl+C. Raises SettingsError when no backend answers at `url`."""
    console = terminal()
    jobs = _jobs(url)
    if as_json:
        console.print_json(json.dumps(jobs))
        return
    if once or not console.is_terminal:
        console.print(view(jobs))
        return
    try:
        with Live(view(jobs), console=console, auto_refresh=False) as live:
            while True:
                live.update(view(_jobs(url)), refresh=True)
                time.sleep(_EVERY)
    except KeyboardInterrupt:
        return


def view(jobs: dict[str, Any]) -> Group:
    """Counts, then running jobs with their bars, then failures and problems with what to do."""
    counts = "  ".join(f"{name} {count}" for name, count in jobs["counts"].items())
    parts: list[Any] = [Text(counts, style="bold")]
    for key, version in sorted(jobs["versions"].items()):
        parts.append(Text(f"project {key.split('.')[0]} shows {version}", style="dim"))
        if left := jobs.get("stopping", {}).get(key):
            tasks = ", ".join(str(video["task"]) for video in left["worst"])
            where = f", most in the videos of tasks {tasks}" if tasks else ""
            parts.append(Text(f"  {left['text']}{where}. {left['verdict'].capitalize()}: {left['why']}"))
        if frames := jobs.get("companions", {}).get(key):
            answered = f"{frames['answered']} of {frames['images']} suggested frames are labeled"
            parts.append(Text(f"  {answered} as images in project {frames['project']}", style="dim"))
    if jobs["running"]:
        running = Table.grid(padding=(0, 2))
        for job in jobs["running"][:_SHOWN]:
            bar = ProgressBar(total=100, completed=job["percent"], width=24)
            running.add_row(job["kind"], f"project {str(job['project']).split('.')[0]}", bar, job["text"])
        parts.append(running)
    for row in jobs["finished"][:_SHOWN]:
        parts.append(Text(f"✓ {row['kind']}: {row['text']}", style="green"))
    for row in jobs["failed"][:_SHOWN]:
        parts.append(Text(f"✗ {row['kind']} {row['task'] or ''}: {row['reason']}", style="red"))
    for key, sentences in sorted(jobs["problems"].items()):
        parts.extend(Text(f"! project {key.split('.')[0]}: {sentence}", style="yellow") for sentence in sentences)
    for key, found in sorted(jobs["findings"].items()):
        for finding in found:
            tasks = ", ".join(map(str, finding["tasks"][:_SHOWN])) + (", …" if len(finding["tasks"]) > _SHOWN else "")
            text = f"{finding['severity']} in project {key.split('.')[0]}, tasks {tasks}: {finding['message']} {finding['remedy']}"
            parts.append(Text(text, style="dim" if finding["severity"] == "note" else "yellow"))
    return Group(*parts)


def _jobs(url: str) -> dict[str, Any]:
    found = There(url.rstrip("/")).call("GET", "/jobs")
    if not {"queued", "running", "finished", "failed", "counts", "versions", "problems", "findings"} <= found.keys():
        raise SettingsError(f"No Coldblitz answers at {url}, but another service.", "Give its --url.")
    return found
