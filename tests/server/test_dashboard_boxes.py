"""The dashboard of a project that only asks for boxes."""

from __future__ import annotations

from dataclasses import replace

import dashboard_scene as scene
import pytest
from dashboard_html import at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import registry

__all__ = ["at_work", "client", "settings"]

BOXES = """<View><Labels name="who" toName="v"><Label value="mouse"/></Labels><VideoRectangle name="box" toName="v"/>
  <Video name="v" value="$video"/></View>"""


@pytest.mark.parametrize("path", ["videos", "videos/1", "models", "models/cold-v3", "quality", "export", "settings"])
def test_every_page_of_it_can_be_read(client: FlaskClient, redis: Redis, at_work: None, path: str) -> None:
    known = registry.recall(redis, scene.P)
    assert known is not None
    registry.remember(redis, replace(known, label_config=BOXES))
    text = page(client, f"/dashboard/projects/7/{path}").text
    if path == "settings":
        assert "box: boxes, 1 label." in text
