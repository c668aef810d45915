"""The page of a project's videos lists what is there twice, with links to the tasks; a project without has no such list."""

from __future__ import annotations

import re
from pathlib import Path

import dashboard_scene as scene
import numpy as np
import pytest
from dashboard_html import client, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import asked_frames
from ml_backend.projects.asked_frames import NONE, PICTURE, VIDEO
from ml_backend.settings import Settings

__all__ = ["client", "settings"]


def note(data_dir: Path, task: int, copy_of: int, same_task: int) -> None:
    video, picture = np.zeros(1, VIDEO), np.zeros(3, PICTURE)
    video["task"], video["copy_of"] = task, copy_of
    picture["task"], picture["same_task"], picture["same_frame"] = task, NONE, NONE
    picture["same_task"][:2] = same_task
    with asked_frames.writing(data_dir, scene.P):
        asked_frames.put_video(data_dir, scene.P, video)
        asked_frames.put_pictures(data_dir, scene.P, task, picture)


def listed(client: FlaskClient, name: str) -> list[list[str]]:
    """The tasks that each row of a table links to."""
    html = client.get("/dashboard/projects/7/videos").text
    found = re.search(f'aria-label="Table: {name}".*?</table>', html, re.DOTALL)
    rows = re.findall(r"<tr>.*?</tr>", found.group(0), re.DOTALL)[1:] if found else []
    return [re.findall(r"/videos/(\d+)\"", row) for row in rows]


@pytest.fixture(autouse=True)
def opened(redis: Redis, settings: Settings) -> None:
    scene.open_project(settings, redis)


def test_copies_are_listed_with_the_first(client: FlaskClient, settings: Settings) -> None:
    for task, first in ((1, NONE), (2, 1), (4, 1), (3, NONE)):
        note(settings.data_dir, task, first, NONE)
    assert listed(client, "Copies") == [["1", "2", "4"]]
    assert listed(client, "Pictures not suggested") == []


def test_pictures_that_were_not_suggested_are_listed_by_where_they_are(client: FlaskClient, settings: Settings) -> None:
    note(settings.data_dir, 1, NONE, NONE)
    note(settings.data_dir, 2, NONE, 1)
    note(settings.data_dir, 3, NONE, 3)
    assert sorted(listed(client, "Pictures not suggested")) == [["2", "1"], ["3"]]


def test_a_project_without_has_no_such_list(client: FlaskClient) -> None:
    assert "There twice" not in client.get("/dashboard/projects/7/videos").text
