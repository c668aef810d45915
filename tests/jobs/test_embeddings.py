"""What one worker has embedded serves the others, and a head runs on what its own network sees, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import serving
from redis import Redis
from studio import KEY, Studio

from ml_backend.demo.clips import Script, make_clips
from ml_backend.errors import StorageError
from ml_backend.features.backbones import Backbone, network_of
from ml_backend.jobs.embeddings import has_features, task_features
from ml_backend.jobs.own_network import backbone_of
from ml_backend.jobs.project_work import ProjectWork, open_project
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.learning.versions import ModelCard
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings


@pytest.fixture
def context(
    tmp_path: Path, redis: Redis, redis_settings: Settings, warm: Callable[[Path], Path]
) -> Iterator[WorkerContext]:
    (clip,) = make_clips(tmp_path / "clips", [Script("short.mp4", 25, (("clear", 20),), 1)])
    studio = Studio()
    studio.add_task(1, clip.path)
    with serving(studio) as url:
        there = {"label_studio_url": url, "data_dir": warm(tmp_path / "data"), "redis_url": redis_url(redis_settings)}
        made = WorkerContext(replace(redis_settings, **there, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        yield made
        made.redis.close()


@pytest.fixture
def work(context: WorkerContext) -> ProjectWork:
    return open_project(context, KEY)


def on_a_gpu(context: WorkerContext) -> Backbone:
    """The backbone as a worker with a GPU has it; it must not be run."""

    def embed(pictures: Any) -> Any:
        raise AssertionError("embedded again")

    return replace(context.backbone, key=context.backbone.keys[-1], embed=embed)


def card_of(backbone: str) -> ModelCard:
    return ModelCard("cold-v1", "cold", ("A", "B"), True, backbone, "2026-01-31T12:00:00+00:00")


def test_a_video_that_a_worker_on_a_processor_has_embedded_is_not_embedded_again_on_a_gpu(
    context: WorkerContext, work: ProjectWork
) -> None:
    task = context.client.task(work.id, 1)
    gpu = on_a_gpu(context)
    assert "-cuda-fp16-" in gpu.key
    assert not has_features(context, work.question, task, gpu)
    made = task_features(context, work.question, task)
    assert has_features(context, work.question, task, gpu)
    taken = task_features(context, work.question, task, backbone=gpu)
    np.testing.assert_array_equal(taken.blocks["appearance"], made.blocks["appearance"])


def test_a_head_runs_on_the_network_that_it_was_trained_on_whatever_the_processor(
    context: WorkerContext, work: ProjectWork
) -> None:
    for key in context.backbone.keys:
        assert backbone_of(context, work, card_of(key)) is context.backbone


@pytest.mark.parametrize("other", ["mobilenet_v2-0123456789ab-160-area-bf16-v2", "resnet18-untrained-160-area-bf16-v2"])
def test_a_head_never_runs_on_what_another_network_sees(context: WorkerContext, work: ProjectWork, other: str) -> None:
    with pytest.raises(StorageError, match=rf"cold-v1 was trained on what the backbone {network_of(other)} sees"):
        backbone_of(context, work, card_of(other))


def test_nor_does_a_fine_tuned_network_of_another_kind(context: WorkerContext, work: ProjectWork) -> None:
    card = replace(card_of("resnet18-abc-160-area-bf16-v2"), network={"digest": "abc", "base": "resnet18-def-160"})
    with pytest.raises(StorageError, match="set BACKBONE and BACKBONE_WEIGHTS back"):
        backbone_of(context, work, card)
