"""What surrounds a job: its lines in the log tell of it, and it is counted as what it ended as."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from ml_backend import logs
from ml_backend.queueing.counters import BUCKETS, count_event, count_frames, count_job, count_reconciled, read_tally
from ml_backend.queueing.queue import enqueue, queue_due

P = "7.1769860800"
Work = Callable[..., None]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What our modules have logged so far."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(logs, "_hidden", set())
    logs.set_up({"LOG_FORMAT": "json"}, stream)
    yield lambda: [
        line for line in map(json.loads, stream.getvalue().splitlines()) if line["logger"].startswith("ml_backend.")
    ]
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_of_a_job_tells_which_one(
    redis: Redis, work: Work, lines: Callable[[], list[dict[str, object]]]
) -> None:
    job_id = enqueue(redis, "embed", P, 5)
    enqueue(redis, "rollout", P, "cold-v3")
    enqueue(redis, "train", P)
    work()
    found = {str(line["kind"]): line for line in lines()}
    embed, rollout, train = found["embed"], found["rollout"], found["train"]
    assert (embed["project"], embed["task"], embed["job"]) == (P, 5, job_id)
    assert (rollout["project"], rollout["version"]) == (P, "cold-v3")
    assert "task" not in rollout
    assert "version" not in train
    assert str(train["message"]).startswith("did train")


def test_a_failure_is_one_line_with_its_reason(
    redis: Redis, work: Work, lines: Callable[[], list[dict[str, object]]]
) -> None:
    redis.rpush(f"do:{P}", "fail for good")
    enqueue(redis, "suggest", P, 5)
    work()
    (line,) = [line for line in lines() if line["kind"] == "suggest"]
    assert (line["level"], line["message"], line["task"]) == ("WARNING", "It is no video. Upload another.", 5)


@pytest.mark.parametrize(
    ("command", "outcome"),
    [("succeed", "done"), ("fail for good", "failed"), ("fail for now", "retried"), ("break", "retried")],
)
def test_jobs_are_counted_as_what_they_ended_as(redis: Redis, work: Work, command: str, outcome: str) -> None:
    redis.rpush(f"do:{P}", command)
    enqueue(redis, "train", P)
    work(1)
    tally = read_tally(redis)
    assert tally.jobs == {("train", outcome): 1}
    numbers, seconds = tally.seconds["train"]
    assert sum(numbers) == 1
    assert seconds > 0


def test_the_last_try_has_failed(redis: Redis, work: Work) -> None:
    redis.rpush(f"do:{P}", *["fail for now"] * 3)
    enqueue(redis, "train", P)
    for _ in range(3):
        work()
        queue_due(redis)
    assert read_tally(redis).jobs == {("train", "retried"): 2, ("train", "failed"): 1}


class TestTally:
    def test_before_anything_has_happened(self, redis: Redis) -> None:
        tally = read_tally(redis)
        assert (tally.jobs, tally.seconds, tally.events) == ({}, {}, {})
        assert (tally.frames_decoded, tally.frames_embedded, tally.embedding_seconds, tally.reconciled) == (0, 0, 0, 0)

    def test_what_several_processes_count_adds_up(self, redis: Redis) -> None:
        for _ in range(2):
            count_event(redis, "ANNOTATION_CREATED")
            count_event(redis, "MADE UP")
            count_frames(redis, decoded=250, embedded=40, seconds=0.25)
            count_reconciled(redis, 3)
            count_job(redis, "train", "done", BUCKETS[0])
        count_job(redis, "train", "stopped", BUCKETS[-1] + 1)
        tally = read_tally(redis)
        assert tally.events == {"ANNOTATION_CREATED": 2, "other": 2}
        assert (tally.frames_decoded, tally.frames_embedded, tally.embedding_seconds) == (500, 80, 0.5)
        assert tally.reconciled == 6
        assert tally.jobs == {("train", "done"): 2, ("train", "stopped"): 1}
        numbers, seconds = tally.seconds["train"]
        assert (numbers[0], numbers[-1], sum(numbers)) == (2, 1, 3)
        assert seconds == pytest.approx(2 * BUCKETS[0] + BUCKETS[-1] + 1)
