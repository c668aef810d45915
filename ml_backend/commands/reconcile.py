"""`coldblitz reconcile`: has a running backend compare itself with Label Studio now, and says what was missing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

from ml_backend.errors import SettingsError
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.interventions import result
from ml_backend.queueing.queue import request
from ml_backend.records import marks, projects
from ml_backend.settings import Settings

_EVERY = 0.2


def reconcile(settings: Settings, project: str | None, *, thorough: bool, seconds: float) -> list[dict[str, Any]]:
    """Queues the reconcile of one project (its number or key) or of all, and waits at most so long for the workers.

    One row each: project, state (`finished`, `failed`, else what it waits for) and text. `thorough` compares everything
    though nothing seems to have changed. Raises SettingsError.
    """
    redis = Redis.from_url(redis_url(settings), socket_timeout=5)
    try:
        keys = [key for key in projects.known_keys(redis) if project is None or project in (key, key.split(".")[0])]
        if project is not None and not keys:
            raise SettingsError(
                f"Project {project} is not known here.",
                "Connect it in Label Studio (Settings, Model), or reconcile without a number to look for lost ones.",
            )
        if thorough:
            for key in keys:
                marks.drop(redis, key, *marks.SEEN)
        jobs = {key: request(redis, "reconcile", key, again=True) for key in keys}
        if project is None:
            jobs[settings.label_studio_url] = request(redis, "discover", settings.label_studio_url, again=True)
        return [{"project": key, **row} for key, row in ended(redis, jobs, seconds).items()]
    except RedisError as error:
        raise not_running(settings) from error


def ended(redis: Redis, jobs: Mapping[str, str | None], seconds: float) -> dict[str, dict[str, str]]:
    """`state` and `text` of each job, by the name it has in `jobs`, when all have ended or `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        rows = {name: result(redis, str(job_id)) for name, job_id in jobs.items()}
        if all(row["state"] in ("finished", "failed") for row in rows.values()) or time.monotonic() > deadline:
            return rows
        time.sleep(_EVERY)


def not_running(settings: Settings) -> SettingsError:
    return SettingsError(
        f"No Coldblitz runs on {settings.data_dir}: its Redis does not answer.", "Start it with `make serve`."
    )


def report(rows: list[dict[str, Any]], as_json: bool, *, of: str = "project", told: str = "what was missing") -> bool:
    """Prints what became of jobs, each named by its column `of`; returns whether all are finished."""
    if as_json:
        Console().print_json(json.dumps(rows))
    else:
        table = Table(of, "state", told)
        for row in rows:
            table.add_row(row[of], row["state"], row["text"])
        Console().print(table)
    return all(row["state"] == "finished" for row in rows)
