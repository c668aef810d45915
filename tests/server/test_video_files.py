"""A cached video over HTTP: whole and in parts, behind the login, and never another file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import dashboard_scene as scene
import pytest
from dashboard_html import client, page, settings
from embedded import do_jobs
from flask.testing import FlaskClient
from numbered import numbered_video
from redis import Redis
from werkzeug.test import TestResponse

from ml_backend.projects import playback, task_view
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.kinds import KINDS, Kind
from ml_backend.queueing.queue import listing
from ml_backend.server import video_files
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["client", "settings"]
VIDEO = "/dashboard/projects/7/videos/2/video"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("film") / "a.mp4", 60)


@pytest.fixture
def content(redis: Redis, settings: Settings, film: Path) -> bytes:
    """The bytes of the video of task 2, which the backend has."""
    scene.open_project(settings, redis, tasks=2)
    scene.open_film(settings, 2, film)
    return film.read_bytes()


def get(client: FlaskClient, asked: str | None = None, **more: str) -> TestResponse:
    headers = {**({"Range": asked} if asked else {}), **{name.replace("_", "-"): value for name, value in more.items()}}
    return client.get(VIDEO, headers=headers)


class TestParts:
    def test_the_whole_video_where_no_part_is_asked_for(self, client: FlaskClient, content: bytes) -> None:
        answer = get(client)
        assert (answer.status_code, answer.data, answer.mimetype) == (200, content, "video/mp4")
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert answer.headers["Content-Length"] == str(len(content))

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [("bytes=0-", 0, None), ("bytes=5-9", 5, 9), ("bytes=-7", -7, None), ("bytes=10-99999999", 10, None), ("bytes=0-0", 0, 0)],
    )  # fmt: skip
    def test_a_part(self, client: FlaskClient, content: bytes, asked: str, first: int, last: int | None) -> None:
        answer = get(client, asked)
        wanted = content[first : None if last is None else last + 1]
        start = first % len(content)
        assert (answer.status_code, answer.data) == (206, wanted)
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(content)}"

    def test_no_answer_holds_more_than_a_player_takes_at_once(
        self, client: FlaskClient, content: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(video_files, "MOST", 100)
        answer = get(client, "bytes=50-")
        assert (answer.data, answer.headers["Content-Range"]) == (content[50:150], f"bytes 50-149/{len(content)}")

    @pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
    def test_what_lies_behind_the_end_cannot_be_had(self, client: FlaskClient, content: bytes, asked: str) -> None:
        answer = get(client, asked)
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(content)}")

    @pytest.mark.parametrize(
        "asked", ["bytes=9-5", "bytes=-", "bytes=a-b", "frames=1-2", "bytes=0-1,5-6", "bytes=1-2-3"]
    )
    def test_what_is_no_range_is_passed_over(self, client: FlaskClient, content: bytes, asked: str) -> None:
        answer = get(client, asked)
        assert (answer.status_code, len(answer.data)) == (200, len(content))

    def test_a_part_of_another_content_is_not_mixed_with_this_one(self, client: FlaskClient, content: bytes) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        assert get(client, "bytes=0-4", If_Range=etag).status_code == 206
        assert get(client, "bytes=0-4", If_Range='"another"').status_code == 200
        assert get(client, If_None_Match=etag).status_code == 304

    def test_head_tells_the_size_and_sends_nothing(self, client: FlaskClient, content: bytes) -> None:
        whole, part = client.head(VIDEO), client.head(VIDEO, headers={"Range": "bytes=0-9"})
        assert (whole.status_code, whole.data, whole.headers["Content-Length"]) == (200, b"", str(len(content)))
        assert (part.status_code, part.data, part.headers["Content-Length"]) == (206, b"", "10")

    def test_whole_files_leave_threads_to_others(self, client: FlaskClient, content: bytes) -> None:
        held = [client.get(VIDEO, buffered=False) for _ in range(4)]
        assert client.get(VIDEO).status_code == 503
        assert get(client, "bytes=0-9").status_code == 206
        for each in held:
            each.close()
        assert client.get(VIDEO).data == content


def test_nobody_without_the_login_sees_it(redis: Redis, settings: Settings, content: bytes) -> None:
    locked = create_app(replace(settings, basic_auth_user="lab", basic_auth_pass="x")).test_client()
    assert locked.get(VIDEO).status_code == 401
    assert locked.get(VIDEO, auth=("lab", "x")).data == content


def test_it_is_a_video_whatever_it_holds(client: FlaskClient, content: bytes) -> None:
    headers = get(client, "bytes=0-9").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "", "A" * 64, 7, None])
def test_a_damaged_note_leads_to_no_other_file(
    client: FlaskClient, settings: Settings, content: bytes, name: object
) -> None:
    path = ProjectFolder(settings.data_dir, scene.P).playback / "2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "content": name}))
    assert client.get(VIDEO).status_code == 404


def test_one_that_had_to_make_room_can_be_fetched_from_its_page(
    client: FlaskClient, settings: Settings, redis: Redis, content: bytes
) -> None:
    found = playback.load(settings.data_dir, scene.P, 2)
    assert found is not None
    (settings.data_dir / "videos" / found.content).unlink()
    assert client.get(VIDEO).status_code == 404
    before = page(client, VIDEO.removesuffix("/video"))
    assert before.all("video") == []
    assert "The video is not kept here at the moment." in before.text
    assert client.post(f"{VIDEO.removesuffix('/video')}/fetch").status_code == 303
    assert ("fetch", 2) in {(row["kind"], row["task"]) for row in listing(redis)["queued"]}
    waits = page(client, VIDEO.removesuffix("/video")).text
    assert "The video waits to be fetched. No worker is running. Start one with the same REDIS_URL" in waits
    scene.employ(redis)
    assert "The video is being fetched" in page(client, VIDEO.removesuffix("/video")).text


def test_why_it_could_not_be_fetched_is_said_where_it_would_be(
    client: FlaskClient, settings: Settings, redis: Redis, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = playback.load(settings.data_dir, scene.P, 2)
    assert found is not None
    (settings.data_dir / "videos" / found.content).unlink()
    monkeypatch.setitem(KINDS, "fetch", Kind("failing_jobs.suggest", 60))
    client.post(f"{VIDEO.removesuffix('/video')}/fetch")
    do_jobs(redis)
    shown = page(client, VIDEO.removesuffix("/video"))
    assert "The video could not be fetched: Task 2 has no video. Import it again." in shown.text
    assert "Fetch the video" in shown.text


def test_one_that_no_browser_plays_says_its_codec_and_what_to_do(
    client: FlaskClient, settings: Settings, content: bytes
) -> None:
    found = playback.load(settings.data_dir, scene.P, 2)
    assert found is not None
    old = replace(found, codec="mpeg4", mime="video/x-msvideo", plays=False)
    playback.save(settings.data_dir, scene.P, 2, old, None)
    shown = page(client, VIDEO.removesuffix("/video"))
    assert shown.all("video") == []
    assert "This browser cannot play MPEG-4 Part 2 video in an AVI file." in shown.text
    assert "coldblitz import FILE --project 7 --fix" in shown.text


def test_the_times_of_frames_come_small(client: FlaskClient, content: bytes) -> None:
    address = f"{VIDEO.removesuffix('/video')}/frames.bin"
    small, plain = client.get(address, headers={"Accept-Encoding": "gzip"}), client.get(address)
    assert (small.headers["Content-Encoding"], len(plain.data)) == ("gzip", 4 * (2 + 2 * 60 + 60))
    assert len(small.data) < len(plain.data) / 4
    assert client.get(address.replace("/2/", "/1/")).status_code == 404


def test_a_thumbnail_stands_in_the_list_where_there_is_one(
    client: FlaskClient, settings: Settings, content: bytes
) -> None:
    assert client.get(f"{VIDEO.removesuffix('video')}thumbnail.jpg").status_code == 404
    task_view.save_thumbnail(settings.data_dir, scene.P, 2, b"jpeg")
    images = page(client, "/dashboard/projects/7/videos").all("img")
    assert [image["src"] for image in images] == [f"{VIDEO.removesuffix('video')}thumbnail.jpg"]
    assert client.get(str(images[0]["src"])).data == b"jpeg"
