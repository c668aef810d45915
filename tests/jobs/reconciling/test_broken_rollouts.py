"""A roll-out that broke off always ends: by being made, or by telling the admin why it is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from known_project import queued
from redis import Redis
from studio import KEY

from ml_backend.jobs.reconciling.reconcile import queue_rollout
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.interventions import cancel
from ml_backend.queueing.queue import slots

Work = Callable[..., None]


def fails(redis: Redis, work: Work, times: int = 1) -> None:
    """The roll-out that waits fails, and so do those that a reconcile begins again."""
    redis.rpush(f"do:{KEY}", *["fail for good"] * times)
    for _ in range(times):
        queue_rollout(redis, KEY)
        work()


@pytest.fixture
def wanted(redis: Redis, known: None) -> str:
    registry.activate(redis, KEY, "cold-v1")
    registry.want(redis, KEY, "cold-v2")
    return "cold-v2"


def test_nothing_is_wanted_but_what_is_active(redis: Redis, known: None) -> None:
    assert queue_rollout(redis, KEY) is None
    registry.activate(redis, KEY, "cold-v1")
    registry.want(redis, KEY, "cold-v1")
    assert queue_rollout(redis, KEY) is None


def test_one_whose_job_was_lost_is_begun_again(redis: Redis, wanted: str) -> None:
    assert queue_rollout(redis, KEY) == "cold-v2 to roll out"
    redis.delete(*redis.scan_iter("rq:*"))
    assert queue_rollout(redis, KEY) == "cold-v2 to roll out"
    assert queued(redis) == ["rollout cold-v2"]


def test_one_that_failed_for_good_too(redis: Redis, wanted: str, work: Work) -> None:
    fails(redis, work)
    assert queue_rollout(redis, KEY) == "cold-v2 to roll out"
    assert queued(redis) == ["rollout cold-v2"]
    assert registry.problems(redis) == {}


def test_but_not_for_ever_and_then_the_admin_is_told_why(redis: Redis, wanted: str, work: Work) -> None:
    fails(redis, work, 4)
    for _ in range(3):
        assert queue_rollout(redis, KEY) is None
    assert queued(redis) == []
    (told,) = registry.problems(redis)[KEY]
    assert told.startswith("cold-v2 is not shown: its roll-out failed 4 times")
    assert "It is no video." in told


def test_a_restart_begins_it_again(redis: Redis, wanted: str, work: Work) -> None:
    fails(redis, work, 4)
    reconcile_state.drop(redis, KEY, *reconcile_state.SEEN)
    assert queue_rollout(redis, KEY) == "cold-v2 to roll out"


def test_another_version_has_tries_of_its_own_and_what_was_told_goes_when_it_is_shown(
    redis: Redis, wanted: str, work: Work
) -> None:
    fails(redis, work, 4)
    queue_rollout(redis, KEY)
    registry.want(redis, KEY, "cold-v3")
    fails(redis, work)
    assert queue_rollout(redis, KEY) == "cold-v3 to roll out"
    registry.activate(redis, KEY, "cold-v3")
    assert queue_rollout(redis, KEY) is None
    assert registry.problems(redis) == {}


def test_one_that_the_admin_cancelled_stays_so(redis: Redis, wanted: str) -> None:
    queue_rollout(redis, KEY)
    assert cancel(redis, slots("rollout", KEY, "cold-v2")[0])
    assert queue_rollout(redis, KEY) is None
    assert queued(redis) == []
