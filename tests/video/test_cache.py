"""Fetching videos, from real web servers of every temper."""

from __future__ import annotations

import gzip
import hashlib
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask, Response, redirect, request
from loopback import closed_port, serving

from ml_backend.errors import ColdblitzError, StorageError, VideoRefused, VideoUnreachable
from ml_backend.video import cache
from ml_backend.video.cache import VideoFolder
from ml_backend.video.safe_http import VideoHosts

VIDEO = bytes(range(256)) * 10_000
TOKEN = {"Authorization": "Bearer secret"}
LOOPBACK = VideoHosts.of(["127.0.0.0/8", "::1"])


class Server(Flask):
    """Answers any path with what a test says, and keeps the headers of each request."""

    def __init__(self) -> None:
        super().__init__("videos")
        self.asked: list[dict[str, str]] = []
        self.reply: Callable[[], Any] = ranges(VIDEO)
        self.add_url_rule("/<path:path>", view_func=self.answer)

    def answer(self, path: str) -> Any:
        self.asked.append(dict(request.headers))
        return self.reply()

    @property
    def downloads(self) -> int:
        return sum("Range" not in headers for headers in self.asked)


def ranges(content: bytes, etag: str | None = None) -> Callable[[], Response]:
    """As a plain web server: with length, ranges and perhaps a version."""

    def reply() -> Response:
        answer = Response(content, mimetype="video/mp4")
        if etag:
            answer.set_etag(etag)
        return answer.make_conditional(request.environ, accept_ranges=True, complete_length=len(content))

    return reply


def as_label_studio(content: bytes, promised: int | None = None) -> Callable[[], Response]:
    """As Label Studio: ranges, but no length when the whole file is asked for."""

    def reply() -> Response:
        size = promised or len(content)
        if asked := request.headers.get("Range"):
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            headers = {"Content-Range": f"bytes {first}-{last}/{size}"}
            return Response(content[first : last + 1], 206, headers, mimetype="video/mp4")
        return Response((content[at : at + 50_000] for at in range(0, len(content), 50_000)), mimetype="video/mp4")

    return reply


def without_ranges(content: bytes) -> Callable[[], Response]:
    return lambda: Response((content[at : at + 50_000] for at in range(0, len(content), 50_000)), mimetype="video/mp4")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, str]]:
    server = Server()
    with serving(server) as address:
        yield server, address


@pytest.fixture
def server(servers: tuple[Server, str]) -> Server:
    server, _ = servers
    server.asked, server.reply = [], ranges(VIDEO)
    return server


@pytest.fixture
def url(servers: tuple[Server, str]) -> str:
    return f"{servers[1]}/a.mp4"


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    return VideoFolder(tmp_path / "videos", max_bytes=100_000_000, max_video_bytes=10_000_000, hosts=LOOPBACK)


def left_over(folder: VideoFolder) -> list[Path]:
    return list(folder.root.rglob("*.part"))


class TestFetching:
    @pytest.mark.parametrize("kind", [ranges, as_label_studio, without_ranges])
    def test_the_file_is_named_by_its_content(
        self, server: Server, url: str, folder: VideoFolder, kind: Callable[[bytes], Callable[[], Response]]
    ) -> None:
        server.reply = kind(VIDEO)
        video = folder.fetch(url, TOKEN)
        assert video.content == hashlib.sha256(VIDEO).hexdigest()
        assert video.path == folder.root / video.content
        assert video.path.read_bytes() == VIDEO
        assert folder.content_of(url) == video.content
        assert left_over(folder) == []
        assert all(headers["Authorization"] == "Bearer secret" for headers in server.asked)

    def test_progress_grows_to_one_where_the_size_is_known(self, server: Server, url: str, folder: VideoFolder) -> None:
        server.reply = as_label_studio(VIDEO)
        told: list[float] = []
        folder.fetch(url, {}, told.append)
        assert told == sorted(told)
        assert told[-1] == 1

    def test_an_address_never_fetched_has_no_content(self, folder: VideoFolder) -> None:
        assert folder.content_of("http://nowhere.example/a.mp4") is None

    def test_the_same_video_at_two_addresses_is_kept_once(self, server: Server, url: str, folder: VideoFolder) -> None:
        assert folder.fetch(url, {}) == folder.fetch(f"{url}?again", {})
        assert len([path for path in folder.root.iterdir() if path.is_file()]) == 1

    def test_a_server_that_compresses_is_asked_not_to(self, server: Server, url: str, folder: VideoFolder) -> None:
        def reply() -> Response:
            if "gzip" in request.headers.get("Accept-Encoding", ""):
                return Response(gzip.compress(VIDEO), headers={"Content-Encoding": "gzip"}, mimetype="video/mp4")
            return Response(VIDEO, mimetype="video/mp4")

        server.reply = reply
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO


class TestFetchingAgain:
    def test_what_has_not_changed_is_not_downloaded_again(self, server: Server, url: str, folder: VideoFolder) -> None:
        server.reply = ranges(VIDEO, "one")
        assert folder.fetch(url, {}) == folder.fetch(url, {})
        assert server.downloads == 1

    def test_another_version_is(self, server: Server, url: str, folder: VideoFolder) -> None:
        server.reply = ranges(VIDEO, "one")
        old = folder.fetch(url, {})
        server.reply = ranges(VIDEO[::-1], "two")
        new = folder.fetch(url, {})
        assert new.path.read_bytes() == VIDEO[::-1]
        assert folder.content_of(url) == new.content != old.content

    def test_another_size_is_another_version(self, server: Server, url: str, folder: VideoFolder) -> None:
        folder.fetch(url, {})
        server.reply = ranges(VIDEO[:-1])
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO[:-1]

    def test_without_any_version_to_compare_it_is_downloaded(
        self, server: Server, url: str, folder: VideoFolder
    ) -> None:
        server.reply = without_ranges(VIDEO)
        folder.fetch(url, {})
        folder.fetch(url, {})
        assert server.downloads == 2

    @pytest.mark.parametrize("damage", [b"", VIDEO[:100], None])
    def test_a_copy_that_is_gone_or_cut_is_downloaded_again(
        self, server: Server, url: str, folder: VideoFolder, damage: bytes | None
    ) -> None:
        path = folder.fetch(url, {}).path
        path.unlink() if damage is None else path.write_bytes(damage)
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO

    def test_a_damaged_note_of_an_address_is_as_none(self, server: Server, url: str, folder: VideoFolder) -> None:
        folder.fetch(url, {})
        for note in (folder.root / "addresses").iterdir():
            note.write_text("{")
        assert folder.content_of(url) is None
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO


class TestRefusals:
    """`passes` decides whether a job is tried again; nothing of a failed download stays."""

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (401, VideoRefused),
            (403, VideoRefused),
            (404, VideoRefused),
            (405, VideoRefused),
            (429, VideoUnreachable),
            (500, VideoUnreachable),
            (503, VideoUnreachable),
        ],
    )
    def test_each_status_has_its_meaning(
        self, server: Server, url: str, folder: VideoFolder, status: int, error: type[ColdblitzError]
    ) -> None:
        server.reply = lambda: ("no", status)
        with pytest.raises(error, match=str(status)) as refused:
            folder.fetch(url, TOKEN)
        assert "secret" not in str(refused.value)
        assert folder.content_of(url) is None

    def test_a_page_to_log_in_is_no_video(self, server: Server, url: str, folder: VideoFolder) -> None:
        server.reply = lambda: Response("<form>", content_type="Text/HTML; charset=utf-8")
        with pytest.raises(VideoRefused, match="web page"):
            folder.fetch(url, {})

    @pytest.mark.parametrize("kind", ["application/vnd.apple.mpegurl", "audio/x-mpegurl", "application/json"])
    def test_nor_is_a_playlist_or_an_answer_of_an_api(
        self, server: Server, url: str, folder: VideoFolder, kind: str
    ) -> None:
        server.reply = lambda: Response("#EXTM3U", content_type=kind)
        with pytest.raises(VideoRefused, match=kind):
            folder.fetch(url, {})

    def test_a_server_that_drips_is_left(
        self, server: Server, url: str, folder: VideoFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def drip() -> Iterator[bytes]:
            for _ in range(1000):
                yield b"."
                time.sleep(0.01)

        monkeypatch.setattr(cache, "_SLOW_SECONDS", 0.2)
        server.reply = lambda: Response(drip(), mimetype="video/mp4")
        with pytest.raises(VideoUnreachable, match="sent only"):
            folder.fetch(url, {})
        assert left_over(folder) == []

    @pytest.mark.parametrize("size", ["9" * 5000, "²", "-5", "1e9"])
    def test_a_server_that_lies_about_the_size_is_not_believed(
        self, server: Server, url: str, folder: VideoFolder, size: str
    ) -> None:
        server.reply = lambda: Response(
            VIDEO, 206, {"Content-Range": f"bytes 0-0/{size}".encode().decode("latin-1")}, mimetype="video/mp4"
        )
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO

    def test_what_gives_access_is_not_shown(self, server: Server, url: str, folder: VideoFolder) -> None:
        server.reply = lambda: ("no", 404)
        signed = f"{url}?X-Amz-Credential=secret&X-Amz-Signature=secret&part=2&token=secret".replace(
            "//", "//u:secret@"
        )
        with pytest.raises(VideoRefused, match="part=2") as refused:
            folder.fetch(signed, {})
        assert "secret" not in str(refused.value)

    def test_an_empty_file_is_said_to_be_empty(self, server: Server, url: str, folder: VideoFolder) -> None:
        for reply in (ranges(b""), without_ranges(b""), lambda: Response(status=416)):
            server.reply = reply
            with pytest.raises(VideoRefused, match="is an empty file"):
                folder.fetch(url, {})
        assert left_over(folder) == []

    def test_a_download_that_breaks_off_passes(self, server: Server, url: str, folder: VideoFolder) -> None:
        server.reply = as_label_studio(VIDEO, promised=len(VIDEO) + 1)
        with pytest.raises(VideoUnreachable, match=f"after {len(VIDEO)} of {len(VIDEO) + 1}"):
            folder.fetch(url, {})
        assert left_over(folder) == []
        assert folder.content_of(url) is None

    def test_so_does_one_whose_connection_is_cut(self, server: Server, url: str, folder: VideoFolder) -> None:
        def cut() -> Iterator[bytes]:
            yield VIDEO[:1000]

        def reply() -> Response:
            return Response(cut(), headers={"Content-Length": str(len(VIDEO))}, mimetype="video/mp4")

        server.reply = reply
        with pytest.raises(VideoUnreachable):
            folder.fetch(url, {})
        assert left_over(folder) == []

    def test_nobody_there_passes(self, folder: VideoFolder) -> None:
        with pytest.raises(VideoUnreachable, match="cannot be reached"):
            folder.fetch(f"http://127.0.0.1:{closed_port()}/a.mp4", {})

    @pytest.mark.parametrize(
        "address",
        ["", "s3://bucket/a.mp4", "/data/a.mp4", "http://", "http://[bad/a.mp4", "http://a b/", "http://\ud800/"],
    )
    def test_what_is_no_address_is_not_tried_again(self, folder: VideoFolder, address: str) -> None:
        with pytest.raises(VideoRefused):
            folder.fetch(address, {})
        assert folder.content_of(address) is None

    @pytest.mark.parametrize("kind", [ranges, as_label_studio, without_ranges])
    def test_a_video_over_the_limit_is_refused(
        self, server: Server, url: str, tmp_path: Path, kind: Callable[[bytes], Callable[[], Response]]
    ) -> None:
        server.reply = kind(VIDEO)
        folder = VideoFolder(tmp_path, max_bytes=10**9, max_video_bytes=len(VIDEO) - 1, hosts=LOOPBACK)
        with pytest.raises(VideoRefused, match="MAX_VIDEO_BYTES"):
            folder.fetch(url, {})
        assert left_over(folder) == []
        assert VideoFolder(tmp_path, 10**9, len(VIDEO), LOOPBACK).fetch(url, {}).path.read_bytes() == VIDEO

    def test_a_size_that_is_announced_and_too_large_costs_no_download(
        self, server: Server, url: str, tmp_path: Path
    ) -> None:
        with pytest.raises(VideoRefused):
            VideoFolder(tmp_path, 10**9, 1000, LOOPBACK).fetch(url, {})
        assert server.downloads == 0

    def test_a_redirect_to_another_host_loses_the_token(self, server: Server, url: str, folder: VideoFolder) -> None:
        here = Flask("redirects")
        asked: list[str | None] = []

        @here.get("/moved.mp4")
        def moved() -> Any:
            asked.append(request.headers.get("Authorization"))
            return redirect(url.replace("127.0.0.1", "localhost"))

        with serving(here) as address:
            video = folder.fetch(f"{address}/moved.mp4", TOKEN)
        assert video.path.read_bytes() == VIDEO
        assert asked == ["Bearer secret"] * 2
        assert all("Authorization" not in headers for headers in server.asked)


class TestTheFolder:
    def test_the_least_recently_used_video_goes_first(self, server: Server, url: str, tmp_path: Path) -> None:
        folder = VideoFolder(tmp_path, max_bytes=2 * len(VIDEO), max_video_bytes=10**9, hosts=LOOPBACK)

        def fetch(number: int) -> Path:
            server.reply = ranges(bytes([number]) + VIDEO[1:])
            return folder.fetch(f"{url}?{number}", {}).path

        first, second = fetch(1), fetch(2)
        for path, hours_ago in ((first, 2), (second, 1)):
            os.utime(path, (time.time() - 3600 * hours_ago,) * 2)
        assert fetch(1) == first  # used again just now
        third = fetch(3)
        assert [path.exists() for path in (first, second, third)] == [True, False, True]

    def test_the_video_just_fetched_stays_even_when_it_alone_is_too_much(
        self, server: Server, url: str, tmp_path: Path
    ) -> None:
        folder = VideoFolder(tmp_path, max_bytes=1, max_video_bytes=10**9, hosts=LOOPBACK)
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO

    def test_what_a_killed_process_left_is_cleared_away(self, server: Server, url: str, folder: VideoFolder) -> None:
        folder.root.mkdir()
        dead, alive = folder.root / ".dead.part", folder.root / ".alive.part"
        for part in (dead, alive):
            part.write_bytes(VIDEO)
        os.utime(dead, (time.time() - 24 * 3600,) * 2)
        folder.fetch(url, {})
        assert left_over(folder) == [alive]

    def test_a_folder_that_cannot_be_made_is_a_storage_error(self, server: Server, url: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match="DATA_DIR"):
            VideoFolder(tmp_path / "file", 10**9, 10**9, LOOPBACK).fetch(url, {})

    def test_a_disk_that_takes_no_more_is_a_storage_error(self, server: Server, url: str, folder: VideoFolder) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(StorageError, match="could not be written"):
                folder.fetch(url, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert left_over(folder) == []
        assert folder.fetch(url, {}).path.read_bytes() == VIDEO


class TestATokenThatEnds:
    """Label Studio's last five minutes; a queue of videos takes longer."""

    FRESH: ClassVar = {"Authorization": "Bearer fresh"}

    @pytest.mark.parametrize("taken", [0, 1], ids=["before the first byte", "between the two requests"])
    def test_is_renewed_and_the_video_comes(self, server: Server, url: str, folder: VideoFolder, taken: int) -> None:
        give = ranges(VIDEO)

        def reply() -> Any:
            old = request.headers["Authorization"] == TOKEN["Authorization"]
            return ("ended", 401) if old and len(server.asked) > taken else give()

        server.reply = reply
        renewed: list[int] = []
        video = folder.fetch(url, TOKEN, renew=lambda: renewed.append(1) or self.FRESH)  # type: ignore[func-returns-value]
        assert video.path.read_bytes() == VIDEO
        assert renewed == [1]

    @pytest.mark.parametrize("fresh", [{}, {"Authorization": "Bearer wrong"}])
    def test_is_told_when_no_other_is_taken(
        self, server: Server, url: str, folder: VideoFolder, fresh: dict[str, str]
    ) -> None:
        server.reply = lambda: ("no", 401)
        with pytest.raises(VideoRefused, match="401"):
            folder.fetch(url, TOKEN, renew=lambda: fresh)
        assert len(server.asked) == 1 + bool(fresh)
