"""Who has few jobs does not wait for who has many. A real Redis, RQ's own way of queueing and taking."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis

from ml_backend.queueing.counters import text
from ml_backend.queueing.queue import enqueue, queue_of, waiting_of

LARGE, SMALL, OTHER = "7.1769860800", "8.1769860800", "77.1769860800"


def line(redis: Redis) -> list[str]:
    """Whose jobs are in line, as project and task."""
    return [job_id.removeprefix("suggest_")[:-2] for job_id in queue_of(redis, "suggest").get_job_ids()]


def ask(redis: Redis, project: str, *tasks: int) -> None:
    for task in tasks:
        enqueue(redis, "suggest", project, task)


def as_line(*jobs: tuple[str, int]) -> list[str]:
    return [f"{project.replace('.', '-')}_{task}" for project, task in jobs]


def test_the_tasks_of_one_project_stay_in_order(redis: Redis) -> None:
    ask(redis, LARGE, *range(5))
    assert line(redis) == as_line(*((LARGE, task) for task in range(5)))


def test_a_small_project_that_comes_later_takes_turns_with_a_large_one(redis: Redis) -> None:
    ask(redis, LARGE, 1, 2, 3, 4)
    ask(redis, SMALL, 1, 2)
    assert line(redis) == as_line((LARGE, 1), (SMALL, 1), (LARGE, 2), (SMALL, 2), (LARGE, 3), (LARGE, 4))


def test_so_does_a_third_whose_number_begins_like_anothers(redis: Redis) -> None:
    ask(redis, LARGE, 1, 2, 3)
    ask(redis, SMALL, 1)
    ask(redis, OTHER, 1, 2)
    wanted = as_line((LARGE, 1), (SMALL, 1), (OTHER, 1), (LARGE, 2), (OTHER, 2), (LARGE, 3))
    assert line(redis) == wanted
    assert [waiting_of(redis, "suggest", project) for project in (LARGE, SMALL, OTHER)] == [3, 1, 2]


def test_what_the_large_one_adds_goes_behind(redis: Redis) -> None:
    ask(redis, LARGE, 1)
    ask(redis, SMALL, 1, 2, 3)
    ask(redis, LARGE, 2)
    assert line(redis) == as_line((LARGE, 1), (SMALL, 1), (SMALL, 2), (LARGE, 2), (SMALL, 3))


def test_one_that_is_to_be_first_is(redis: Redis) -> None:
    ask(redis, LARGE, 1, 2)
    queue_of(redis, "suggest").push_job_id("suggest_8-1769860800_9_a", at_front=True)
    assert line(redis)[0] == as_line((SMALL, 9))[0]


def test_workers_take_them_in_this_order(redis: Redis, work: Callable[..., None]) -> None:
    ask(redis, LARGE, 1, 2)
    ask(redis, SMALL, 1)
    work()
    ran = [text(note) for note in redis.lrange("ran", 0, -1)]
    assert ran == [f"suggest {LARGE} 1", f"suggest {SMALL} 1", f"suggest {LARGE} 2"]


def test_a_line_of_ten_thousand_is_no_obstacle(redis: Redis) -> None:
    queue = queue_of(redis, "suggest")
    redis.rpush(queue.key, *(f"suggest_7-1769860800_{task}_a" for task in range(10_000)))
    ask(redis, SMALL, 1, 2)
    ask(redis, LARGE, 10_000)
    assert line(redis)[1:4:2] == as_line((SMALL, 1), (SMALL, 2))
    assert line(redis)[-1] == as_line((LARGE, 10_000))[0]
