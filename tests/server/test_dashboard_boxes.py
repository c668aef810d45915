"""The dashboard of a project that only asks for boxes."""

from __future__ import annotations

from dataclasses import replace

import dashboard_scene as scene
import pytest
from dashboard_html import at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import registry, tracks
from ml_backend.projects.tracks import Made, StoredTrack, StoredTracks
from ml_backend.settings import Settings

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
        assert "box: boxes, 1 label; tracks are predicted by the detector motion." in text


def test_a_videos_page_says_how_many_tracks_there_are_or_why_there_are_none(
    client: FlaskClient, settings: Settings, at_work: None
) -> None:
    def said(stored: StoredTracks) -> str:
        tracks.save(settings.data_dir, scene.P, 1, stored)
        return str(page(client, "/dashboard/projects/7/videos/1").text)

    one = StoredTrack(1, "box", ((1, 0.0, 0.0, 5.0, 5.0, False),), 0.5)
    assert "1 object is tracked in this video" in said(StoredTracks(tracks=(one, replace(one, replaced=True))))
    assert "2 objects are tracked" in said(StoredTracks(tracks=(one, replace(one, number=2))))
    assert "No object was found" in said(StoredTracks())
    assert "Task 1 has no tracks: why." in said(StoredTracks(Made(problem="Task 1 has no tracks: why.")))
