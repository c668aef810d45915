"""The frame number that the player says is that of the picture that Chromium paints: read off the picture, of real encoded files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import dashboard_scene as scene
import pytest
from embedded import settings_for
from numbered import numbered_video
from playwright.sync_api import Page, sync_playwright
from redis import Redis
from werkzeug.serving import make_server

from benchmarks.alignment.barcode import cell_centres, read
from benchmarks.alignment.clips import CLIPS, Clip
from ml_backend.projects.task_view import TaskView, save
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.app import create_app
from ml_backend.settings import Settings
from ml_backend.video.timeline import StudioFrame, StudioGrid, read_timeline, studio_grid

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# By what makes each hard, with Label Studio's frames a second.
_FEW = {
    "variable-reordered.mp4": 100.0,
    "variable.mkv": 25.0,
    "late-start.mp4": 25.0,
    "no-edit-list.mp4": 25.0,
    "cut-start.mp4": 25.0,
    "turned-90.mp4": 25.0,
    "rate-59.94.mp4": 24.0,
}
_INTERLACED = 99
_PAINTED = """async () => { const film = document.getElementById('film'), wait = ms => new Promise(done => setTimeout(done, ms));
    for (let i = 0; i < 400 && (film.seeking || film.readyState < 2); i++) await wait(5);
    for (let i = 0; i < 3; i++) await new Promise(done => requestAnimationFrame(done)); }"""
_LEVELS = """centers => { const film = document.getElementById('film'), canvas = document.createElement('canvas');
    canvas.width = film.videoWidth; canvas.height = film.videoHeight;
    const context = canvas.getContext('2d', {willReadFrequently: true}); context.drawImage(film, 0, 0);
    return centers.map(([x, y]) => {
        const [r, g, b] = context.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data;
        return (r + g + b) / 3; }); }"""
# While it plays: the picture and the number that is said of it, in the callback after the page's own.
_PLAYED = """async centers => { const film = document.getElementById('film'), canvas = document.createElement('canvas'), seen = [];
    canvas.width = film.videoWidth; canvas.height = film.videoHeight;
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const each = () => { context.drawImage(film, 0, 0);
        seen.push([document.getElementById('now').textContent, centers.map(([x, y]) => { const [r, g, b] =
            context.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data; return (r + g + b) / 3; })]);
        film.requestVideoFrameCallback(each); };
    film.requestVideoFrameCallback(each);
    await film.play(); await new Promise(done => setTimeout(done, 600)); film.pause(); return seen; }"""


@pytest.fixture(scope="module")
def films() -> list[Clip]:
    found = [replace(clip, framerates=(str(_FEW[clip.name]),)) for clip in CLIPS if clip.name in _FEW]
    assert len(found) == len(_FEW)
    return found


@pytest.fixture(scope="module")
def cinema(
    redis_settings: Settings, films: list[Clip], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[int, StudioGrid]]]:
    """The address of a backend with a task for each film, and their grids."""
    folder = tmp_path_factory.mktemp("cinema")
    redis = Redis.from_url(redis_url(redis_settings))
    redis.flushall()
    settings = settings_for(folder / "data", redis_url=redis_url(redis_settings))
    scene.open_project(settings, redis, tasks=1)
    grids = {}
    for task, (name, make, framerate) in {
        **{n: (film.name, film.make, float(str(film.framerates[0]))) for n, film in enumerate(films, start=10)},
        _INTERLACED: ("interlaced.mp4", lambda path: numbered_video(path, 50, **{"x264-params": "tff=1"}), 25.0),
    }.items():
        path = folder / name
        make(path)
        timeline = read_timeline(path)
        grids[task] = studio_grid(timeline, framerate)
        view = TaskView(task, name, framerate, len(grids[task]), float(timeline.duration), "keyframes-v1", {}, None)
        save(settings.data_dir, scene.P, view)
        scene.open_film(settings, task, path, framerate)
    server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", grids
    server.shutdown()
    thread.join()
    server.server_close()
    redis.close()


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def wanted(grid: StudioGrid, frame: int, first: int) -> int:
    return int(grid.index(StudioFrame(frame))) + first


def is_of(grid: StudioGrid, frame: int, picture: int) -> bool:
    """Whether a picture is that of a frame, or one after it that no frame shows."""
    after = int(grid.shown[frame]) if frame < len(grid) else len(grid.timeline)
    return int(grid.shown[frame - 1]) <= picture < max(after, int(grid.shown[frame - 1]) + 1)


def watch(page: Page, address: str, task: int, rotation: int, first: int, grid: StudioGrid) -> None:
    """Goes to frames by key and by address, steps, and plays; each time the picture's own number is the one that is said."""
    last = len(grid)
    page.goto(f"{address}/dashboard/projects/7/videos/{task}?frame={max(1, last // 2)}")
    page.locator("#player[data-ready]").wait_for()
    page.locator("#deck").focus()
    centers = cell_centres(rotation)

    def painted() -> tuple[int, int | None]:
        page.evaluate(_PAINTED)
        said = int((page.locator("#now").text_content() or "").split()[1])
        return said, read(page.evaluate(_LEVELS, centers))

    moves = ("", ".", ".", ".", ",", "Shift+.", "Home", ".", "ArrowRight", "End", "ArrowLeft", "Shift+,")
    for key in moves:
        if key:
            page.keyboard.press(key)
        said, number = painted()
        assert number == wanted(grid, said, first), (task, key, said)
    page.keyboard.press("Home")
    page.evaluate(_PAINTED)
    played = [(int(text.split()[1]), read(levels)) for text, levels in page.evaluate(_PLAYED, centers)]
    assert len(played) >= 5
    # A busy machine now and then paints the next picture between the callback and the look at it.
    late = [(said, number) for said, number in played if number is None or not is_of(grid, said, number - first)]
    assert len(late) <= len(played) // 5, (task, late)
    said, number = painted()
    assert number == wanted(grid, said, first), (task, "paused", said)


def test_each_picture_is_the_frame_that_it_is_said_to_be(
    cinema: tuple[str, dict[int, StudioGrid]], films: list[Clip], page: Page
) -> None:
    address, grids = cinema
    for task, film in enumerate(films, start=10):
        watch(page, address, task, film.rotation, film.first, grids[task])
    watch(page, address, _INTERLACED, 0, 0, grids[_INTERLACED])
