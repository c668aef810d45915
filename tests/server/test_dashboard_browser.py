"""The dashboard in headless Chromium: every page on a wide and a narrow screen, dark and light, with keyboard and pointer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boxed_scene
import cv2
import dashboard_scene as scene
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.projects import check_reports, registry, settings_changes, task_view, training_choice
from ml_backend.projects.task_view import ContactSheet
from ml_backend.queueing.queue import listing

pytestmark = pytest.mark.browser

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
_CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

# The text with the least contrast to what is behind it (WCAG 2.2, success criterion 1.4.3).
_CONTRAST = """() => {
    const light = color => color.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const luminance = color => { const [r, g, b] = light(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = text => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const behind = element => { for (let at = element; at; at = at.parentElement) {
        const color = rgba(getComputedStyle(at).backgroundColor); if (color[3] === 255) return color.slice(0, 3); }
        return [255, 255, 255]; };
    let worst = [99, ''];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest('title, desc, .hidden, .skip')) continue;
        const style = getComputedStyle(element), text = element.closest('svg') ? style.fill : style.color;
        const [a, b] = [luminance(rgba(text)), luminance(behind(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < worst[0]) worst = [ratio, element.outerHTML.slice(0, 120)];
    }
    return worst; }"""
_UNNAMED = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), progress, [role=region], '
    + 'svg:not([aria-hidden])')].filter(each =>
    !(each.getAttribute('aria-label') || each.textContent.trim() || (each.labels || []).length)).map(each => each.outerHTML)"""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    _ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(_CHROMIUM))
        yield browser
        browser.close()


def opened(browser: Browser, width: int = 1280, scheme: str = "light", **more: bool) -> tuple[Page, list[str]]:
    """A window, and what its console complains of."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)  # type: ignore[arg-type]
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_page_fits_can_be_read_and_makes_the_browser_complain_of_nothing(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    page, complaints = opened(browser, width, scheme)
    for name, path in scene.PAGES.items():
        page.goto(address + path)
        page.screenshot(path=_ARTIFACTS / f"dashboard-{name.replace(' ', '-')}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        ratio, where = page.evaluate(_CONTRAST)
        assert ratio >= 4.5, f"{name}: {where}"
        assert page.evaluate(_UNNAMED) == [], name
    # Chromium logs the status of the error's page itself.
    assert [each for each in complaints if "400 (BAD REQUEST)" not in each] == []
    page.context.close()


def test_the_keyboard_reaches_everything_and_can_skip_the_head(browser: Browser, address: str) -> None:
    page, _ = opened(browser)
    page.goto(address + scene.PAGES["video"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.id"))
    assert {"scrub", "Table: Least confident segments", "Open frame 111 in Label Studio"} <= reached
    page.context.close()


def test_what_is_under_the_pointer_is_said(browser: Browser, address: str) -> None:
    page, _ = opened(browser)
    page.goto(address + scene.PAGES["video"])
    box = page.locator(".strip-bar").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    said = page.locator("#readout").text_content() or ""
    assert said.startswith("Frame 151 at 0:06.00: ")
    assert "car" in said
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowRight")
    assert (page.locator("#readout").text_content() or "").startswith("Frame 152 at 0:06.04")
    page.context.close()


def test_so_is_a_picture_once_there_are_some(browser: Browser, address: str, tmp_path: Path) -> None:
    columns = np.repeat([[0, 255]], 160, axis=1).astype(np.uint8).repeat(90, axis=0)
    _, jpeg = cv2.imencode(".jpg", columns)
    task_view.save_sheet(tmp_path, scene.P, 1, ContactSheet((1, 200), 1, 2, 160, 90), jpeg.tobytes())
    page, complaints = opened(browser)
    page.goto(address + scene.PAGES["video"])
    assert page.evaluate("document.querySelector('img.sheet').naturalWidth") == 320
    page.locator("#scrub").fill("199")
    style = page.locator("#thumb").evaluate("thumb => [thumb.style.backgroundPosition, thumb.clientWidth]")
    assert style == ["-160px 0px", 160]
    page.locator("#scrub").fill("20")
    assert page.locator("#thumb").evaluate("thumb => thumb.style.backgroundPosition") == "0px 0px"
    assert complaints == []
    page.context.close()


def test_progress_moves_and_curves_grow_without_a_reload(browser: Browser, address: str, redis: Redis) -> None:
    page, complaints = opened(browser)
    page.goto(address + scene.PAGES["jobs"])
    assert page.locator("#running-jobs circle").count() == 15
    (running,) = listing(redis)["running"]
    job = Job.fetch(running["id"], connection=redis, serializer=JSONSerializer)
    more = [*scene.EPOCHS, {"epoch": 5, "train_loss": 0.1, "validation_loss": 0.2, "validation_macro_f1": 0.97}]
    job.meta.update(percent=70.0, curve=more)
    job.save_meta()
    page.locator("#running-jobs progress[value='70.0']").wait_for()
    assert page.locator("#running-jobs circle").count() == 18
    assert complaints == []
    page.context.close()


def test_without_javascript_everything_is_there(browser: Browser, address: str) -> None:
    page, _ = opened(browser, java_script_enabled=False)
    page.goto(address + scene.PAGES["jobs"])
    page.get_by_role("button", name="Retry suggest of task 9").click()
    assert "The job is being retried." in (page.locator("[role=status]").text_content() or "")
    page.goto(address + scene.PAGES["video"])
    assert page.locator(".timeline").count() == 12
    assert page.locator("#scrub").is_hidden()
    page.context.close()


def test_a_version_is_rolled_back_and_another_deleted(browser: Browser, address: str, redis: Redis) -> None:
    page, _ = opened(browser, 390)
    page.goto(address + scene.PAGES["models"])
    page.get_by_role("button", name="Roll back to cold-v2").click()
    assert "cold-v2 is being rolled out" in (page.locator("[role=status]").text_content() or "")
    assert registry.wanted_version(redis, scene.P) == "cold-v2"
    page.get_by_role("link", name="cold-v1").click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete cold-v1").click()
    assert "cold-v1 is deleted." in (page.locator("[role=status]").text_content() or "")
    assert page.get_by_role("link", name="cold-v1").count() == 0
    page.context.close()


def test_how_to_train_is_chosen_with_the_keyboard_alone_and_without_javascript(
    browser: Browser, address: str, redis: Redis, tmp_path: Path
) -> None:
    page, _ = opened(browser, 390, java_script_enabled=False)
    page.goto(address + scene.PAGES["models"])
    assert page.get_by_label("Epochs, at most").is_hidden()
    page.get_by_label("Use the extra params: auto").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Blitz: from whole reviewed timelines").is_checked()
    page.keyboard.press("Tab")
    assert page.get_by_label("Epochs, at most").is_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.get_by_label("Epochs, at most").is_visible()
    page.keyboard.press("Control+A")
    page.keyboard.type("1000")
    page.keyboard.press("Enter")
    assert page.url.endswith("/models")  # the browser has said that 100 is the most
    page.keyboard.press("Control+A")
    page.keyboard.type("25")
    page.keyboard.press("Enter")
    assert "This training and those after it are Blitz" in (page.locator("[role=status]").text_content() or "")
    known = registry.recall(redis, scene.P)
    assert known is not None
    made = training_choice.in_force(tmp_path, known)
    assert made is not None
    assert (made.kind, made.blitz.fit, made.blitz.cycles) == ("blitz", "finetune", 25)
    page.context.close()


def test_settings_are_changed_with_the_keyboard_alone_and_without_javascript(
    browser: Browser, address: str, redis: Redis
) -> None:
    page, _ = opened(browser, java_script_enabled=False)
    page.goto(address + scene.PAGES["settings"])
    press(page, "Change settings")
    while page.evaluate("document.activeElement.id") != "frames_per_video":
        page.keyboard.press("Tab")
    page.keyboard.type("5000")
    enter(page)
    assert "5000 is not between 1 and 1000" in (page.locator("[role=alert]").text_content() or "")
    press(page, "frames_per_video")  # leads to the field
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "frames_per_video"
    page.keyboard.press("Control+A")
    page.keyboard.type("5")
    enter(page)
    assert "Frames of videos that are added from now on" in (page.locator("#content").text_content() or "")
    press(page, "Save in Label Studio")
    assert "Waiting to be saved in Label Studio." in (page.locator("#saving").text_content() or "")
    change = settings_changes.waiting(redis, scene.P)
    assert change is not None
    assert change.after == {"min_frames": 3, "samplin": "x", "frames_per_video": 5}
    page.context.close()


def test_a_remedy_is_asked_for_and_confirmed_with_the_keyboard_alone_and_without_javascript(
    browser: Browser, address: str, redis: Redis
) -> None:
    page, _ = opened(browser, 390, java_script_enabled=False)
    page.goto(address + scene.PAGES["checks"])
    press(page, "Show cold-v3…")
    assert "The label stream of project 7 shows the predictions of cold-v3" in (
        page.locator("ul").last.text_content() or ""
    )
    press(page, "Show cold-v3")
    assert "Waiting to be done in Label Studio." in (page.locator("#repair").text_content() or "")
    repair = check_reports.waiting_repair(redis, scene.P)
    assert repair is not None
    assert (repair.fix, repair.value) == ("pin", "cold-v3")
    page.context.close()


def press(page: Page, text: str) -> None:
    """Goes on to what says `text` with the Tab key, and presses Enter there."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == text:
            break
    assert page.evaluate("document.activeElement.textContent") == text
    enter(page)


def enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_model_file_is_chosen_by_its_name_where_custom_is_chosen(
    browser: Browser, address: str, redis: Redis, tmp_path: Path
) -> None:
    (tmp_path / "custom_models").mkdir()
    for name in ("bird.py", "cat.onnx"):
        (tmp_path / "custom_models" / name).write_text("")
    page, _ = opened(browser, 390, java_script_enabled=False)
    page.goto(address + scene.PAGES["models"])
    files = page.get_by_role("combobox")
    assert files.count() == 0  # hidden
    page.get_by_label("Custom: your own model file").check()
    files.select_option("cat.onnx")
    page.screenshot(path=_ARTIFACTS / "model-file.png", full_page=True)
    page.get_by_role("button", name="Start training with these settings").click()
    assert "are custom (cat.onnx)" in (page.locator("[role=status]").text_content() or "")
    page.context.close()


def test_pictures_have_a_step_and_other_exports_none(browser: Browser, address: str) -> None:
    page, _ = opened(browser, java_script_enabled=False)
    page.goto(address + scene.PAGES["export"])
    step = page.get_by_label("Use every n-th frame of each label")
    assert step.is_hidden()
    page.get_by_label("Content").select_option("frames.zip")
    assert step.is_visible()
    step.fill("7")
    page.get_by_role("button", name="Export", exact=True).click()
    assert "frames-every-7.zip waits to be created." in (page.locator("[role=status]").text_content() or "")
    page.context.close()


# The boxes over the picture, in percent of it: left, top, width, height before they are turned, and degrees.
_BOXES = """() => { const svg = document.querySelector('#stage-picture svg'), width = svg.viewBox.baseVal.width;
    return [...svg.querySelectorAll('rect.box')].map(each => [
        ...['x', 'y', 'width', 'height'].map((side, at) => each.getAttribute(side) * (at % 2 ? 1 : 100 / width)),
        Number(each.getAttribute('transform').match(/rotate\\(([-\\d.e]+)/)[1])]); }"""


def test_boxes_are_drawn_at_the_sliders_frame_as_label_studio_draws_them(browser: Browser, address: str) -> None:
    page, complaints = opened(browser, 390, "dark")
    page.goto(address + scene.PAGES["boxes"])
    page.locator("#stage-picture rect.box").first.wait_for()
    slider, said = page.locator("#scrub"), page.locator("#stage-said")
    assert slider.input_value() == "120"
    assert (said.text_content() or "").startswith(
        "Frame 120: mouse 1 (Ada Lovelace), rat (Ada Lovelace), mouse 1 (the model)"
    )
    slider.focus()
    found = {}
    for frame in (121, 122, 123):
        page.keyboard.press("ArrowRight")
        assert (said.text_content() or "").startswith(f"Frame {frame}: ")
        found[frame] = page.evaluate(_BOXES)
    page.locator("#scrub").fill("160")
    assert "Object 2" not in (said.text_content() or ""), "it is off from frame 141 to 179"
    page.locator("#scrub").fill("220")
    found[220] = page.evaluate(_BOXES)
    for frame, boxes in found.items():
        known = [track.boxes(np.array([frame]))[0] for track in boxed_scene.shown_tracks()]
        wanted = [box for box in known if not np.isnan(box).any()]
        assert len(boxes) == len(wanted), frame
        np.testing.assert_allclose(sorted(boxes), sorted(each.tolist() for each in wanted), atol=1e-3)
    assert complaints == []
    page.context.close()


def test_the_picture_behind_the_boxes_is_the_nearest_and_says_so(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    columns = np.repeat([[0, 255]], 320, axis=1).astype(np.uint8).repeat(180, axis=0)
    _, jpeg = cv2.imencode(".jpg", columns)
    task_view.save_sheet(tmp_path, boxed_scene.BOXED, 1, ContactSheet((100, 200), 0, 2, 320, 180), jpeg.tobytes())
    page, complaints = opened(browser)
    page.goto(address + scene.PAGES["boxes"])
    page.locator("#stage-picture rect.box").first.wait_for()
    assert "The picture is of frame 100." in (page.locator("#stage-said").text_content() or "")
    page.get_by_role("button", name="Later picture").press("Enter")
    assert page.locator("#scrub").input_value() == "200"
    said = page.locator("#stage-said").text_content() or ""
    assert said.startswith("Frame 200: ")
    assert "The picture is of" not in said
    assert page.locator("#stage-picture").evaluate("each => each.style.backgroundPosition") == "100% 0%"
    page.screenshot(path=_ARTIFACTS / "boxes-over-a-picture.png", full_page=True)
    assert complaints == []
    page.context.close()


def test_the_moment_of_a_wrong_track_is_one_click_away(browser: Browser, address: str) -> None:
    page, _ = opened(browser)
    page.goto(address + scene.PAGES["boxes quality"])
    assert "It jumps by 3.1 times its own length" in (page.locator("[aria-labelledby=tracks]").text_content() or "")
    page.get_by_role("link", name="Show frame 140 of task 1").click()
    assert page.locator("#scrub").input_value() == "140"
    assert (page.locator("#stage-said").text_content() or "").startswith("Frame 140: ")
    page.context.close()
