"""Jobs whose worker was killed. Real worker processes, really killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.queueing import liveness
from ml_backend.queueing.abandoned import take_up_abandoned, take_up_begun
from ml_backend.queueing.interventions import retry_job
from ml_backend.queueing.liveness import living, living_here, note_end, process_name, worker_name
from ml_backend.queueing.queue import counts, enqueue, listing, queue_of, queues, request_after, slots
from ml_backend.settings import Settings

P = "7.1769860800"
WORKER = """
from ml_backend.queueing.kinds import KINDS, Kind
for kind in KINDS:
    KINDS[kind] = Kind(f"sample_jobs.{kind}", 60, KINDS[kind].retried)
from ml_backend.jobs import worker
worker._HAND_BACK_SECONDS = 0.3
worker.work()
"""
Work = Callable[..., None]


# As a container begins its first process: with numbers of its own, on a machine whose name it has.
CONTAINER = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


@contextmanager
def worker(settings: Settings, *inside: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*inside, sys.executable, "-c", WORKER],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "LABEL_STUDIO_URL": settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
            "DATA_DIR": str(settings.data_dir),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def ran(redis: Redis) -> list[str]:
    return [note.decode() for note in redis.lrange("ran", 0, -1)]


def test_what_a_killed_worker_was_doing_is_taken_up(redis: Redis, redis_settings: Settings, work: Work) -> None:
    redis.rpush(f"do:{P}", "hang")
    enqueue(redis, "train", P)
    with worker(redis_settings) as killed:
        until(lambda: redis.get("hanging"))
        (row,) = listing(redis)["running"]
        assert (row["kind"], row["project"]) == ("train", P)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert take_up_abandoned(redis) == 1
    work()
    assert ran(redis) == [f"train {P}"] * 2
    assert counts(redis) == {"queued": 0, "running": 0, "finished": 1, "failed": 0}


def test_a_worker_that_has_to_stop_hands_its_job_back(redis: Redis, redis_settings: Settings, work: Work) -> None:
    redis.rpush(f"do:{P}", "hang")
    job_id = enqueue(redis, "train", P)
    with worker(redis_settings) as stopped:
        until(lambda: redis.get("hanging"))
        stopped.terminate()
        assert stopped.wait(20) == 0
    assert counts(redis) == {"queued": 1, "running": 0, "finished": 0, "failed": 0}
    assert "kills" not in Job.fetch(str(job_id), connection=redis, serializer=JSONSerializer).meta
    work()
    assert ran(redis) == [f"train {P}"] * 2


def begun_by(redis: Redis, job_id: str, name: str) -> None:
    """The job in the state in which a worker of that name has it in work."""
    from rq.executions import Execution

    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    with redis.pipeline() as pipeline:
        for queue in queues(redis):
            queue.remove(job, pipeline=pipeline)
        job.prepare_for_execution(name, pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()


def dead() -> str:
    """The name of a worker that has lived."""
    process = subprocess.Popen(["true"])
    process.wait()
    return worker_name(process.pid, "abc123")


def crashed(redis: Redis) -> str:
    """The name of one that ended by an error in native code, as its parent saw."""
    process = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"])
    note_end(redis, process.pid, process.wait())
    return worker_name(process.pid, "abc123")


def queued(redis: Redis, kind: str = "train", *subject: int) -> str:
    job_id = enqueue(redis, kind, P, *subject)
    assert job_id is not None
    return job_id


class TestTakingUp:
    def test_it_goes_to_the_front(self, redis: Redis, work: Work) -> None:
        job_id = queued(redis, "suggest", 1)
        begun_by(redis, job_id, dead())
        queued(redis, "suggest", 2)
        assert take_up_abandoned(redis) == 1
        work()
        assert ran(redis) == [f"suggest {P} 1", f"suggest {P} 2"]

    @pytest.mark.parametrize(
        "name",
        [worker_name(os.getppid(), "abc123"), "a name of some other kind", ""],
    )
    def test_what_a_worker_that_may_live_does_is_left_to_it(self, redis: Redis, name: str) -> None:
        begun_by(redis, queued(redis), name)
        assert take_up_abandoned(redis) == 0
        assert counts(redis)["running"] == 1

    def test_a_worker_that_died_between_the_two_steps_of_beginning(self, redis: Redis, work: Work) -> None:
        """RQ notes the execution first and the worker's name on the job after it; a full disk may come in between."""
        from rq.executions import Execution

        job = Job.fetch(queued(redis), connection=redis, serializer=JSONSerializer)
        with redis.pipeline() as pipeline:
            for queue in queues(redis):
                queue.remove(job, pipeline=pipeline)
            Execution.create(job, 60, pipeline, worker_name=dead())
            pipeline.execute()
        assert take_up_abandoned(redis) == 1
        work()
        assert len(ran(redis)) == 1

    def test_the_number_of_this_process_was_another_workers_before(self, redis: Redis) -> None:
        begun_by(redis, queued(redis), worker_name(os.getpid(), "abc123"))
        assert take_up_abandoned(redis) == 1

    def test_another_process_has_its_number_by_now(self, redis: Redis) -> None:
        begun_by(redis, queued(redis), f"{process_name(os.getppid())}.1-abc123")
        assert take_up_abandoned(redis) == 1

    def test_a_job_that_kills_its_workers_is_given_up_with_its_reason(self, redis: Redis, work: Work) -> None:
        job_id = queued(redis, "embed", 1)
        request_after(redis, [job_id], "rollout", P, "cold-v1")
        for taken in (1, 1, 0):
            begun_by(redis, job_id, crashed(redis))
            assert take_up_abandoned(redis) == taken
        (row,) = listing(redis)["failed"]
        assert "crashed its worker 3 times" in row["reason"]
        assert enqueue(redis, "embed", P, 1) is None
        work()
        assert ran(redis) == [f"rollout {P} cold-v1"], "what waited for it must go on"

    def test_being_killed_says_less_of_a_job_than_a_crash(self, redis: Redis) -> None:
        job_id = queued(redis, "embed", 1)
        for taken in (*[1] * 8, 0):
            begun_by(redis, job_id, dead())
            assert take_up_abandoned(redis) == taken
        assert "crashed its worker 9 times" in listing(redis)["failed"][0]["reason"]

    @pytest.mark.parametrize(("alive", "settled", "taken"), [(True, True, 0), (False, True, 1), (False, False, 0)])
    def test_on_another_machine_by_its_signs_of_life(
        self, redis: Redis, monkeypatch: pytest.MonkeyPatch, alive: bool, settled: bool, taken: int
    ) -> None:
        monkeypatch.setattr("ml_backend.queueing.liveness._SETTLED_SECONDS", -1 if settled else 10**9)
        there = "another-machine.12345.abc123"
        begun_by(redis, queued(redis), there)
        if alive:
            redis.zadd("coldblitz:alive", {there: time.time()})
        assert take_up_begun(redis) == taken

    def test_in_another_container_that_has_the_machines_name_by_its_signs_of_life(
        self, redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this user may not make process namespaces")
        monkeypatch.setattr("ml_backend.queueing.liveness._SETTLED_SECONDS", -1)
        redis.rpush(f"do:{P}", "hang")
        enqueue(redis, "train", P)
        with worker(redis_settings, *CONTAINER) as elsewhere:
            until(lambda: redis.get("hanging"))
            (name,) = living(redis)
            assert name.startswith(f"{socket.gethostname()}.")
            assert take_up_begun(redis) == 0, "no process here has its number, or another one has"
            assert living_here(redis) == []
            (job,) = Job.fetch_many([slots("train", P)[0]], connection=redis, serializer=JSONSerializer)
            assert job is not None
            assert "kills" not in job.meta
            elsewhere.kill()
            elsewhere.wait()
        assert take_up_begun(redis) == 0
        monkeypatch.setattr("ml_backend.queueing.liveness._FOR", 0.0)
        assert take_up_begun(redis) == 1

    def test_one_of_an_older_release_whose_names_told_less_by_its_signs_of_life(
        self, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml_backend.queueing.liveness._SETTLED_SECONDS", -1)
        name = f"{socket.gethostname()}.{2**22 + 1}.77-abc123"
        begun_by(redis, queued(redis), name)
        redis.zadd("coldblitz:alive", {name: time.time()})
        assert take_up_begun(redis) == 0
        redis.delete("coldblitz:alive")
        assert take_up_begun(redis) == 1

    def test_one_whose_worker_died_before_it_began_is_not_lost(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml_backend.queueing.abandoned._IN_HAND_SECONDS", 0.1)
        queued(redis)
        redis.lpop(queue_of(redis, "train").key)
        assert counts(redis)["queued"] == 0
        assert take_up_abandoned(redis) == 1
        work()
        assert ran(redis) == [f"train {P}"]

    def test_one_that_a_living_worker_has_just_taken_is_left_to_it(
        self, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = queued(redis)
        redis.lpop(queue_of(redis, "train").key)
        # While the one that takes up waits, the other begins.
        monkeypatch.setattr("time.sleep", lambda _: begun_by(redis, job_id, worker_name(os.getppid(), "abc123")))
        assert take_up_abandoned(redis) == 0
        assert counts(redis)["running"] == 1

    def test_two_workers_that_start_together_take_it_up_once(self, redis: Redis, work: Work) -> None:
        import threading

        begun_by(redis, queued(redis), dead())
        taken: list[int] = []
        threads = [threading.Thread(target=lambda: taken.append(take_up_abandoned(redis))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [0, 0, 0, 1]
        work()
        assert ran(redis) == [f"train {P}"]


class TestAVideoThatEndsItsWorkers:
    def meet(self, redis: Redis, kind: str, *subject: int) -> None:
        """A worker dies of a native error with the video in hand."""
        job_id = queued(redis, kind, *subject)
        begun_by(redis, job_id, crashed(redis))
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        job.meta["video"] = "its content"
        job.save()
        assert take_up_abandoned(redis) == 1, "the job is not to blame"

    def test_is_given_up_whatever_job_meets_it_and_the_jobs_go_on(self, redis: Redis, work: Work) -> None:
        for kind, *subject in (("embed", 1), ("train",), ("train",)):
            self.meet(redis, kind, *subject)  # type: ignore[arg-type]
        redis.rpush(f"do:{P}", *["open the video"] * 2)
        work()
        rows = listing(redis)["failed"]
        assert {row["kind"] for row in rows} == {"embed", "train"}
        assert all("ended the worker that opened it 3 times" in row["reason"] for row in rows)

    def test_is_opened_again_when_the_admin_retries_its_job(self, redis: Redis, work: Work) -> None:
        for _ in range(3):
            self.meet(redis, "embed", 1)
        redis.rpush(f"do:{P}", "open the video")
        work()
        (row,) = listing(redis)["failed"]
        retry_job(redis, row["id"])
        redis.rpush(f"do:{P}", "open the video")
        work()
        assert listing(redis)["failed"] == []

    def test_while_a_job_has_one_in_hand_it_says_which(self, redis: Redis, work: Work) -> None:
        redis.rpush(f"do:{P}", "open the video")
        job_id = queued(redis, "embed", 1)
        work()
        assert redis.get("in hand") == b"its content"
        assert "video" not in Job.fetch(job_id, connection=redis, serializer=JSONSerializer).meta

    @pytest.mark.parametrize(("kills", "failed"), [(liveness.KILLS - 1, 0), (liveness.KILLS, 1)])
    def test_being_killed_counts_less(self, redis: Redis, work: Work, kills: int, failed: int) -> None:
        assert liveness.CRASHES < liveness.KILLS
        for _ in range(kills):
            liveness.blame(redis, "its content", crashed=False)
        redis.rpush(f"do:{P}", "open the video")
        queued(redis, "embed", 1)
        work()
        assert len(listing(redis)["failed"]) == failed
