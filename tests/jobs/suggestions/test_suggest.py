"""The first suggestions of a task, against a small Label Studio over real HTTP."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
from known_project import queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.errors import VideoError, VideoUnreadable
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.projects import registry, stored_predictions
from ml_backend.projects.registry import Known
from ml_backend.video.timeline import read_timeline


def remember(redis: Redis, **more: object) -> None:
    registry.remember(redis, Known(KEY, "<View/>", **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 25 frames a second, of four pictures that have nothing in common."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(4):
            picture = random.integers(0, 256, (8, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            for _ in range(25):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class TestSuggesting:
    def test_each_new_picture_is_asked_about_and_the_stream_shows_it(
        self, context: JobContext, studio: Studio, redis: Redis, clip: Path
    ) -> None:
        studio.add_task(5, clip)
        assert suggest.within(context, KEY, 5) == "suggested 4 frames of task 5"
        (pushed,) = studio.predictions
        frames = [region["value"]["ranges"][0]["start"] for region in pushed["result"]]
        assert [(frame - 1) // 25 for frame in frames] == [0, 1, 2, 3]
        assert all(region["value"]["timelinelabels"] == [] for region in pushed["result"])
        assert studio.project is not None
        assert studio.project["model_version"] == "keyframes-v1"
        assert queued(redis) == ["embed 5"]
        answer = stored_predictions.load(context.settings.data_dir, KEY, "keyframes-v1", 5)
        assert answer is not None
        assert answer["result"] == pushed["result"]

    def test_a_copy_of_another_task_s_video_is_asked_about_once_unless_frames_are_wished_for_evenly(
        self, context: JobContext, studio: Studio, redis: Redis, clip: Path
    ) -> None:
        for task in (5, 6):
            studio.add_task(task, clip)
        assert suggest.within(context, KEY, 5) == "suggested 4 frames of task 5"
        assert suggest.within(context, KEY, 6) == "suggested 1 frame of task 6"
        remember(redis, extra_params={"sampling": "uniform", "frames_per_video": 3})
        studio.add_task(7, clip)
        assert suggest.within(context, KEY, 7) == "suggested 3 frames of task 7"

    def test_a_few_evenly_when_the_project_wants_that(
        self, context: JobContext, studio: Studio, redis: Redis, clip: Path
    ) -> None:
        remember(redis, extra_params={"sampling": "uniform", "frames_per_video": 2})
        studio.add_task(5, clip)
        suggest.within(context, KEY, 5)
        frames = [region["value"]["ranges"][0]["start"] for region in studio.predictions[0]["result"]]
        assert frames == [26, 76]

    @pytest.mark.parametrize(("sampling", "expected"), [("unique", [1, 51, 76]), ("uniform", [10, 30, 50])])
    def test_a_video_that_was_embedded_before_is_not_decoded_again(
        self,
        context: JobContext,
        studio: Studio,
        redis: Redis,
        clip: Path,
        tmp_path: Path,
        sampling: str,
        expected: list[int],
    ) -> None:
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(clip.read_bytes() + sampling.encode())
        # What the store says differs from what decoding would: the video has a repeated look, and ends early.
        frames = np.array([0, 12, 25, 37, 50, 62, 75], np.int64)
        hashes = np.array([0, 0, 1, 1, 2**40 - 1, 2**40 - 1, 0], np.uint64)
        last = 59 if sampling == "uniform" else 99
        features = VideoFeatures(
            read_timeline(copy).truncated(last + 1),
            np.array([0, last]),
            {"appearance": np.zeros((2, 3), np.float16)},
            100,
            Samples(frames, hashes, np.ones(7, np.float32)),
        )
        context.store.save(hashlib.sha256(copy.read_bytes()).hexdigest(), "some-network", features)
        remember(redis, extra_params={"sampling": sampling, "frames_per_video": 3})
        studio.add_task(5, copy)
        suggest.within(context, KEY, 5)
        found = [region["value"]["ranges"][0]["start"] for region in studio.predictions[0]["result"]]
        assert found == [frame + (sampling == "uniform") for frame in expected]
        told = {finding.kind: finding.message for finding in registry.findings_of(redis, KEY).get(5, [])}
        if sampling == "uniform":
            assert told["damaged"].startswith("40 of 100 frames of 5.mp4 are damaged; the last good one is at 2.36 s")
        else:
            assert "damaged" not in told

    def test_once(self, context: JobContext, studio: Studio, clip: Path) -> None:
        studio.add_task(5, clip)
        suggest.within(context, KEY, 5)
        assert suggest.within(context, KEY, 5) == "task 5 has its suggestions already"
        assert len(studio.predictions) == 1

    def test_killed_before_it_could_pin_them_it_does_so_the_next_time(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(5)
        studio.predictions.append({"id": 0, "task": 5, "model_version": "keyframes-v1", "result": []})
        suggest.within(context, KEY, 5)
        assert studio.project is not None
        assert studio.project["model_version"] == "keyframes-v1"
        assert queued(redis) == ["embed 5"]

    def test_a_model_in_use_stays_pinned(self, context: JobContext, studio: Studio, redis: Redis, clip: Path) -> None:
        assert studio.project is not None
        studio.project["model_version"] = "cold-v3"
        registry.activate(redis, KEY, "cold-v3")
        studio.add_task(5, clip)
        suggest.within(context, KEY, 5)
        assert studio.project["model_version"] == "cold-v3"

    @pytest.mark.parametrize(
        ("content", "error"),
        [(b"", VideoError), (b"<html>no video</html>", VideoUnreadable), (bytes(5000), VideoUnreadable)],
    )
    def test_what_is_no_video_is_told_by_its_task(
        self, context: JobContext, studio: Studio, tmp_path: Path, content: bytes, error: type[Exception]
    ) -> None:
        (tmp_path / "bad.mp4").write_bytes(content)
        studio.add_task(5, tmp_path / "bad.mp4")
        with pytest.raises(error, match=r"5\.mp4|[Tt]ask 5"):
            suggest.within(context, KEY, 5)
        assert studio.predictions == []

    def test_a_task_without_a_video_says_which_key_it_lacks(self, context: JobContext, studio: Studio) -> None:
        studio.add_task(5)
        studio.tasks[5]["data"] = {"film": "a.mp4"}
        with pytest.raises(VideoError, match=r"Task 5 has no video.*'video'"):
            suggest.within(context, KEY, 5)
