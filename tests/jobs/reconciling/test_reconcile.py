"""Reconciling and suggesting, against a small Label Studio over real HTTP; the real one is in `tests/e2e`."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from redis import Redis
from studio import KEY, Studio

from ml_backend.errors import (
    LabelConfigError,
    LabelStudioRefused,
    LabelStudioUnreachable,
    VideoError,
    VideoUnreadable,
)
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.queueing.queue import listing
from ml_backend.records import projects, ready
from ml_backend.records.projects import Known
from ml_backend.settings import Settings
from ml_backend.video.timeline import read_timeline

BACKEND = "http://backend:9090"


def queued(redis: Redis) -> list[str]:
    return sorted(" ".join(map(str, filter(None, (row["kind"], row["task"])))) for row in listing(redis)["queued"])


def remember(redis: Redis, **more: object) -> None:
    projects.remember(redis, Known(KEY, "<View/>", **more))  # type: ignore[arg-type]


@pytest.mark.usefixtures("context")
class TestReconciling:
    def test_tasks_without_suggestions_get_them(self, studio: Studio, redis: Redis) -> None:
        remember(redis)
        for task in (1, 2, 3):
            studio.add_task(task)
        studio.predictions.append({"id": 0, "task": 2, "model_version": "keyframes-v1", "result": []})
        assert reconcile(KEY) == "2 tasks to suggest"
        assert queued(redis) == ["suggest 1", "suggest 3"]

    def test_once_a_model_is_active_they_get_its_predictions(self, studio: Studio, redis: Redis) -> None:
        remember(redis)
        projects.activate(redis, KEY, "cold-v3")
        studio.add_task(1)
        assert reconcile(KEY) == "1 tasks to predict"
        assert queued(redis) == ["predict 1"]

    def test_annotations_made_while_we_were_away_are_learnt_from(self, studio: Studio, redis: Redis) -> None:
        studio.add_task(1, annotations=2)
        reconcile(KEY)
        assert queued(redis) == ["train"]

    def test_when_nothing_is_missing_nothing_is_queued(self, studio: Studio, redis: Redis) -> None:
        remember(redis)
        reconcile(KEY)
        assert queued(redis) == []

    def test_what_a_wiped_redis_knew_is_found_again(self, studio: Studio, redis: Redis) -> None:
        assert studio.project is not None
        studio.project["model_version"] = "cold-v3"
        reconcile(KEY)
        assert projects.active_version(redis, KEY) == "cold-v3"
        assert studio.listed_backends == 1, "this makes Label Studio call /setup, which brings the extra params"

    @pytest.mark.parametrize("pinned", ["", "Coldblitz", "keyframes-v1", "detector-7"])
    def test_no_other_pinned_version_is_taken_for_a_model_of_ours(
        self, studio: Studio, redis: Redis, pinned: str
    ) -> None:
        assert studio.project is not None
        studio.project["model_version"] = pinned
        reconcile(KEY)
        assert projects.active_version(redis, KEY) is None

    def test_a_label_config_to_mend_is_told_until_it_is(self, studio: Studio, redis: Redis) -> None:
        remember(redis)
        assert studio.project is not None
        good, studio.project["label_config"] = studio.project["label_config"], "<View/>"
        with pytest.raises(LabelConfigError):
            reconcile(KEY)
        ((told,),) = projects.problems(redis).values()
        assert "TimelineLabels" in told
        studio.project["label_config"] = good
        reconcile(KEY)
        assert projects.problems(redis) == {}

    def test_wrong_extra_params_are_told(self, redis: Redis) -> None:
        remember(redis, extra_params={"samplin": "uniform", "min_frames": 0})
        reconcile(KEY)
        ((number, name),) = projects.problems(redis).values()
        assert "'min_frames'" in number
        assert "'samplin'" in name

    def test_a_project_that_is_gone_is_forgotten(self, studio: Studio, redis: Redis) -> None:
        remember(redis)
        reconcile(KEY)
        studio.project = None
        assert "gone" in reconcile(KEY)
        assert projects.known_keys(redis) == []

    def test_so_is_one_whose_number_another_has_now(self, studio: Studio, redis: Redis) -> None:
        remember(redis)
        reconcile(KEY)
        assert studio.project is not None
        studio.project["created_at"] = "2026-02-01T12:00:00Z"
        studio.add_task(1)
        assert "gone" in reconcile(KEY)
        assert queued(redis) == []


class TestTheWebhook:
    def test_it_is_made_when_label_studio_did_not(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        remember(redis, backend_url=BACKEND)
        reconcile(KEY)
        reconcile(KEY)
        (hook,) = studio.webhooks
        assert (hook["url"], hook["project"], hook["send_payload"]) == (f"{BACKEND}/webhook", 7, True)

    def test_one_that_is_there_is_left_alone(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        remember(redis, backend_url=BACKEND)
        theirs = {"id": 1, "url": f"{BACKEND}/webhook", "headers": {}}
        studio.webhooks.append(dict(theirs))
        reconcile(KEY)
        assert studio.webhooks == [theirs]

    def test_it_carries_the_login_that_label_studio_leaves_out(
        self, context: WorkerContext, studio: Studio, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        locked = WorkerContext(replace(context.settings, basic_auth_user="studio", basic_auth_pass="secret"))
        monkeypatch.setattr("ml_backend.jobs.reconciling.reconcile.worker_context", lambda: locked)
        remember(redis, backend_url=BACKEND)
        studio.webhooks.append({"id": 1, "url": f"{BACKEND}/webhook", "headers": {"X-Ours": "kept"}})
        reconcile(KEY)
        login = "Basic " + base64.b64encode(b"studio:secret").decode()
        assert studio.webhooks[0]["headers"] == {"X-Ours": "kept", "Authorization": login}
        locked.redis.close()


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
        self, context: WorkerContext, studio: Studio, redis: Redis, clip: Path
    ) -> None:
        studio.add_task(5, clip)
        assert suggest(KEY, 5) == "suggested 4 frames of task 5"
        (pushed,) = studio.predictions
        frames = [region["value"]["ranges"][0]["start"] for region in pushed["result"]]
        assert [(frame - 1) // 25 for frame in frames] == [0, 1, 2, 3]
        assert all(region["value"]["timelinelabels"] == [] for region in pushed["result"])
        assert studio.project is not None
        assert studio.project["model_version"] == "keyframes-v1"
        assert queued(redis) == ["embed 5"]
        answer = ready.load(context.settings.data_dir, KEY, "keyframes-v1", 5)
        assert answer is not None
        assert answer["result"] == pushed["result"]

    def test_a_few_evenly_when_the_project_wants_that(
        self, context: WorkerContext, studio: Studio, redis: Redis, clip: Path
    ) -> None:
        remember(redis, extra_params={"sampling": "uniform", "frames_per_video": 2})
        studio.add_task(5, clip)
        suggest(KEY, 5)
        frames = [region["value"]["ranges"][0]["start"] for region in studio.predictions[0]["result"]]
        assert frames == [26, 76]

    @pytest.mark.parametrize(("sampling", "expected"), [("unique", [1, 51, 76]), ("uniform", [10, 30, 50])])
    def test_a_video_that_was_embedded_before_is_not_decoded_again(
        self,
        context: WorkerContext,
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
        suggest(KEY, 5)
        found = [region["value"]["ranges"][0]["start"] for region in studio.predictions[0]["result"]]
        assert found == [frame + (sampling == "uniform") for frame in expected]
        told = {finding["kind"]: finding["message"] for finding in projects.findings_of(redis, KEY).get(5, [])}
        if sampling == "uniform":
            assert told["damaged"].startswith("40 of 100 frames of 5.mp4 are damaged; the last good one is at 2.36 s")
        else:
            assert "damaged" not in told

    def test_once(self, context: WorkerContext, studio: Studio, clip: Path) -> None:
        studio.add_task(5, clip)
        suggest(KEY, 5)
        assert suggest(KEY, 5) == "task 5 has its suggestions already"
        assert len(studio.predictions) == 1

    def test_killed_before_it_could_pin_them_it_does_so_the_next_time(
        self, context: WorkerContext, studio: Studio, redis: Redis
    ) -> None:
        studio.add_task(5)
        studio.predictions.append({"id": 0, "task": 5, "model_version": "keyframes-v1", "result": []})
        suggest(KEY, 5)
        assert studio.project is not None
        assert studio.project["model_version"] == "keyframes-v1"
        assert queued(redis) == ["embed 5"]

    def test_a_model_in_use_stays_pinned(
        self, context: WorkerContext, studio: Studio, redis: Redis, clip: Path
    ) -> None:
        assert studio.project is not None
        studio.project["model_version"] = "cold-v3"
        projects.activate(redis, KEY, "cold-v3")
        studio.add_task(5, clip)
        suggest(KEY, 5)
        assert studio.project["model_version"] == "cold-v3"

    @pytest.mark.parametrize(
        ("content", "error"),
        [(b"", VideoError), (b"<html>no video</html>", VideoUnreadable), (bytes(5000), VideoUnreadable)],
    )
    def test_what_is_no_video_is_told_by_its_task(
        self, context: WorkerContext, studio: Studio, tmp_path: Path, content: bytes, error: type[Exception]
    ) -> None:
        (tmp_path / "bad.mp4").write_bytes(content)
        studio.add_task(5, tmp_path / "bad.mp4")
        with pytest.raises(error, match=r"5\.mp4|[Tt]ask 5"):
            suggest(KEY, 5)
        assert studio.predictions == []

    def test_a_task_without_a_video_says_which_key_it_lacks(self, context: WorkerContext, studio: Studio) -> None:
        studio.add_task(5)
        studio.tasks[5]["data"] = {"film": "a.mp4"}
        with pytest.raises(VideoError, match=r"Task 5 has no video.*'video'"):
            suggest(KEY, 5)


class TestLabelStudioIsAway:
    def test_jobs_say_that_it_passes(
        self, redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from loopback import closed_port

        away = WorkerContext(replace(redis_settings, label_studio_url=f"http://127.0.0.1:{closed_port()}"))
        monkeypatch.setattr("ml_backend.jobs.reconciling.reconcile.worker_context", lambda: away)
        with pytest.raises(LabelStudioUnreachable):
            reconcile(KEY)
        away.redis.close()

    def test_a_token_without_rights_does_not(self, context: WorkerContext, studio: Studio) -> None:
        studio.view_functions["show_project"] = lambda: ({"detail": "No rights."}, 403)
        with pytest.raises(LabelStudioRefused, match="No rights"):
            reconcile(KEY)
