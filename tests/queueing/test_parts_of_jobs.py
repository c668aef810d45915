"""A job that is shared out: each part is one job, the whole goes on when all have ended, people see one row, and others have their turn."""

from __future__ import annotations

import time

from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from workroom import Work

from ml_backend.queueing import interventions
from ml_backend.queueing.counters import text
from ml_backend.queueing.parts import Subject, has_waited_for, in_turn, queue_parts
from ml_backend.queueing.queue import counts, depths, enqueue, existing, last_failure, listing, queue_of, queues, slots
from ml_backend.queueing.waiting import lines

LONG: Subject = (5,)


def share(redis: Redis, parts: int, project: str = "long", total: int | None = None) -> None:
    subjects: list[Subject] = [(5, number) for number in range(parts)]
    queue_parts(redis, "embed_part", project, subjects, ("embed", LONG), total or parts)


def ran(redis: Redis) -> list[str]:
    return [text(note) for note in redis.lrange("ran", 0, -1)]


def whole(redis: Redis, project: str = "long") -> Job:
    (job,) = existing(redis, slots("embed", project, *LONG))
    return job


def test_the_whole_goes_on_when_its_parts_have_ended(redis: Redis, work: Work) -> None:
    share(redis, 10)
    assert whole(redis).get_status() == JobStatus.DEFERRED
    work()
    assert ran(redis) == [f"embed_part long 5 {number}" for number in range(10)] + ["embed long 5"]


def test_a_part_that_waits_or_runs_is_not_queued_again(redis: Redis, work: Work) -> None:
    share(redis, 6)
    share(redis, 6)
    share(redis, 6)
    work()
    assert sorted(ran(redis)) == sorted([f"embed_part long 5 {number}" for number in range(6)] + ["embed long 5"])


def test_who_asks_for_the_whole_meanwhile_waits_for_its_parts(redis: Redis, work: Work) -> None:
    share(redis, 3)
    assert enqueue(redis, "embed", "long", 5) == whole(redis).id
    assert enqueue(redis, "embed", "long", 5, again=True) == whole(redis).id
    work()
    assert ran(redis).count("embed long 5") == 1


def test_a_part_that_fails_for_good_does_not_keep_the_others_nor_the_whole(redis: Redis, work: Work) -> None:
    redis.rpush("do:long", "succeed", "fail for good", "succeed", "fail for now")
    share(redis, 10)
    work()
    assert len(set(ran(redis))) == 11
    assert ran(redis)[-1] == "embed long 5"
    # What passes was tried again.
    assert [number for number in range(10) if _failed(redis, number)] == [1]


def _failed(redis: Redis, number: int) -> bool:
    return last_failure(redis, "embed_part", "long", 5, number) is not None


def test_a_part_that_failed_before_is_done_again_when_it_is_shared_out_anew(redis: Redis, work: Work) -> None:
    redis.rpush("do:long", "fail for good")
    share(redis, 2)
    work()
    redis.delete("ran")
    share(redis, 1, total=2)
    assert not _failed(redis, 0)
    work()
    assert ran(redis) == ["embed_part long 5 0", "embed long 5"]


def test_parts_that_ended_well_and_are_forgotten_since_keep_nothing_from_going_on(redis: Redis, work: Work) -> None:
    share(redis, 10)
    for _ in range(10):
        work(1)
        # As Redis does minutes later.
        for job in existing(redis, [place for number in range(10) for place in slots("embed_part", "long", 5, number)]):
            if job.get_status() == JobStatus.FINISHED:
                redis.delete(job.key)
    assert whole(redis).get_status() == JobStatus.QUEUED
    for number in range(10):
        assert has_waited_for(whole(redis), "embed_part", "long", (5, number))
    assert not has_waited_for(whole(redis), "embed_part", "long", (5, 10))
    work()
    assert ran(redis)[-1] == "embed long 5"


class TestOneRow:
    def test_it_tells_how_many_parts_are_done(self, redis: Redis, work: Work) -> None:
        share(redis, 10, total=12)
        (row,) = listing(redis)["queued"]
        assert (row["kind"], row["task"], row["text"]) == ("embed", 5, "2 of 12 parts")
        work(3)
        (row,) = listing(redis)["queued"]
        assert (row["text"], row["percent"]) == ("5 of 12 parts", 41.7)
        assert sum(len(rows) for rows in listing(redis).values()) == 1
        assert counts(redis) == {"queued": 1, "running": 0, "finished": 0, "failed": 0}
        # Who scales workers by the length of the line sees the parts.
        assert depths(redis)["embed_part"]["queued"] == 4
        # The page's table has no line for parts, and the job once.
        assert "embed_part" not in lines(redis)
        assert lines(redis)["embed"] == {"queued": 0, "scheduled": 0, "deferred": 1, "running": 0, "failed": 0}

    def test_it_runs_while_a_part_does(self, redis: Redis) -> None:
        share(redis, 4)
        first = Job.fetch(slots("embed_part", "long", 5, 0)[0], connection=redis, serializer=JSONSerializer)
        first.meta["percent"] = 50
        first.save()
        first.set_status(JobStatus.STARTED)
        redis.zadd(queue_of(redis, "embed_part").started_job_registry.key, {f"{first.id}:1": time.time() + 60})
        assert counts(redis) == {"queued": 0, "running": 1, "finished": 0, "failed": 0}
        assert lines(redis)["embed"] == {"queued": 0, "scheduled": 0, "deferred": 0, "running": 1, "failed": 0}
        (row,) = listing(redis)["running"]
        assert (row["text"], row["percent"]) == ("0 of 4 parts", 12.5)
        assert listing(redis)["queued"] == []

    def test_it_tells_of_parts_that_failed(self, redis: Redis, work: Work) -> None:
        redis.rpush("do:long", "fail for good")
        share(redis, 3)
        work(2)
        (row,) = listing(redis)["queued"]
        assert row["text"] == "1 of 3 parts, 1 failed"
        assert listing(redis)["failed"] == []


class TestCancelling:
    def test_parts_that_wait_are_gone_and_the_whole_does_not_begin(self, redis: Redis, work: Work) -> None:
        share(redis, 10)
        work(3)
        assert interventions.cancel(redis, whole(redis).id)
        work()
        assert len(ran(redis)) == 3
        (row,) = listing(redis)["failed"]
        assert row["cancelled"]
        assert interventions.retry_job(redis, row["id"])
        work()
        assert ran(redis)[3:] == ["embed long 5"]

    def test_a_part_that_runs_stops_and_does_not_begin_the_whole(self, redis: Redis, work: Work) -> None:
        share(redis, 3)
        first = Job.fetch(slots("embed_part", "long", 5, 0)[0], connection=redis, serializer=JSONSerializer)
        first.set_status(JobStatus.STARTED)
        interventions.cancel(redis, whole(redis).id)
        assert interventions.is_cancelled(redis, first)
        work()
        assert ran(redis) == []
        assert whole(redis).get_status() == JobStatus.FAILED

    def test_nothing_is_left_of_a_task_that_is_gone(self, redis: Redis, work: Work) -> None:
        share(redis, 10)
        work(1)
        interventions.drop_tasks(redis, "long", {5})
        work()
        assert ran(redis) == ["embed_part long 5 0"]
        assert sum(len(rows) for name, rows in listing(redis).items() if name != "finished") == 0


class TestTurns:
    def test_short_videos_go_first_and_another_long_one_is_not_held_up(self, redis: Redis, work: Work) -> None:
        share(redis, 20)
        share(redis, 3, project="other")
        for task in range(3):
            enqueue(redis, "embed", "short", task)
        work()
        done = ran(redis)
        assert done[:3] == [f"embed short {task}" for task in range(3)]
        assert done.index("embed other 5") < done.index("embed_part long 5 8")

    def test_projects_take_turns_with_the_parts_that_follow_as_well(self, redis: Redis, work: Work) -> None:
        large, small = "7.1769860800", "8.1769860800"
        for task in (1, 2, 3):
            subjects: list[Subject] = [(task, number) for number in range(5)]
            queue_parts(redis, "embed_part", large, subjects, ("embed", (task,)), 5)
        # Four are in line; a worker puts each of the others there when it has done one.
        share(redis, 8, project=small)
        work(16)
        assert [note.split()[1] for note in ran(redis)] == [large, small] * 8

    def test_after_a_short_video_a_part_has_its_turn(self, redis: Redis) -> None:
        def order(last: str) -> list[str]:
            return [queue.name.removeprefix("coldblitz-") for queue in in_turn(queues(redis), f"coldblitz-{last}")]

        usual = order("train")
        assert usual == order("embed_part") == [queue.name.removeprefix("coldblitz-") for queue in queues(redis)]
        assert usual.index("embed") < usual.index("track") < usual.index("embed_part")
        for last in ("embed", "track"):
            turned = order(last)
            assert turned.index("embed_part") == turned.index("embed") - 1
            assert [name for name in turned if name != "embed_part"] == [name for name in usual if name != "embed_part"]
