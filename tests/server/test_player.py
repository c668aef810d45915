"""The player in headless Chromium: the number that it says is that of the picture that is painted, read off the picture of real
encoded files; and each of its actions, by keyboard alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import boxed_scene
import cv2
import dashboard_scene as scene
import numpy as np
import pytest
from embedded import settings_for
from numbered import numbered_video
from playwright.sync_api import Page, Route, sync_playwright
from redis import Redis
from werkzeug.serving import make_server

from benchmarks.alignment.barcode import cell_centres, read
from benchmarks.alignment.clips import CLIPS, Clip
from ml_backend.projects.task_view import ContactSheet, TaskView, save, save_sheet
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
# While it plays: the picture and the number that is said of it, in the callback after the page's own. Slowly, since a busy machine
# paints the next picture between the callback and the look at it.
_PLAYED = """async ([centers, rate]) => {
    const film = document.getElementById('film'), canvas = document.createElement('canvas'), seen = [];
    canvas.width = film.videoWidth; canvas.height = film.videoHeight;
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const each = () => { context.drawImage(film, 0, 0);
        seen.push([document.getElementById('now').textContent, centers.map(([x, y]) => { const [r, g, b] =
            context.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data; return (r + g + b) / 3; })]);
        film.requestVideoFrameCallback(each); };
    film.requestVideoFrameCallback(each);
    film.playbackRate = rate; await film.play(); await new Promise(done => setTimeout(done, 800)); film.pause();
    film.playbackRate = 1; return seen; }"""


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
    scene.open_project(settings, redis, tasks=2)
    scene.open_film(settings, 1, numbered_video(folder / "numbered.mp4", scene.FRAMES))
    # Of the other task the video has gone since.
    gone = scene.open_film(settings, 2, numbered_video(folder / "gone.mp4", 10))
    (settings.data_dir / "videos" / gone.content).unlink()
    sheet = np.repeat([[0, 255]], 160, axis=1).astype(np.uint8).repeat(90, axis=0)
    _, jpeg = cv2.imencode(".jpg", sheet)
    save_sheet(settings.data_dir, scene.P, 1, ContactSheet((1, 200), 1, 2, 160, 90), jpeg.tobytes())
    boxed_scene.open_boxes(settings, redis)
    scene.open_film(settings, 1, numbered_video(folder / "mice.mp4", scene.FRAMES, first=1), key=boxed_scene.BOXED)
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
    rate = min(1.0, 12 / (len(grid.timeline) / float(grid.timeline.duration)))
    played = [(int(text.split()[1]), read(levels)) for text, levels in page.evaluate(_PLAYED, [centers, rate])]
    assert len(played) >= 5
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


@pytest.fixture
def player(cinema: tuple[str, dict[int, StudioGrid]], page: Page) -> Page:
    """The page of a video of 300 frames: the model says clear up to 110, car up to 190, clear again; a person, clear up to 120."""
    page.goto(f"{cinema[0]}/dashboard/projects/7/videos/1")
    page.locator("#player[data-ready]").wait_for()
    page.locator("#deck").focus()
    return page


def frame_of(page: Page) -> int:
    return int((page.locator("#now").text_content() or "").split()[1])


def test_keys_step_jump_and_skip_and_the_bars_follow(player: Page) -> None:
    pressed = {}
    for key in (".", "Shift+ArrowRight", ",", "c", "c", "c", "Shift+C", "d", "Home", "n", "n", "End"):
        player.keyboard.press(key)
        pressed.setdefault(key, []).append(
            frame_of(player) if "There is" not in (player.locator("#now").text_content() or "") else None
        )
    assert pressed == {
        ".": [2],
        "Shift+ArrowRight": [12],
        ",": [11],
        "c": [111, 191, None],
        "Shift+C": [111],
        "d": [121],
        "Home": [1],
        "n": [111, 191],
        "End": [300],
    }
    assert player.locator("#scrub").input_value() == "300"
    assert (player.locator("#readout").text_content() or "").startswith("Frame 300 at 0:11.96")


def test_whoever_clicks_the_picture_goes_on_with_keys(player: Page) -> None:
    player.evaluate("document.activeElement.blur()")
    screen = player.locator(".screen")
    screen.click()
    player.wait_for_function("!document.getElementById('film').paused")
    screen.click()
    player.wait_for_function("document.getElementById('film').paused")
    player.keyboard.press("Home")
    player.keyboard.press(".")
    assert frame_of(player) == 2


def test_least_sure_first_whatever_comes_before_it(player: Page) -> None:
    facts = player.evaluate("fetch(document.getElementById('player').dataset.facts).then(answer => answer.json())")
    order = facts["jumps"]["unsure"]
    assert len(order) >= 2
    found = []
    for key in ("u", "u", "Shift+U"):
        player.keyboard.press(key)
        found.append(frame_of(player))
    assert found == [order[0], order[1], order[0]]
    level = facts["sure"][int((order[0] - 0.5) / 300 * len(facts["sure"]))]
    assert (player.locator("#now").text_content() or "").count(f" {level} %") == 1, "what is sure is said, and once"


def test_the_segments_of_one_label_are_played_in_a_row(player: Page) -> None:
    player.locator("#only").select_option("car")
    player.locator("#speed").select_option("4")
    player.locator("#deck").focus()
    player.evaluate("""() => { window.seen = []; const film = document.getElementById('film');
        const each = () => { seen.push(Number(document.getElementById('now').textContent.split(' ')[1]));
            film.requestVideoFrameCallback(each); };
        film.requestVideoFrameCallback(each); }""")
    player.keyboard.press("p")
    player.get_by_text("The segment was played.").wait_for(state="attached")
    seen = [frame for frame in player.evaluate("window.seen") if frame > 1]
    assert seen
    assert 111 <= min(seen) <= max(seen) <= 215
    assert player.locator("#film").evaluate("film => film.paused")


def test_a_label_with_a_comma_is_one_and_two_regions_of_a_label_say_it_once(player: Page) -> None:
    name = "walk, slowly"

    def with_comma(route: Route) -> None:
        facts = route.fetch().json()
        facts["words"] = [
            {"name": "Ada", "person": True, "regions": [[1, 50, [name], None], [1, 9, [name, "car"], None]]}
        ]
        route.fulfill(json=facts)

    player.route("**/player.json*", with_comma)
    player.reload()
    player.locator("#player[data-ready]").wait_for()
    player.unroute("**/player.json*")
    assert player.locator("#only option").all_text_contents() == ["All labels", name, "car"]
    assert (player.locator("#now").text_content() or "").split(" · ")[1].startswith(f"Ada: {name}, car")
    player.locator("#only").select_option(name)
    player.get_by_role("button", name="Skip to next segment").click()
    assert "There is no later segment" in (player.locator("#now").text_content() or "")


def test_a_screen_reader_hears_where_one_comes_to_rest_and_no_more(player: Page) -> None:
    player.evaluate("""() => { window.heard = []; new MutationObserver(() => heard.push(document.getElementById('now-said').textContent))
        .observe(document.getElementById('now-said'), {childList: true}); }""")
    for _ in range(12):
        player.keyboard.press(".")
    player.locator("#now-said:not(:empty)").wait_for(state="attached")
    player.wait_for_timeout(900)
    heard = player.evaluate("window.heard")
    assert len(heard) <= 2
    assert heard[-1].startswith("Frame 13 of 300")
    assert player.locator("#deck").get_attribute("role") == "group"


def test_every_button_is_reached_by_tab_and_says_its_key(player: Page) -> None:
    reached = set()
    for _ in range(12):
        player.keyboard.press("Tab")
        reached.add(player.evaluate("document.activeElement.dataset.does || document.activeElement.id"))
    assert {"play", "back", "on", "change", "unsure", "difference", "only", "segment", "row", "speed"} <= reached
    # Where one types into something else, letters are letters.
    player.locator("#only").focus()
    player.keyboard.press("c")
    assert frame_of(player) == 1


def test_a_click_on_a_bar_goes_there_and_pointing_shows_the_nearest_picture(player: Page) -> None:
    bar = player.locator(".strips .strip-bar").first
    box = bar.bounding_box()
    assert box is not None
    player.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 5)
    thumb = player.locator("#thumb")
    assert thumb.is_visible()
    assert thumb.evaluate("each => each.style.backgroundPosition") == "-160px 0px"
    assert frame_of(player) == 1, "pointing goes nowhere"
    bar.click(position={"x": box["width"] / 2, "y": 5})
    assert frame_of(player) == 151
    player.mouse.move(0, 0)
    assert thumb.is_hidden()
    player.locator("#scrub").focus()
    player.keyboard.press("ArrowRight")
    assert frame_of(player) == 152
    assert thumb.is_visible()


def test_boxes_lie_over_the_video_itself(cinema: tuple[str, dict[int, StudioGrid]], page: Page) -> None:
    page.goto(f"{cinema[0]}/dashboard/projects/6/videos/1?frame=120")
    page.locator("#stage-picture rect.box").first.wait_for()
    page.locator("#player[data-ready]").wait_for()
    assert (page.locator("#stage-said").text_content() or "").startswith("Frame 120: mouse 1 (Ada Lovelace), rat")
    page.evaluate(_PAINTED)
    assert read(page.evaluate(_LEVELS, cell_centres())) == 120
    over, film = (page.locator(name).bounding_box() for name in ("#stage-picture", "#film"))
    assert over == film


def test_two_words_are_compared_by_choice(player: Page) -> None:
    player.locator("select[name=other]").select_option("person-12")
    player.get_by_role("button", name="Compare").click()
    player.locator("#player[data-ready]").wait_for()
    player.get_by_role("link", name="Show difference at frame 191").click()
    player.locator("#player[data-ready]").wait_for()
    assert frame_of(player) == 191
    assert player.locator("select[name=other]").input_value() == "person-12"
    player.locator("#deck").focus()
    player.keyboard.press("Shift+D")
    assert frame_of(player) == 111, "the keys know what is compared"


def _answering(status: int) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        route.fulfill(status=status, body="no video", content_type="video/mp4")

    return answer


def test_what_keeps_a_video_from_being_played_is_said(player: Page, cinema: tuple[str, dict[int, StudioGrid]]) -> None:
    said = player.locator("#film-said")
    for status, text in (
        (401, "Your login does not hold any more"),
        (404, "is not kept here any more"),
        (200, "cannot play H.264"),
    ):
        player.route("**/video?*", _answering(status))
        player.reload()
        said.wait_for(state="visible")
        assert text in (said.text_content() or "")
        # What cannot be played at all leaves no black picture, and no buttons that do nothing.
        assert player.locator("#film").is_visible() == player.locator("#deck").is_visible() == (status != 200)
        player.unroute("**/video?*")
    player.goto(f"{cinema[0]}/dashboard/projects/7/videos/2")
    player.get_by_role("button", name="Fetch the video").click()
    assert "The video waits to be fetched. No worker is running." in (player.locator("#no-player").text_content() or "")
