"""A long video is shared out among workers: what is stored in the end is what one pass stores, whatever happens on the way."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from embedded import do_jobs
from loopback import serving
from redis import Redis
from rq.job import JobStatus
from studio import KEY, Studio

from ml_backend.features.backbones import load_backbone
from ml_backend.features.parts import long_video_features
from ml_backend.features.store import FeatureStore
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.project import open_project
from ml_backend.jobs.suggestions.embed_part import PART
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.queueing import counters
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.interventions import retry_job
from ml_backend.queueing.kinds import KINDS
from ml_backend.queueing.queue import enqueue, existing, listing, queue_of
from ml_backend.settings import Settings

FRAMES = 1300
_PRODUCT = {kind: KINDS[kind] for kind in ("embed", PART)}


def film(path: Path, seed: int = 0, frames: int = FRAMES) -> Path:
    """Five frames a second, so that a minute is 300; a scene that moves all the time."""
    scene = np.random.default_rng(seed).integers(0, 200, (48, 640, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"preset": "veryfast", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 20
        for at in range(frames):
            picture = np.ascontiguousarray(np.roll(scene, -at, axis=1)[:, :64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four parts of about a minute."""
    return film(tmp_path_factory.mktemp("long") / "long.mp4")


@pytest.fixture
def context(
    tmp_path: Path,
    redis: Redis,
    redis_settings: Settings,
    studio: Studio,
    warm: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[JobContext]:
    """What a worker is told by its environment."""
    for kind, each in _PRODUCT.items():
        monkeypatch.setitem(KINDS, kind, each)
    with serving(studio) as url:
        told = {
            "LABEL_STUDIO_URL": url,
            "LABEL_STUDIO_API_KEY": "the-token",
            "DATA_DIR": str(warm(tmp_path / "data")),
            "REDIS_URL": redis_url(redis_settings),
            "BACKBONE_WEIGHTS": "none",
            "DEVICE": "cpu",
            "VIDEO_PART_MINUTES": "1",
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        made = JobContext(Settings.from_environment())
        yield made
        made.redis.close()


@pytest.fixture
def task(context: JobContext, studio: Studio, redis: Redis, long: Path) -> int:
    studio.add_task(5, long)
    assert studio.project is not None
    registry.remember(redis, Known(KEY, studio.project["label_config"]))
    return 5


@pytest.fixture(scope="module")
def one_pass(long: Path, warm: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one pass stores of the long video."""
    folder = tmp_path_factory.mktemp("one pass")
    store = FeatureStore(folder / "features", 10**9)
    backbone = load_backbone("mobilenet_v2", "none", "cpu", warm(folder) / "weights")
    long_video_features(long, backbone, store, FeatureStore(folder / "parts", 10**9), "video", 60)
    return entry(folder)


def entry(data: Path) -> bytes:
    (path,) = (data / "features").glob("*.safetensors")
    return path.read_bytes()


def parts(data: Path) -> set[str]:
    return {path.name for path in (data / "features" / "parts").glob("*-part-*.safetensors")}


def said(redis: Redis, kind: str) -> list[str]:
    return [row["text"] for row in listing(redis)["finished"] if row["kind"] == kind]


@contextlib.contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "ml_backend.cli", "run-worker"], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.005)


def test_a_long_video_is_embedded_in_parts_and_joined(
    context: JobContext, redis: Redis, task: int, one_pass: bytes
) -> None:
    data = context.settings.data_dir
    enqueue(redis, "embed", KEY, task)
    do_jobs(redis, 3)
    (row,) = listing(redis)["queued"]
    assert (row["kind"], row["task"], row["text"]) == ("embed", task, "2 of 4 parts")
    assert len(parts(data)) == 2
    do_jobs(redis)
    assert entry(data) == one_pass
    assert parts(data) == set()
    assert said(redis, "embed")[1] == "shared the video of task 5 out into 4 parts"
    assert said(redis, "embed")[0].startswith("embedded ")
    assert counters.read_tally(redis).frames_decoded == FRAMES


def test_of_a_worker_that_is_killed_only_its_part_is_done_again(
    context: JobContext, redis: Redis, task: int, one_pass: bytes
) -> None:
    data = context.settings.data_dir
    enqueue(redis, "embed", KEY, task)
    with worker() as first:
        until(lambda: counters.read_tally(redis).frames_decoded and _is_embedding(redis))
        first.kill()
        first.wait()
    done = counters.read_tally(redis).frames_decoded
    assert 0 < done < FRAMES
    kept = {name: (data / "features" / "parts" / name).stat().st_ino for name in parts(data)}
    with worker():
        until(lambda: any(text.startswith("embedded") for text in said(redis, "embed")))
    assert entry(data) == one_pass
    assert kept
    # Each part was finished once.
    assert counters.read_tally(redis).frames_decoded == FRAMES
    assert listing(redis)["failed"] == []


def _is_embedding(redis: Redis) -> bool:
    ids = queue_of(redis, PART).started_job_registry.get_job_ids(cleanup=False)
    return any(job.get_status() == JobStatus.STARTED for job in existing(redis, ids))


def test_who_needs_the_embeddings_sooner_takes_the_parts_that_are_there(
    context: JobContext, redis: Redis, task: int, one_pass: bytes
) -> None:
    enqueue(redis, "embed", KEY, task)
    do_jobs(redis, 3)
    work = open_project(context, KEY)
    task_features(context, work.question, context.studio.tasks.get(work.id, task), context.backbone)
    assert entry(context.settings.data_dir) == one_pass
    do_jobs(redis)
    assert sum("are embedded already" in text for text in _texts(redis)) == 2
    assert listing(redis)["failed"] == []


def _texts(redis: Redis) -> list[str]:
    ids = queue_of(redis, PART).finished_job_registry.get_job_ids(cleanup=False)
    return [str(job.meta.get("text")) for job in existing(redis, ids)]


def test_another_video_meanwhile_is_embedded_instead(
    context: JobContext, redis: Redis, studio: Studio, task: int, tmp_path: Path
) -> None:
    enqueue(redis, "embed", KEY, task)
    do_jobs(redis, 2)
    studio.exchange(
        task, film(tmp_path / "other.mp4", seed=1, frames=700), name="other.mp4", when="2026-02-01T12:00:00Z"
    )
    do_jobs(redis)
    assert sum("has another video" in text for text in _texts(redis)) == 3
    assert said(redis, "embed")[0].endswith("of 700 frames of task 5")
    assert listing(redis)["failed"] == []


def test_a_task_that_is_deleted_meanwhile_ends_it(context: JobContext, redis: Redis, studio: Studio, task: int) -> None:
    enqueue(redis, "embed", KEY, task)
    do_jobs(redis, 2)
    studio.delete_task(task)
    do_jobs(redis)
    assert listing(redis)["failed"] == []
    assert not list((context.settings.data_dir / "features").glob("*.safetensors"))


def test_parts_that_fail_for_good_are_named_and_made_when_the_job_is_retried(
    context: JobContext, redis: Redis, task: int, one_pass: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, PART, replace(KINDS[PART], function="sample_jobs.embed_part"))
    redis.rpush(f"do:{KEY}", "succeed", "fail for good", "fail for good")
    enqueue(redis, "embed", KEY, task)
    do_jobs(redis)
    (row,) = listing(redis)["failed"]
    assert row["kind"] == "embed"
    assert row["reason"] is not None
    begin, end = (
        "2 of 4 parts of 5.mp4 (task 5) could not be embedded, the first of them from 0:01:",
        "It is no video. Upload another.",
    )
    assert row["reason"].startswith(begin)
    assert row["reason"].endswith(end)
    monkeypatch.setitem(KINDS, PART, _PRODUCT[PART])
    assert retry_job(redis, row["id"])
    do_jobs(redis)
    assert listing(redis)["failed"] == []
    assert entry(context.settings.data_dir) == one_pass


def test_a_video_that_is_hardly_longer_than_a_part_is_one(
    context: JobContext, redis: Redis, studio: Studio, task: int, tmp_path: Path
) -> None:
    studio.add_task(6, film(tmp_path / "short.mp4", frames=400))
    enqueue(redis, "embed", KEY, 6)
    do_jobs(redis)
    (text,) = said(redis, "embed")
    assert text.endswith("of 400 frames of task 6")
    assert not (context.settings.data_dir / "features" / "parts").exists()
