"""Queueing: nothing is done twice at once, nothing is lost, and what failed says why. A real Redis, a real RQ worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.queueing.interventions import retry_failed
from ml_backend.queueing.kinds import KINDS
from ml_backend.queueing.queue import counts, enqueue, has_failed, listing, queue_due, queues, request_after

P = "7.1769860800"
Work = Callable[..., None]


def ran(redis: Redis) -> list[str]:
    return [note.decode() for note in redis.lrange("ran", 0, -1)]


def will(redis: Redis, *commands: str, project: str = P) -> None:
    redis.rpush(f"do:{project}", *commands)


def started(redis: Redis, job_id: str) -> None:
    """As a worker that has just begun the job sees to it."""
    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    for queue in queues(redis):
        queue.remove(job)
    with redis.pipeline() as pipeline:
        job.prepare_for_execution("elsewhere", pipeline)
        pipeline.execute()


class TestCoalescing:
    def test_a_hundred_events_are_one_job(self, redis: Redis, work: Work) -> None:
        assert len({enqueue(redis, "train", P, again=True) for _ in range(100)}) == 1
        work()
        assert ran(redis) == [f"train {P}"]

    def test_from_many_threads_too(self, redis: Redis, work: Work) -> None:
        with ThreadPoolExecutor(8) as threads:
            for project in map(str, range(20)):
                assert (
                    len(set(threads.map(lambda _, project=project: enqueue(redis, "train", project), range(50)))) == 1
                )
        assert counts(redis)["queued"] == 20
        work()
        assert sorted(ran(redis)) == sorted(f"train {project}" for project in range(20))

    def test_while_one_runs_one_more_may_wait(self, redis: Redis, work: Work) -> None:
        will(redis, "request itself")
        enqueue(redis, "train", P)
        work()
        assert ran(redis) == [f"train {P}"] * 2

    def test_however_many_run_what_comes_then_is_not_lost(self, redis: Redis) -> None:
        for _ in range(3):
            job_id = enqueue(redis, "train", P)
            assert job_id is not None
            started(redis, job_id)
        last = enqueue(redis, "train", P)
        assert last == enqueue(redis, "train", P)
        assert last in queues(redis)[list(KINDS).index("train")].get_job_ids()

    def test_one_that_waits_is_found_though_an_earlier_place_is_free(self, redis: Redis, work: Work) -> None:
        first = enqueue(redis, "train", P)
        assert first is not None
        started(redis, first)
        second = enqueue(redis, "train", P)
        Job.fetch(first, connection=redis, serializer=JSONSerializer).delete()
        assert enqueue(redis, "train", P) == second
        assert counts(redis)["queued"] == 1

    def test_other_projects_kinds_and_tasks_are_other_jobs(self, redis: Redis, work: Work) -> None:
        for kind, project, *subject in (
            ("train", P),
            ("reconcile", P),
            ("train", "8.1"),
            ("suggest", P, 1),
            ("suggest", P, 2),
            ("rollout", P, "cold-v1"),
            ("rollout", P, "cold-v2"),
        ):
            enqueue(redis, kind, project, *subject)
        work()
        assert len(ran(redis)) == 7

    def test_a_finished_job_is_no_obstacle_to_the_next(self, redis: Redis, work: Work) -> None:
        for _ in range(3):
            enqueue(redis, "train", P)
            work()
        assert len(ran(redis)) == 3

    def test_the_most_urgent_kind_goes_first(self, redis: Redis, work: Work) -> None:
        for kind, *subject in (("embed", 1), ("suggest", 1), ("rollout", "cold-v1"), ("train",), ("reconcile",)):
            enqueue(redis, kind, P, *subject)  # type: ignore[arg-type]
        work()
        assert [note.split()[0] for note in ran(redis)] == ["reconcile", "train", "rollout", "suggest", "embed"]


class TestFailures:
    def test_one_for_good_is_not_tried_again_and_says_why(self, redis: Redis, work: Work) -> None:
        will(redis, "fail for good")
        enqueue(redis, "suggest", P, 5)
        work()
        assert ran(redis) == [f"suggest {P} 5"]
        (row,) = listing(redis)["failed"]
        assert (row["kind"], row["project"], row["task"]) == ("suggest", P, 5)
        assert row["reason"] == "It is no video. Upload another."
        assert counts(redis) == {"queued": 0, "running": 0, "finished": 0, "failed": 1}

    def test_it_is_not_even_queued_again_by_a_reconcile(self, redis: Redis, work: Work) -> None:
        will(redis, "fail for good")
        enqueue(redis, "suggest", P, 5)
        work()
        assert enqueue(redis, "suggest", P, 5) is None
        assert has_failed(redis, "suggest", P, 5)
        assert counts(redis)["queued"] == 0

    def test_wherever_it_ran(self, redis: Redis, work: Work) -> None:
        will(redis, "request itself", "fail for good")
        enqueue(redis, "suggest", P, 5)
        work()
        assert enqueue(redis, "suggest", P, 5) is None

    def test_news_queue_it_again_and_success_clears_the_failure(self, redis: Redis, work: Work) -> None:
        will(redis, "request itself", "fail for good")
        enqueue(redis, "train", P)
        work()
        assert enqueue(redis, "train", P, again=True) is not None
        work()
        assert listing(redis)["failed"] == []
        assert not has_failed(redis, "train", P)
        assert len(ran(redis)) == 3

    def test_what_passes_is_tried_again(self, redis: Redis, work: Work) -> None:
        will(redis, "fail for now", "fail for now")
        enqueue(redis, "train", P)
        work()
        assert ran(redis) == [f"train {P}"] * 3
        (row,) = listing(redis)["finished"]
        assert row["reason"] is None
        assert (row["percent"], row["text"]) == (100, f"did train {P}")

    def test_what_never_passes_ends_with_its_reason_and_may_be_asked_for_again(self, redis: Redis, work: Work) -> None:
        will(redis, *["fail for now"] * 3)
        enqueue(redis, "train", P)
        work()
        assert len(ran(redis)) == 3
        (row,) = listing(redis)["failed"]
        assert row["reason"] == "Label Studio does not answer. Wait."
        assert enqueue(redis, "train", P) is not None

    def test_a_mistake_of_ours_is_tried_again_and_named(self, redis: Redis, work: Work) -> None:
        will(redis, *["break"] * 3)
        enqueue(redis, "train", P)
        work()
        assert len(ran(redis)) == 3
        (row,) = listing(redis)["failed"]
        assert "ZeroDivisionError: a mistake of ours" in row["reason"]

    def test_one_that_waits_for_its_next_try_goes_at_once_when_there_is_news(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml_backend.queueing.queue._RETRY_AFTER", [600, 600])
        will(redis, "fail for now")
        enqueue(redis, "train", P)
        work()
        assert counts(redis) == {"queued": 1, "running": 0, "finished": 0, "failed": 0}
        (row,) = listing(redis)["queued"]
        assert row["reason"] == "Label Studio does not answer. Wait."
        enqueue(redis, "train", P)
        work()
        assert len(ran(redis)) == 1
        enqueue(redis, "train", P, again=True)
        work()
        assert len(ran(redis)) == 2
        assert counts(redis) == {"queued": 0, "running": 0, "finished": 1, "failed": 0}

    def test_the_next_try_comes_when_it_is_due(self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ml_backend.queueing.queue._RETRY_AFTER", [600, 600])
        will(redis, "fail for now", "fail for now")
        job_id = enqueue(redis, "train", P)
        work()
        assert queue_due(redis) == 0
        assert redis.zadd("rq:scheduled:coldblitz-train", {str(job_id): time.time() - 1}, xx=True, ch=True) == 1
        assert [queue_due(redis), queue_due(redis)] == [1, 0]
        work()
        assert len(ran(redis)) == 2
        assert queue_due(redis) == 0
        assert counts(redis)["queued"] == 1

    def test_one_planned_before_the_clock_was_set_back_does_not_wait_for_the_old_time(
        self, redis: Redis, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml_backend.queueing.queue._RETRY_AFTER", [600, 600])
        will(redis, "fail for now")
        job_id = enqueue(redis, "train", P)
        work()
        redis.zadd("rq:scheduled:coldblitz-train", {str(job_id): time.time() + 24 * 3600}, xx=True)
        assert queue_due(redis) == 1
        work()
        assert len(ran(redis)) == 2

    def test_all_that_failed_can_be_tried_again_when_the_cause_is_mended(self, redis: Redis, work: Work) -> None:
        for task in (1, 2):
            will(redis, "fail for good")
            enqueue(redis, "suggest", P, task)
            work()
        assert len(retry_failed(redis)) == 2
        work()
        assert counts(redis) == {"queued": 0, "running": 0, "finished": 2, "failed": 0}
        assert retry_failed(redis) == []

    def test_after_a_restart_only_what_other_settings_may_mend(self, redis: Redis, work: Work) -> None:
        for task, failure in ((1, "fail for good"), (2, "fail of the token")):
            will(redis, failure)
            enqueue(redis, "suggest", P, task)
            work()
        assert len(retry_failed(redis, restarted=True)) == 1
        work()
        assert ran(redis)[2:] == [f"suggest {P} 2"]
        assert [row["task"] for row in listing(redis)["failed"]] == [1]


class TestWaitingForOthers:
    def embeds(self, redis: Redis, *tasks: int) -> list[str]:
        return [str(enqueue(redis, "embed", P, task)) for task in tasks]

    def test_it_starts_when_all_have_ended(self, redis: Redis, work: Work) -> None:
        request_after(redis, self.embeds(redis, 1, 2), "rollout", P, "cold-v1")
        assert counts(redis)["queued"] == 3
        work()
        assert ran(redis) == [f"embed {P} 1", f"embed {P} 2", f"rollout {P} cold-v1"]

    @pytest.mark.parametrize("failure", ["fail for good", "fail for now", "break"])
    def test_well_or_not(self, redis: Redis, work: Work, failure: str) -> None:
        will(redis, failure)
        request_after(redis, self.embeds(redis, 1, 2), "rollout", P, "cold-v1")
        work()
        assert ran(redis) == [f"embed {P} 1", f"embed {P} 2", f"rollout {P} cold-v1"]

    @pytest.mark.parametrize("end", ["succeed", "fail for good", "fail for now"])
    def test_also_when_they_had_ended_before_it_was_asked_for(self, redis: Redis, work: Work, end: str) -> None:
        will(redis, end)
        waits_for = self.embeds(redis, 1)
        work()
        request_after(redis, waits_for, "rollout", P, "cold-v1")
        work()
        assert ran(redis)[-1] == f"rollout {P} cold-v1"

    def test_also_when_nothing_is_known_of_them_any_more(self, redis: Redis, work: Work) -> None:
        request_after(redis, ["embed_gone_a"], "rollout", P, "cold-v1")
        work()
        assert ran(redis) == [f"rollout {P} cold-v1"]

    def test_asked_for_twice_it_runs_once_after_the_second_list(self, redis: Redis, work: Work) -> None:
        request_after(redis, self.embeds(redis, 1), "rollout", P, "cold-v1")
        request_after(redis, self.embeds(redis, 1, 2), "rollout", P, "cold-v1")
        work()
        assert ran(redis) == [f"embed {P} 1", f"embed {P} 2", f"rollout {P} cold-v1"]

    def test_one_that_runs_may_wait_once_more(self, redis: Redis, work: Work) -> None:
        will(redis, "succeed", "wait for itself")
        request_after(redis, self.embeds(redis, 1), "rollout", P, "cold-v1")
        work()
        assert ran(redis) == [f"embed {P} 1", f"rollout {P} cold-v1"] * 2
        assert counts(redis)["queued"] == 0


class TestTheListing:
    def test_nothing_is_empty(self, redis: Redis) -> None:
        assert listing(redis) == {"queued": [], "running": [], "finished": [], "failed": []}

    def test_a_running_job_shows_how_far_it_is(self, redis: Redis, work: Work) -> None:
        will(redis, "report")
        enqueue(redis, "train", P)
        work()
        (row,) = json.loads(redis.get("shown"))
        assert (row["percent"], row["text"]) == (25, "a quarter")

    def test_the_subject_is_a_task_or_a_version(self, redis: Redis) -> None:
        enqueue(redis, "suggest", P, 5)
        enqueue(redis, "rollout", P, "cold-v1")
        rows = {row["kind"]: (row["task"], row["version"]) for row in listing(redis)["queued"]}
        assert rows == {"suggest": (5, None), "rollout": (None, "cold-v1")}

    def test_it_is_short_and_the_newest_come_first(self, redis: Redis, work: Work) -> None:
        for task in range(150):
            enqueue(redis, "suggest", P, task)
        assert len(listing(redis)["queued"]) == 100
        work(3)
        found = listing(redis)
        assert [row["task"] for row in found["finished"]] == [2, 1, 0]
        assert counts(redis) == {"queued": 147, "running": 0, "finished": 3, "failed": 0}
