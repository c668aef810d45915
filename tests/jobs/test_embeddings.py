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

from ml_backend.cards.model_card import Network
from ml_backend.demo.clips import Script, make_clips
from ml_backend.errors import StorageError
from ml_backend.features.backbones import Backbone, network_of
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import backbone_of, has_features, task_features, with_frames
from ml_backend.jobs.project import ProjectWork, open_project, roi_for
from ml_backend.jobs.training.labelled import fingerprint
from ml_backend.jobs.videos import identity_of, inspect_video, task_video
from ml_backend.learning.versions import ModelCard
from ml_backend.project_settings import parse_project_settings
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings


@pytest.fixture
def context(
    tmp_path: Path, redis: Redis, redis_settings: Settings, warm: Callable[[Path], Path]
) -> Iterator[JobContext]:
    (clip,) = make_clips(tmp_path / "clips", [Script("short.mp4", 25, (("clear", 20),), 1)])
    studio = Studio()
    studio.add_task(1, clip.path)
    with serving(studio) as url:
        there = {"label_studio_url": url, "data_dir": warm(tmp_path / "data"), "redis_url": redis_url(redis_settings)}
        made = JobContext(replace(redis_settings, **there, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        yield made
        made.redis.close()


@pytest.fixture
def work(context: JobContext) -> ProjectWork:
    return open_project(context, KEY)


def on_a_gpu(context: JobContext) -> Backbone:
    """The backbone as a worker with a GPU has it; it must not be run."""

    def embed(pictures: Any) -> Any:
        raise AssertionError("embedded again")

    return replace(context.backbone, key=context.backbone.keys[-1], embed=embed)


def card_of(backbone: str) -> ModelCard:
    return ModelCard("cold-v1", "cold", ("A", "B"), True, backbone, "2026-01-31T12:00:00+00:00")


def test_a_video_that_a_worker_on_a_processor_has_embedded_is_not_embedded_again_on_a_gpu(
    context: JobContext, work: ProjectWork
) -> None:
    task = context.studio.tasks.get(work.id, 1)
    gpu = on_a_gpu(context)
    assert "-cuda-fp16-" in gpu.key
    assert not has_features(context, work.question, task, gpu)
    made = task_features(context, work.question, task, context.backbone)
    assert has_features(context, work.question, task, gpu)
    taken = task_features(context, work.question, task, gpu)
    np.testing.assert_array_equal(taken.blocks["appearance"], made.blocks["appearance"])


def test_a_head_runs_on_the_network_that_it_was_trained_on_whatever_the_processor(
    context: JobContext, work: ProjectWork
) -> None:
    for key in context.backbone.keys:
        assert backbone_of(work, card_of(key)) is context.backbone


@pytest.mark.parametrize("other", ["mobilenet_v2-0123456789ab-160-area-bf16-v2", "resnet18-untrained-160-area-bf16-v2"])
def test_a_head_never_runs_on_what_another_network_sees(context: JobContext, work: ProjectWork, other: str) -> None:
    with pytest.raises(StorageError, match=rf"cold-v1 was trained on what the backbone {network_of(other)} sees"):
        backbone_of(work, card_of(other))


def test_nor_does_a_fine_tuned_network_of_another_kind(context: JobContext, work: ProjectWork) -> None:
    card = replace(card_of("resnet18-abc-160-area-bf16-v2"), network=Network("abc", "resnet18-def-160"))
    with pytest.raises(StorageError, match="set BACKBONE, BACKBONE_WEIGHTS, resolution, and roi back"):
        backbone_of(work, card)


def with_settings(work: ProjectWork, **extra_params: Any) -> ProjectWork:
    settings, problems = parse_project_settings(extra_params)
    assert not problems
    return replace(work, settings=settings)


def test_a_project_s_region_of_interest_is_what_its_videos_are_embedded_from(
    context: JobContext, work: ProjectWork
) -> None:
    task = context.studio.tasks.get(work.id, 1)
    whole = context.backbone_for(work.settings)
    part = context.backbone_for(with_settings(work, roi=[0, 0, 50, 50]).settings)
    seen, other = (task_features(context, work.question, task, each) for each in (whole, part))
    assert not np.array_equal(seen.blocks["appearance"], other.blocks["appearance"])
    assert seen.flow is not None
    assert other.flow is not None
    assert not np.array_equal(seen.flow.rows, other.flow.rows)
    assert not np.array_equal(seen.samples.hashes, other.samples.hashes)
    # More frames of it show the same part.
    at = int(np.setdiff1d(np.arange(len(other)), other.frames)[0]) if len(other.frames) < len(other) else None
    if at is not None:
        more = with_frames(context, work.question, task, other, [at], part)
        row = more.blocks["appearance"][list(more.frames).index(at)].astype(np.float32)
        near = other.interpolate(other.blocks["appearance"])[at]
        assert row @ near > 0.98 * np.linalg.norm(row) * np.linalg.norm(near)


def test_a_task_may_name_a_region_of_its_own(context: JobContext, work: ProjectWork) -> None:
    whole = context.backbone_for(work.settings)
    part = context.backbone_for(with_settings(work, roi=[0, 0, 50, 50]).settings)
    task = context.studio.tasks.get(work.id, 1)
    own = replace(task, data={**task.data, "roi": "0, 0, 50, 50"})
    seen = task_features(context, work.question, own, whole)
    assert has_features(context, work.question, task, part), "it is the same region, whoever named it"
    assert not has_features(context, work.question, task, whole)
    np.testing.assert_array_equal(seen.frames, task_features(context, work.question, task, part).frames)
    everything = replace(task, data={**task.data, "roi": [0, 0, 100, 100]})
    task_features(context, work.question, everything, part)
    assert has_features(context, work.question, task, whole)


def test_one_that_cannot_be_understood_is_told_with_what_to_write_and_not_used(
    context: JobContext, work: ProjectWork
) -> None:
    task = context.studio.tasks.get(work.id, 1)
    wrong = replace(task, data={**task.data, "roi": [50, 50, 60, 60]})
    video = task_video(context, work.question, task)
    (told, *_) = inspect_video(wrong, work.question, video)
    assert told.message == "The roi of task 1 is not used, since [50, 50, 60, 60] reaches beyond the picture."
    assert told.remedy.startswith("In the task's data, write [x, y, width, height] in percent")
    assert not any(found.kind == "roi" for found in inspect_video(task, work.question, video))
    assert roi_for(with_settings(work, roi=[0, 0, 50, 50]), wrong) == (0, 0, 50, 50)


def test_another_region_in_a_task_s_data_is_as_another_video(work: ProjectWork, context: JobContext) -> None:
    task = context.studio.tasks.get(work.id, 1)
    own = replace(task, data={**task.data, "roi": [0, 0, 50, 50]})
    other = replace(task, data={**task.data, "roi": [0, 0, 50, 60]})
    assert len({identity_of(work, each).video for each in (task, own, other)}) == 3


@pytest.mark.parametrize("changed", [{"roi": [0, 0, 50, 50]}, {"resolution": 320}])
def test_a_head_never_runs_on_another_part_of_the_picture_or_another_size(
    context: JobContext, work: ProjectWork, changed: dict[str, Any]
) -> None:
    other, card = with_settings(work, **changed), card_of(context.backbone.key)
    with pytest.raises(StorageError, match="set BACKBONE, BACKBONE_WEIGHTS, resolution, and roi back"):
        backbone_of(other, card)
    tuned = replace(card, network=Network("abc", context.backbone.key))
    with pytest.raises(StorageError, match="set BACKBONE, BACKBONE_WEIGHTS, resolution, and roi back"):
        backbone_of(other, tuned)
    key = context.backbone_for(other.settings).key
    assert backbone_of(other, card_of(key)).key == key
    assert training_mark(context, other) != training_mark(context, work)


def training_mark(context: JobContext, work: ProjectWork) -> str:
    """What a version is trained anew for, the annotations being the same."""
    return fingerprint(work, (), context.backbone_for(work.settings).network)


def test_a_video_is_embedded_at_the_resolution_that_the_project_sets(context: JobContext, work: ProjectWork) -> None:
    task = context.studio.tasks.get(work.id, 1)
    larger = context.backbone_for(with_settings(work, resolution=224).settings)
    usual = context.backbone_for(work.settings)
    assert larger.network == usual.network.replace("-160-", "-224-")
    features = task_features(context, work.question, task, larger)
    assert not has_features(context, work.question, task, usual)
    assert features.blocks["appearance"].shape[1] == 1280
