"""What a reconcile of a hundred thousand tasks costs: the first one, one that finds nothing changed, and some between.

    python -m benchmarks.service.reconcile

Label Studio is simulated (`benchmarks.service.studio`), the rest is real: the job, its client, Redis, the files. Each run's
seconds are wall-clock, Label Studio's part included; memory is the whole process', Python and libraries included.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service.studio import KEY, large_studio
from ml_backend.queueing.embedded_redis import running_redis
from ml_backend.settings import Settings

TASKS, _ANNOTATED = 100_000, 1_000
_WITH_FILES, _DELETED = 2_000, 100
_WINDOWS = 20


def reconcile_figures(tasks: int = TASKS) -> dict[str, float]:
    """`reconcile_100k_seconds`: nothing has changed. `reconcile_first_seconds`: of the one that finds no task done;
    `reconcile_filling_seconds`: of it and the next twenty, which queue as many jobs as may wait at a time, at most
    `reconcile_most_waiting`. `..._requests`: what was asked of Label Studio. `reconcile_rss_mib`: the most memory the
    process ever held.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, large_studio(tasks, _ANNOTATED) as url:
        settings = Settings(url, "0123456789abcdef0123456789abcdef01234567", data_dir=Path(folder))
        with running_redis(settings) as redis_address:
            ours, theirs = context.Pipe()
            process = context.Process(target=_measure, args=(theirs, replace(settings, redis_url=redis_address), tasks))
            process.start()
            try:
                figures: dict[str, float] = ours.recv()
            finally:
                process.join()
    return figures


def _measure(told: Connection, settings: Settings, tasks: int) -> None:
    os.environ.update(
        LABEL_STUDIO_URL=settings.label_studio_url,
        LABEL_STUDIO_API_KEY=settings.label_studio_api_key,
        DATA_DIR=str(settings.data_dir),
        REDIS_URL=str(settings.redis_url),
    )
    from ml_backend.jobs.context import worker_context
    from ml_backend.jobs.reconciling.reconcile import reconcile
    from ml_backend.projects import reconcile_state, registry, stored_predictions
    from ml_backend.projects.registry import Known
    from ml_backend.queueing.queue import queue_of

    redis = worker_context().redis
    registry.remember(redis, Known(KEY, "<View/>"))
    figures: dict[str, float] = {}

    def timed() -> tuple[float, int, str]:
        before, start = _control(settings)["requests"], time.perf_counter()
        said = reconcile(KEY)
        return time.perf_counter() - start, _control(settings)["requests"] - before - 1, said

    def done(version: str) -> int:
        """As workers would: everything that waits is done and pushed."""
        queue = queue_of(redis, "suggest")
        jobs = queue.get_jobs()
        items = [{"task": job.args[1], "model_version": version, "result": []} for job in jobs]
        httpx.post(f"{settings.label_studio_url}/api/projects/7/import/predictions", json=items)
        for job in jobs:
            job.delete()
        return len(jobs)

    figures["reconcile_first_seconds"], figures["reconcile_first_requests"], _ = timed()
    filling, most, queued = figures["reconcile_first_seconds"], 0, 0
    for _ in range(_WINDOWS):
        number = done("keyframes-v1")
        most, queued = max(most, number), queued + number
        seconds, _, _ = timed()
        filling += seconds
    figures["reconcile_filling_seconds"], figures["reconcile_most_waiting"] = filling, most
    figures["reconcile_filled_tasks"] = queued
    _control(settings, predict={"keyframes-v1": tasks})
    reconcile_state.drop(redis, KEY, "cursor")
    done("keyframes-v1")
    reconcile_state.put(redis, KEY, "trained", reconcile_state.get(redis, KEY, "asked"))
    for task in range(tasks - _WITH_FILES + 1, tasks + 1):
        stored_predictions.save(
            settings.data_dir, KEY, {"task": task, "model_version": "keyframes-v1", "score": 0.0, "result": []}
        )
    timed()
    figures["reconcile_100k_seconds"], figures["reconcile_unchanged_requests"], said = timed()
    if said != "nothing has changed":
        raise RuntimeError(f"the reconcile of an unchanged project says: {said}")
    _control(settings, delete=list(range(tasks - _DELETED + 1, tasks + 1)))
    figures["reconcile_deleted_seconds"], figures["reconcile_deleted_requests"], _ = timed()
    figures["reconcile_files_left"] = len(stored_predictions.tasks(settings.data_dir, KEY))
    _control(settings, change=[5])
    figures["reconcile_annotated_seconds"], figures["reconcile_annotated_requests"], _ = timed()
    figures["reconcile_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told.send({name: round(value, 3) for name, value in figures.items()})


def _control(settings: Settings, **body: Any) -> dict[str, int]:
    answer: dict[str, int] = httpx.post(f"{settings.label_studio_url}/control", json=body).json()
    return answer


if __name__ == "__main__":
    print(json.dumps(reconcile_figures(), indent=2))
