"""`coldblitz suggest`, `train` and `predict`: jobs that come by themselves, asked for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any

import typer

from ml_backend.commands.backend import Backend, Url, backend, ended
from ml_backend.commands.reconcile import report
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
