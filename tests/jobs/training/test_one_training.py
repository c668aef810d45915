"""A project never trains twice at once, and no worker waits until it may."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Response
from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.training.train import train
from ml_backend.queueing.queue import listing


class SlowStudio(Studio):
    """Answers what it is asked of its project when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def show_project(self) -> Response:
        self.asked.set()
        assert self.may_answer.wait(30)
        return super().show_project()


@pytest.fixture
def studio() -> SlowStudio:
    return SlowStudio()


def test_a_training_that_finds_another_one_ends_at_once_and_is_asked_for_again_after_it(
    context: JobContext, studio: SlowStudio, redis: Redis
) -> None:
    with ThreadPoolExecutor(1) as worker:
        first = worker.submit(train.within, context, KEY)
        assert studio.asked.wait(30)
        assert train.within(context, KEY) == "another training follows the one that is running"
        assert not listing(redis)["queued"]
        studio.may_answer.set()
        assert first.result(30) == "nothing is annotated yet"
    assert [row["kind"] for row in listing(redis)["queued"]] == ["train"]
