"""Cancelling, trying again, and how long a job may take. A real Redis, a real RQ worker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.queueing import queue
from ml_backend.queueing.interventions import cancel, drop_project, drop_tasks, retry_failed, retry_job, retry_mended
from ml_backend.queueing.job_limits import video_seconds
from ml_backend.queueing.kinds import KINDS, Kind
from ml_backend.queueing.queue import counts, enqueue, listing, queue_due, request_after, scheduled, waiting

P = "7.1769860800"
# While it counts, no signal reaches Python.
HANGING = """
from ml_backend.queueing.job_limits import watched

def hang():
    sum(range(10**13))

with watched(0.1, grace=0.2):
    pass
with watched(0.1, grace=0.2):
    hang()
"""
Work = Callable[..., None]


def ran(redis: Redis) -> list[str]:
    return [note.decode() for note in redis.lrange("ran", 0, -1)]


def will(redis: Redis, *commands: str) -> None:
    redis.rpush(f"do:{P}", *commands)


class TestCancelling:
    def test_one_that_waits_is_not_done_and_says_so(self, redis: Redis, work: Work) -> None:
        job_id = enqueue(redis, "suggest", P, 1)
        assert cancel(redis, str(job_id))
        work()
        assert ran(redis) == []
        (row,) = listing(redis)["failed"]
        assert (row["cancelled"], row["reason"][:16]) == (True, "It was cancelled")

    def test_one_that_runs_stops_at_its_next_report(self, redis: Redis, work: Work) -> None:
        will(redis, "report for ever")
        job_id = str(enqueue(redis, "train", P))

        def stop() -> None:
            while not redis.get("reporting"):
                time.sleep(0.01)
            cancel(redis, job_id)

        thread = threading.Thread(target=stop)
        thread.start()
        work()
        thread.join()
        assert listing(redis)["failed"][0]["cancelled"]
        assert ran(redis) == [f"train {P}"]

    def test_one_that_waits_for_others_or_for_its_next_try(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "_RETRY_AFTER", [600])
        will(redis, "fail for now")
        tried = enqueue(redis, "train", P)
        work()
        request_after(redis, [str(enqueue(redis, "embed", P, 1))], "rollout", P, "cold-v1")
        deferred = next(row["id"] for row in listing(redis)["queued"] if row["kind"] == "rollout")
        assert cancel(redis, str(tried))
        assert cancel(redis, deferred)
        work()
        assert ran(redis)[1:] == [f"embed {P} 1"]
        assert counts(redis)["queued"] == 0

    def test_what_waited_for_it_goes_on(self, redis: Redis, work: Work) -> None:
        embed = str(enqueue(redis, "embed", P, 1))
        request_after(redis, [embed], "rollout", P, "cold-v1")
        cancel(redis, embed)
        work()
        assert ran(redis) == [f"rollout {P} cold-v1"]

    def test_no_reconcile_brings_it_back_but_news_do(self, redis: Redis, work: Work) -> None:
        cancel(redis, str(enqueue(redis, "train", P)))
        assert enqueue(redis, "train", P) is None
        assert retry_mended(redis, P, disk=True) == 0
        assert retry_failed(redis) == retry_failed(redis, restarted=True) == []
        assert enqueue(redis, "train", P, again=True) is not None
        work()
        assert ran(redis) == [f"train {P}"]

    def test_the_next_job_of_the_same_name_is_another_one(self, redis: Redis, work: Work) -> None:
        cancel(redis, str(enqueue(redis, "train", P)))
        enqueue(redis, "train", P, again=True)
        work()
        assert counts(redis)["finished"] == 1

    def test_what_has_ended_or_never_was_cannot_be(self, redis: Redis, work: Work) -> None:
        job_id = enqueue(redis, "train", P)
        work()
        assert cancel(redis, str(job_id)) is False
        assert cancel(redis, "nonsense") is None
        assert cancel(redis, "not/even a name") is None


class TestTryingAgain:
    def test_one_whose_time_has_come_stands_in_line_once_whoever_sees_it(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "_RETRY_AFTER", [600])
        will(redis, *["fail for now"] * 20)
        tried = [str(enqueue(redis, "suggest", P, task)) for task in range(20)]
        work()
        redis.zadd("rq:scheduled:coldblitz-suggest", dict.fromkeys(tried, time.time() - 1))
        with ThreadPoolExecutor(2) as threads:
            looks = [threads.submit(retry_mended, redis, P, disk=True), threads.submit(queue_due, redis)]
            for task in range(20):
                enqueue(redis, "suggest", P, task, again=True)
            for look in looks:
                look.result()
        assert sorted(queue.queue_of(redis, "suggest").get_job_ids()) == sorted(tried)

    def test_one_job_alone(self, redis: Redis, work: Work) -> None:
        for task in (1, 2):
            will(redis, "fail for good")
            enqueue(redis, "suggest", P, task)
            work()
        one = next(row["id"] for row in listing(redis)["failed"] if row["task"] == 2)
        assert retry_job(redis, one) is not None
        work()
        assert ran(redis)[2:] == [f"suggest {P} 2"]
        assert [row["task"] for row in listing(redis)["failed"]] == [1]
        assert retry_job(redis, "nonsense") is None

    def test_also_a_cancelled_one(self, redis: Redis, work: Work) -> None:
        job_id = str(enqueue(redis, "train", P))
        cancel(redis, job_id)
        retry_job(redis, job_id)
        work()
        assert counts(redis) == {"queued": 0, "running": 0, "finished": 1, "failed": 0}

    def test_when_label_studio_is_back_nothing_waits_for_its_pause(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "_RETRY_AFTER", [1800])
        for task in (1, 2):
            will(redis, "fail for now")
            enqueue(redis, "suggest", P, task)
        work()
        redis.rpush("do:8.1", "fail for now")
        enqueue(redis, "suggest", "8.1", 3)
        work()
        assert counts(redis)["queued"] == 3
        assert retry_mended(redis, P, disk=True) == 2
        work()
        assert counts(redis) == {"queued": 1, "running": 0, "finished": 2, "failed": 0}

    def test_nor_is_it_lost_when_it_had_run_out_of_tries(self, redis: Redis, work: Work) -> None:
        will(redis, *["fail for now"] * 3)
        enqueue(redis, "suggest", P, 1)
        work()
        assert counts(redis)["failed"] == 1
        assert retry_mended(redis, P, disk=False) == 1

    def test_what_failed_of_the_disk_waits_until_that_is_well(self, redis: Redis, work: Work) -> None:
        will(redis, "fail of the disk")
        enqueue(redis, "suggest", P, 1)
        work()
        assert retry_mended(redis, P, disk=False) == 0
        assert retry_mended(redis, P, disk=True) == 1

    def test_a_bad_video_and_a_mistake_of_ours_stay_for_a_person(self, redis: Redis, work: Work) -> None:
        will(redis, "fail for good", *["break"] * 3)
        for task in (1, 2):
            enqueue(redis, "suggest", P, task)
        work()
        assert counts(redis)["failed"] == 2
        assert retry_mended(redis, P, disk=True) == 0
        assert enqueue(redis, "suggest", P, 2) is None
        assert len(retry_failed(redis)) == 2

    def test_a_task_that_is_gone_is_no_failure(self, redis: Redis, work: Work) -> None:
        will(redis, "find it gone")
        enqueue(redis, "suggest", P, 1)
        work()
        (row,) = listing(redis)["finished"]
        assert "gone" in row["text"]

    def test_of_tasks_that_are_gone_no_job_is_kept(self, redis: Redis, work: Work) -> None:
        for task in (1, 2):
            will(redis, "fail for good")
            enqueue(redis, "suggest", P, task)
        work()
        for task in (1, 2):
            enqueue(redis, "embed", P, task)
        enqueue(redis, "train", P)
        drop_tasks(redis, P, {2})
        left = [(row["kind"], row["task"]) for rows in listing(redis).values() for row in rows]
        assert sorted(left, key=str) == [("embed", 1), ("suggest", 1), ("train", None)]

    def test_of_tasks_with_another_video_what_waits_is_kept_and_goes_at_once(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "_RETRY_AFTER", [600])
        will(redis, "fail for good", "fail for now")
        enqueue(redis, "suggest", P, 2)
        enqueue(redis, "fetch", P, 2)
        work(2)
        enqueue(redis, "sheet", P, 2)
        assert scheduled(redis, "fetch") == 1
        drop_tasks(redis, P, {2}, {2})
        left = {state: [row["kind"] for row in rows] for state, rows in listing(redis).items()}
        assert left == {"queued": ["sheet", "fetch"], "running": [], "finished": [], "failed": []}
        assert waiting(redis, "fetch") == 1
        work()
        assert redis.lrange("ran", 2, -1) == [f"fetch {P} 2".encode(), f"sheet {P} 2".encode()]

    def test_of_a_project_that_is_gone_no_job_is_kept(self, redis: Redis, work: Work) -> None:
        will(redis, "fail for good")
        enqueue(redis, "suggest", P, 1)
        work()
        enqueue(redis, "train", P)
        enqueue(redis, "train", "8.1")
        request_after(redis, [str(enqueue(redis, "embed", P, 1))], "rollout", P, "cold-v1")
        drop_project(redis, P)
        assert counts(redis) == {"queued": 1, "running": 0, "finished": 0, "failed": 0}


class TestHowLongAJobMayTake:
    @pytest.fixture
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(KINDS, "embed", Kind("sample_jobs.embed", 1, retried=False))

    @pytest.mark.usefixtures("short")
    def test_longer_than_its_limit_ends_it_with_the_reason(self, redis: Redis, work: Work) -> None:
        will(redis, "take two seconds")
        enqueue(redis, "embed", P, 1)
        work()
        assert "time limit" in listing(redis)["failed"][0]["reason"]

    @pytest.mark.usefixtures("short")
    def test_what_it_opens_gives_it_more_and_rq_knows(self, redis: Redis, work: Work) -> None:
        will(redis, "ask for more time")
        job_id = str(enqueue(redis, "embed", P, 1))
        work()
        assert counts(redis)["finished"] == 1
        assert float(redis.get("abandoned at") or 0) > time.time() + 50
        assert Job.fetch(job_id, connection=redis, serializer=JSONSerializer).timeout is not None

    def test_one_that_never_returns_to_python_ends_its_worker_and_says_where_it_hung(self) -> None:
        ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1
        assert "in hang" in ended.stderr

    def test_a_videos_length_is_what_it_says_unless_its_size_denies_it(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        noise = np.random.default_rng(0).integers(0, 256, (50, 240, 320, 3), np.uint8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for picture in noise:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        assert video_seconds(path) == pytest.approx(2, abs=0.1)
        content = path.read_bytes()
        # The movie header's duration, in its own time scale, is promised to be a thousand times as long.
        at = content.index(b"mvhd") + 20
        years = int.from_bytes(content[at : at + 4], "big") * 100_000
        path.write_bytes(content[:at] + years.to_bytes(4, "big") + content[at + 4 :])
        assert video_seconds(path) <= path.stat().st_size / 12_500
        path.write_bytes(b"no video at all")
        assert video_seconds(path) == 0
