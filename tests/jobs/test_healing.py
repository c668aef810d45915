"""What a full, read-only or failing disk does: it is named, nothing half-written is taken as good, and it is made again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import serving
from redis import Redis
from studio import BACKEND, KEY, Studio, drawn

from ml_backend.demo.clips import Script, make_clips
from ml_backend.errors import StorageError, VideoUnreachable, VideoUnreadable
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.rollout import rollout
from ml_backend.jobs.project import open_project
from ml_backend.jobs.project_lock import project_lock
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.training.train import train
from ml_backend.jobs.videos import naming, task_video
from ml_backend.projects import links, registry
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings
from ml_backend.video.timeline import read_timeline


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (made,) = make_clips(tmp_path_factory.mktemp("clips"), [Script("short.mp4", 25, (("clear", 20), ("car", 20)), 1)])
    return made.path


@pytest.fixture
def context(
    clip: Path,
    studio: Studio,
    redis: Redis,
    redis_settings: Settings,
    tmp_path: Path,
    warm: Callable[[Path], Path],
) -> Iterator[JobContext]:
    """One video of which four frames are labelled, and an untrained backbone."""
    studio.add_task(1, clip)
    result = [
        drawn(f"kf-{frame}", frame, frame, label)
        for frame, label in ((3, "cat"), (12, "cat"), (25, "dog"), (35, "dog"))
    ]
    studio.tasks[1]["annotations"] = [{"id": 1, "result": result, "updated_at": "2026-01-31T12:00:00Z"}]
    there = {"data_dir": warm(tmp_path / "data"), "redis_url": redis_url(redis_settings), "backbone_weights": "none"}
    studio.answering[BACKEND] = lambda: links.answer(redis)
    with serving(studio) as url:
        made = JobContext(replace(redis_settings, label_studio_url=url, **there))  # type: ignore[arg-type]
        yield made
        made.redis.close()


def queued(redis: Redis) -> set[str]:
    return {f"{row['kind']} {row['version'] or ''}".strip() for row in listing(redis)["queued"]}


class TestAModelVersion:
    def test_that_is_damaged_is_made_again_under_another_name(self, context: JobContext, redis: Redis) -> None:
        train.within(context, KEY)
        (weights,) = context.models_dir(KEY).glob("cold-v1/head.safetensors")
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        with pytest.raises(StorageError, match="cold-v1 is damaged"):
            rollout.within(context, KEY, "cold-v1")
        assert "train" in queued(redis)
        assert "cold-v2" in train.within(context, KEY)
        assert "rollout cold-v2" in queued(redis)
        assert not (context.models_dir(KEY) / "cold-v1").exists()

    def test_that_is_lost_altogether_is_too(self, context: JobContext, redis: Redis) -> None:
        train.within(context, KEY)
        subprocess.run(["rm", "-r", str(context.models_dir(KEY))], check=True)
        with pytest.raises(StorageError):
            rollout.within(context, KEY, "cold-v1")
        assert "trained cold-v1" in train.within(context, KEY)

    def test_whose_training_was_killed_before_it_was_rolled_out_is_rolled_out(
        self, context: JobContext, redis: Redis
    ) -> None:
        train.within(context, KEY)
        # As if the worker had died right after it had saved the version, while an older one was shown.
        redis.flushall()
        registry.activate(redis, KEY, "cold-v0")
        registry.want(redis, KEY, "cold-v0")
        train.within(context, KEY)
        assert "rollout cold-v1" in queued(redis)
        assert registry.wanted_version(redis, KEY) == "cold-v1"


class TestTheCache:
    def test_a_copy_of_a_video_that_the_disk_damaged_is_fetched_again(
        self, context: JobContext, studio: Studio
    ) -> None:
        suggest.within(context, KEY, 1)
        (copy,) = [path for path in (context.settings.data_dir / "videos").iterdir() if path.is_file()]
        good = copy.read_bytes()
        copy.write_bytes(bytes(len(good)))
        studio.predictions.clear()
        with pytest.raises(VideoUnreachable, match="was damaged"):
            suggest.within(context, KEY, 1)
        assert suggest.within(context, KEY, 1).startswith("suggested")
        assert copy.read_bytes() == good

    def test_a_copy_that_another_worker_removes_to_make_room_is_fetched_again(self, context: JobContext) -> None:
        work, task = open_project(context, KEY), context.studio.tasks.get(7, 1)
        video = task_video(context, work.question, task)
        video.path.unlink()
        with pytest.raises(VideoUnreachable, match="to make room"), naming(task, work.question, video):
            read_timeline(video.path)
        assert suggest.within(context, KEY, 1).startswith("suggested")

    def test_a_video_that_came_broken_stays_broken(self, context: JobContext, studio: Studio, tmp_path: Path) -> None:
        (tmp_path / "bad.mp4").write_bytes(bytes(5000))
        studio.add_task(2, tmp_path / "bad.mp4")
        with pytest.raises(VideoUnreadable):
            suggest.within(context, KEY, 2)

    def test_damaged_embeddings_are_made_again(self, context: JobContext, studio: Studio) -> None:
        train.within(context, KEY)
        (entry,) = (context.settings.data_dir / "features").glob("*.safetensors")
        content = entry.read_bytes()
        entry.write_bytes(content[: len(content) // 2])
        assert rollout.within(context, KEY, "cold-v1") == "predicted 1 of 1 tasks with cold-v1"
        assert entry.stat().st_size > len(content) // 2


class TestADiskThatCannotBeWritten:
    def test_is_named_when_a_file_is_in_the_way(self, redis: Redis, tmp_path: Path) -> None:
        (tmp_path / "projects").write_text("in the way")
        with pytest.raises(StorageError, match="DATA_DIR"), project_lock(redis, tmp_path, KEY, "train"):
            pass
