"""What Label Studio sends, for the tests of how it is answered, and what a refusal looks like."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from ml_backend.server.app import create_app
from ml_backend.settings import Settings

P = "7.1769860800"
CONFIG = '<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels><Video name="v" value="$video"/></View>'
SETUP = {"project": P, "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "x", "extra_params": None}
PROJECT = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": CONFIG, "token": "share"}


@pytest.fixture
def client(redis: Redis, redis_settings: Settings) -> FlaskClient:
    return create_app(redis_settings).test_client()


def is_refused(answer: TestResponse, status: int = 400) -> bool:
    """Whether an answer is one clear message with what to do, and nothing of our insides."""
    body = answer.get_json()
    return answer.status_code == status and set(body) == {"error", "remedy"} and all(body.values())
