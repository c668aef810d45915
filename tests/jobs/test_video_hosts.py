"""From where a worker fetches videos: Label Studio, what the admin allows, and the internet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, Response
from loopback import serving

from ml_backend.errors import VideoRefused
from ml_backend.jobs.context import JobContext
from ml_backend.settings import Settings

videos = Flask("videos")


@videos.get("/a.mp4")
def video() -> Response:
    return Response(b"film", mimetype="video/mp4")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("http://localhost:8080", "the-token", data_dir=tmp_path)


def test_the_host_of_label_studio_may_be_this_machine(settings: Settings) -> None:
    with serving(videos, host="localhost") as url:
        assert JobContext(settings).videos.fetch(f"{url}/a.mp4", {}).path.read_bytes() == b"film"


def test_under_its_own_name_alone(settings: Settings) -> None:
    with serving(videos) as url, pytest.raises(VideoRefused, match="VIDEO_HOSTS"):
        JobContext(settings).videos.fetch(f"{url}/a.mp4", {})


def test_or_under_its_public_name(settings: Settings) -> None:
    named = replace(settings, label_studio_url="http://studio.example", label_studio_host="https://localhost")
    with serving(videos, host="localhost") as url:
        assert JobContext(named).videos.fetch(f"{url}/a.mp4", {}).path.read_bytes() == b"film"


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "localhost"])
def test_so_may_hosts_that_the_admin_allows(settings: Settings, allowed: str) -> None:
    elsewhere = replace(settings, label_studio_url="https://studio.example", video_hosts=(allowed,))
    with serving(videos, host="localhost" if allowed == "localhost" else "127.0.0.1") as url:
        assert JobContext(elsewhere).videos.fetch(f"{url}/a.mp4", {}).path.read_bytes() == b"film"
