"""A machine that dies in the middle of writing leaves nothing behind that anybody takes for written, and loses nothing that was."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
from redis import Redis

from ml_backend.cards.model_card import ModelCard
from ml_backend.learning.versions import list_versions, publish
from ml_backend.projects import asked_frames, stored_predictions
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings
from ml_backend.store import files
from ml_backend.store.connect import connect

Machine = Callable[..., Path]
KEY, TASKS, VERSIONS, KILLS = "7.1769860800", 60, 12, 20


def weights(version: int) -> bytes:
    return np.random.default_rng(version).bytes(300_000)


def write(data_dir: Path) -> None:
    """All of a small project; what is there is left as it is, as jobs do that are done again."""
    models = ProjectFolder(data_dir, KEY).models
    models.mkdir(parents=True, exist_ok=True)
    for task in range(1, TASKS + 1):
        with asked_frames.writing(data_dir, KEY):
            if task not in asked_frames.pictures(data_dir, KEY)["task"]:
                rows = np.zeros(2, asked_frames.PICTURE)
                rows["task"], rows["frame"] = task, (1, 2)
                asked_frames.put_pictures(data_dir, KEY, task, rows)
        if stored_predictions.load(data_dir, KEY, "cold-v1", task) is None:
            stored_predictions.save(
                data_dir,
                KEY,
                {"task": task, "model_version": "cold-v1", "score": 0.5, "result": [{"id": f"of {task}"}]},
            )
        version = f"cold-v{task * VERSIONS // TASKS + 1}"
        if version not in files.names(models):
            content = weights(int(version[6:]))
            card = ModelCard(
                name=version,
                kind="cold",
                labels=("cat",),
                exclusive=True,
                backbone="net",
                created="2026-01-31T12:00:00+00:00",
                weights_sha256=sha256(content).hexdigest(),
            )
            publish(models, card, {"head.safetensors": content})


def machine_process(settings: Settings, environment: dict[str, str], begun: Event) -> None:
    """A worker on a machine of its own, which is killed at any moment."""
    # Who forks has the variables of the first test, and credentials are those of this one.
    os.environ.update(environment)
    connect(settings, Redis.from_url(str(settings.redis_url)))
    assert files.names(settings.data_dir) is not None
    begun.set()
    write(settings.data_dir)


def found(data_dir: Path) -> dict[str, object]:
    """What any machine sees of the project. A version whose weights are not those of its card is none."""
    models = ProjectFolder(data_dir, KEY).models
    heads = {
        card.name: files.current(models / card.name / "head.safetensors").read_bytes() for card in list_versions(models)
    }
    assert all(sha256(heads[card.name]).hexdigest() == card.weights_sha256 for card in list_versions(models))
    rows = asked_frames.pictures(data_dir, KEY)
    return {
        "versions": heads,
        "predictions": stored_predictions.answers(data_dir, KEY, "cold-v1", range(1, TASKS + 1)),
        "pictures": sorted((int(row["task"]), int(row["frame"])) for row in rows if row["task"] >= 0),
    }


def test_what_is_written_with_a_machine_killed_at_20_moments_is_what_is_written_without(
    machine: Machine, settings: Settings, redis_settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    dice, forks = random.Random(1), multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    killed = replace(settings, data_dir=tmp_path / "killed", redis_url=redis_url(redis_settings))
    killed.data_dir.mkdir()
    other = machine("other")
    seen = 0
    for _ in range(KILLS):
        begun = forks.Event()
        process = forks.Process(target=machine_process, args=(killed, dict(os.environ), begun))
        process.start()
        assert begun.wait(60)
        time.sleep(dice.uniform(0, 0.3))
        process.kill()
        process.join()
        # A lease of who died holds the others up for a minute.
        redis.delete(*(list(redis.scan_iter("coldblitz:store:lock:*")) or ["none"]))
        now = len(stored_predictions.tasks(other, KEY))
        assert now >= seen, "nothing that was written is lost"
        seen = now
        found(other)
    assert seen > 0, "no kill has hit anything"
    write(other)

    calm = machine("calm")
    ended = found(other)
    redis.flushall()
    assert found(calm) == ended, "the store alone says the same"
    assert ended["pictures"] == [(task, frame) for task in range(1, TASKS + 1) for frame in (1, 2)]
    assert set(ended["predictions"]) == set(range(1, TASKS + 1))  # type: ignore[call-overload]
    assert ended["versions"] == {f"cold-v{number}": weights(number) for number in range(1, VERSIONS + 2)}
