"""A page of the dashboard as Flask's client gets it, its elements found, and the fixtures of the tests that do so."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import dashboard_scene as scene
import pytest
from embedded import settings_for
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def settings(redis_settings: Settings, tmp_path: Path) -> Settings:
    return settings_for(tmp_path, redis_url=redis_url(redis_settings))


@pytest.fixture
def client(redis: Redis, settings: Settings) -> FlaskClient:
    return create_app(settings).test_client()


@pytest.fixture
def at_work(redis: Redis, settings: Settings) -> None:
    scene.open_project(settings, redis)
    scene.run_jobs(redis)
    scene.look_at(redis)


class Elements(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page(client: FlaskClient, path: str) -> Elements:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.mimetype == "text/html"
    return Elements(answer.get_data(as_text=True))
