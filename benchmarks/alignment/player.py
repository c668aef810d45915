"""A person at Label Studio's video editor, in headless Chromium: goes to frames and looks at the picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page, sync_playwright

from ml_backend.demo.studio import Studio
from ml_backend.errors import SettingsError

_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
_PATIENCE = 30_000
_TIMEOUT = 90_000  # milliseconds; several programs may share the processor

# The editor's whole state is at window.Htx; before the video has its length, a click on a region does not seek. The page may
# build the editor twice, so it has to stay as it is for a moment.
_READY = """async ([task, regions, patience]) => {
    const editor = () => { const shown = window.Htx?.annotationStore?.selected, video = document.querySelector('video');
        const ready = shown && window.Htx.task?.id === task && video?.readyState === 4 && shown.names.get('video')?.isReady
            && shown.regions.length === regions && !document.querySelector('[class*=video-canvas__loading]');
        return ready ? video : null; };
    const began = performance.now();
    for (let seen = null, since = 0; performance.now() - began < patience; await new Promise(done => setTimeout(done, 50))) {
        const now = editor();
        if (now !== seen) { seen = now; since = performance.now(); }
        if (seen && performance.now() - since > 600) return true;
    }
    return false; }"""
# A seek may paint its picture a moment after it is over.
_PAINTED = """async () => { const video = document.querySelector('video'), wait = ms => new Promise(done => setTimeout(done, ms));
    for (let i = 0; i < 600 && (video.seeking || video.readyState < 2); i++) await wait(5);
    for (let i = 0; i < 3; i++) await new Promise(done => requestAnimationFrame(done)); }"""
# The picture is read off the player: the editor copies it to its canvas when a seek ends, now and then a moment too early.
_LEVELS = """centres => { const video = document.querySelector('video'), canvas = document.createElement('canvas');
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    const context = canvas.getContext('2d', {willReadFrequently: true}); context.drawImage(video, 0, 0);
    return centres.map(([x, y]) => {
        const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)], [r, g, b] = context.getImageData(...at, 1, 1).data;
        return (r + g + b) / 3; }); }"""
_LENGTH = "() => window.Htx.annotationStore.selected.names.get('video').length"
_GO = "frame => window.Htx.annotationStore.selected.names.get('video').setFrame(frame)"


def chromium() -> str | None:
    """The browser's program, when there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((program for name in names if (program := shutil.which(name))), None)


@contextmanager
def browser_page(studio: Studio) -> Iterator[Page]:
    """A page on which the annotator is logged in. Raises SettingsError without a Chromium."""
    program = chromium()
    if program is None:
        raise SettingsError("There is no Chromium.", "Install it, for example with `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=list(_ARGUMENTS))
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(_TIMEOUT)
        page.goto(f"{studio.url}/user/login/")
        page.fill("#email", studio.user)
        page.fill("#password", studio.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url, wait_until="commit")
        yield page
        browser.close()


def open_task(page: Page, studio: Studio, project: int, task: int, regions: int) -> None:
    """Opens a task for labelling and waits until its video can be moved through and its `regions` are there.

    Raises playwright's Error when that does not happen.
    """
    for _ in range(2):
        page.goto(f"{studio.url}/projects/{project}/data?task={task}")
        if page.evaluate(_READY, [task, regions, _PATIENCE]):
            return
    raise Error(f"task {task} did not open")


def length(page: Page) -> int:
    """How many frames Label Studio counts."""
    return int(page.evaluate(_LENGTH))


def go_to(page: Page, frame: int) -> None:
    """Goes to a Label Studio frame as a click in the timeline does."""
    page.evaluate(_GO, frame)
    page.evaluate(_PAINTED)


def click_region(page: Page, position: int) -> None:
    """Clicks a row of the list of regions, which goes to the region's first frame."""
    page.locator("[class*=outliner-item__title]").nth(position).click()
    page.evaluate(_PAINTED)


def grey_levels(page: Page, centres: Sequence[tuple[float, float]]) -> list[float]:
    """The levels (0..255) of the player's picture at (x, y), given as fractions of the picture."""
    return [float(level) for level in page.evaluate(_LEVELS, [list(centre) for centre in centres])]


def screenshot(page: Page, path: Path) -> Any:
    return page.screenshot(path=str(path))
