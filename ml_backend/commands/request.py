"""`coldblitz suggest`, `train` and `predict`: jobs that come by themselves, asked for now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from redis import Redis
from redis.exceptions import RedisError

from ml_backend.commands.reconcile import ended, not_running, report
from ml_backend.errors import SettingsError
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import request
from ml_backend.records import marks, projects
from ml_backend.settings import Settings

_Project = Annotated[str, typer.Argument(help="The project's number in Label Studio.")]
_Tasks = Annotated[list[int] | None, typer.Option("--task", help="One task; may be given several times.")]
_Seconds = Annotated[float, typer.Option(min=0, help="How long to wait for the workers.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def suggest(project: _Project, task: _Tasks = None, seconds: _Seconds = 60, as_json: _AsJson = False) -> None:
    """Keyframe suggestions for tasks, or for all that lack any. Exit code 1 when something failed or still waits.
    Example: coldblitz suggest 1 --task 12"""
    _tell(ask(Settings.from_environment(), "suggest", project, task or (), seconds), as_json)


def train(project: _Project, seconds: _Seconds = 600, as_json: _AsJson = False) -> None:
    """Trains a project's next model version from the annotations there are. Exit code 1 when it failed or still waits.
    Example: coldblitz train 1"""
    _tell(ask(Settings.from_environment(), "train", project, (), seconds), as_json)


def predict(project: _Project, task: _Tasks = None, seconds: _Seconds = 600, as_json: _AsJson = False) -> None:
    """Timelines of the active model version for tasks, or for all that lack one. Exit code 1 when something failed or still
    waits. Example: coldblitz predict 1"""
    _tell(ask(Settings.from_environment(), "predict", project, task or (), seconds), as_json)


def ask(settings: Settings, kind: str, project: str, tasks: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """Queues the jobs and waits at most so long; one row each: `job`, `state` and `text`.

    Without `tasks`, a reconcile that compares everything finds those that lack something. Raises SettingsError when no
    backend runs, the project is not known, or there is nothing to predict with.
    """
    redis = Redis.from_url(redis_url(settings), socket_timeout=5)
    try:
        key = _known(redis, project)
        version = projects.active_version(redis, key)
        if kind == "predict" and version is None:
            raise SettingsError(
                f"Project {project} has no model yet.", "Label some of the suggested frames, and submit."
            )
        if kind == "train":
            jobs = {"train": request(redis, "train", key, again=True)}
        elif tasks:
            jobs = {f"{kind} task {task}": request(redis, kind, key, task, again=True) for task in tasks}
        elif kind == "predict":
            jobs = {f"roll out {version}": request(redis, "rollout", key, str(version), again=True)}
        else:
            marks.drop(redis, key, *marks.SEEN)
            jobs = {"reconcile": request(redis, "reconcile", key, again=True)}
        return [{"job": name, **row} for name, row in ended(redis, jobs, seconds).items()]
    except RedisError as error:
        raise not_running(settings) from error
    finally:
        redis.close()


def _known(redis: Redis, project: str) -> str:
    found = [key for key in projects.known_keys(redis) if project in (key, key.split(".")[0])]
    if not found:
        raise SettingsError(f"Project {project} is not known here.", "Connect it in Label Studio (Settings, Model).")
    return max(found, key=lambda key: key.split(".")[-1])


def _tell(rows: list[dict[str, Any]], as_json: bool) -> None:
    raise SystemExit(0 if report(rows, as_json, of="job", told="what it did") else 1)
