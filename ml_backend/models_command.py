"""`coldblitz models`: the model versions of a project, on the machine that holds DATA_DIR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

from ml_backend.errors import SettingsError
from ml_backend.jobs import projects
from ml_backend.jobs.embedded_redis import redis_url
from ml_backend.jobs.queue import request
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from ml_backend.learning.versions import ModelCard

app = typer.Typer(help="Model versions of a project.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(help="The project's number in Label Studio.")]
Version = Annotated[str, typer.Argument(help="A model version, for example cold-v3.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(name="list")
def list_(project: Project, as_json: AsJson = False) -> None:
    """All versions, the oldest first. Example: coldblitz models list 1"""
    # Imported here and below because it would double the time that any command takes to start.
    from ml_backend.learning.versions import list_versions

    settings = Settings.from_environment()
    key = _key(settings, project)
    cards = list_versions(_models(settings, key))
    active = projects.active_version(_redis(settings), key)
    if as_json:
        Console().print_json(json.dumps([{**card.as_json(), "active": card.name == active} for card in cards]))
        return
    table = Table("version", "active", "videos", "labelled frames", "macro-F1 on held-out videos", "created")
    for card in cards:
        table.add_row(
            card.name,
            "yes" if card.name == active else "",
            str(card.videos),
            str(card.labelled_frames),
            _score(card),
            card.created,
        )
    Console().print(table)


@app.command()
def show(project: Project, version: Version, as_json: AsJson = False) -> None:
    """A version's model card. Example: coldblitz models show 1 cold-v3"""
    from ml_backend.learning.versions import load_card

    settings = Settings.from_environment()
    card = load_card(_models(settings, _key(settings, project)), version)
    if as_json:
        Console().print_json(json.dumps(card.as_json()))
        return
    Console().print(_card(card))


@app.command()
def activate(project: Project, version: Version) -> None:
    """Rolls a version out, be it an older one or one kept back. Example: coldblitz models activate 1 cold-v2"""
    from ml_backend.learning.versions import load_card

    settings = Settings.from_environment()
    key = _key(settings, project)
    load_card(_models(settings, key), version)
    redis = _redis(settings)
    projects.want(redis, key, version)
    request(redis, "rollout", key, version, again=True)
    Console().print(f"{version} is being rolled out; see `coldblitz status`.")


@app.command()
def delete(project: Project, version: Version) -> None:
    """Removes a version's files; its predictions stay in Label Studio. Example: coldblitz models delete 1 cold-v1"""
    from ml_backend.learning.versions import delete_version

    settings = Settings.from_environment()
    key = _key(settings, project)
    if projects.active_version(_redis(settings), key) == version:
        raise SettingsError(f"{version} is the active version.", "Activate another one first.")
    delete_version(_models(settings, key), version)
    Console().print(f"{version} is deleted.")


def _key(settings: Settings, project: str) -> str:
    """The project key of a project's number, which names its folder; the newest when the number was used again."""
    folder = settings.data_dir / "projects"
    keys = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    mine = sorted((key for key in keys if project in (key, key.split(".")[0])), key=lambda key: key.split(".")[-1])
    if not mine:
        raise SettingsError(f"No project {project} is known in {settings.data_dir}.", "Check the number and DATA_DIR.")
    return mine[-1]


def _models(settings: Settings, key: str) -> Path:
    return settings.data_dir / "projects" / key / "models"


def _redis(settings: Settings) -> Redis:
    redis = Redis.from_url(redis_url(settings), socket_timeout=5)
    try:
        redis.ping()
    except RedisError as error:
        raise SettingsError(
            f"No Coldblitz runs on {settings.data_dir}: its Redis does not answer.", "Start it with `make serve`."
        ) from error
    return redis


def _score(card: ModelCard) -> str:
    score, error = card.metrics.get("macro_f1"), card.metrics.get("macro_f1_error")
    if score is None:
        return "not measured"
    return f"{score:.3f}" + (f" ± {2 * error:.3f}" if error is not None else "")


def _card(card: ModelCard) -> Table:
    table = Table(title=f"Model card of {card.name}", show_header=False)
    rows: dict[str, Any] = {
        "kind": card.kind,
        "created": card.created,
        "labels": ", ".join(card.labels) + (" (one a frame)" if card.exclusive else " (several a frame)"),
        "never predicted": ", ".join(card.lacking) or "none",
        "backbone": card.backbone,
        "learnt from": f"{card.labelled_frames} frames of {card.videos} videos, {len(card.annotations)} annotations",
        "judgement": card.metrics.get("judgement", "not measured yet"),
        "macro-F1 on held-out videos": _score(card),
    }
    for label, row in (card.metrics.get("labels") or {}).items():
        rows[f"  {label}"] = ", ".join(
            f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
        )
    rows["calibration error"] = card.metrics.get("calibration_error", "not measured yet")
    rows["temperature"] = card.calibration.get("temperature")
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table
