"""One project that the backend knows, in a small Label Studio: what happens to it there, and what is queued for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.project import open_project
from ml_backend.projects import reconcile_state, registry
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings


def queued(redis: Redis) -> list[str]:
    rows = listing(redis)["queued"]
    return sorted(" ".join(str(part) for part in (row["kind"], row["task"], row["version"]) if part) for row in rows)


def do_all(redis: Redis, studio: Studio, version: str = "keyframes-v1") -> None:
    """As if the workers had done what is queued, and knew all annotations."""
    for row in listing(redis)["queued"]:
        if row["task"]:
            predicted(studio, row["task"], version)
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    reconcile_state.put(redis, KEY, "trained", reconcile_state.get(redis, KEY, "asked"))


def predicted(studio: Studio, task: int, version: str) -> None:
    number = max((p["id"] for p in studio.predictions), default=0) + 1
    studio.predictions.append({"id": number, "task": task, "model_version": version, "result": []})


def annotate(studio: Studio, task: int, when: str) -> None:
    studio.tasks[task]["annotations"].append({"id": 100 + task, "result": [], "updated_at": when})
    studio.tasks[task]["updated_at"] = when


def project(studio: Studio) -> dict[str, Any]:
    assert studio.project is not None
    return studio.project


def worker(settings: Settings, url: str, data_dir: Path, label_config: str) -> JobContext:
    """With all videos embedded, or fetched where the folder has their embeddings."""
    here = {"label_studio_url": url, "data_dir": data_dir, "redis_url": redis_url(settings)}
    made = JobContext(replace(settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
    registry.remember(made.redis, Known(KEY, label_config))
    work = open_project(made, KEY)
    for task in made.studio.tasks.all(work.id):
        task_features(made, work.question, task, made.backbone)
    return made
