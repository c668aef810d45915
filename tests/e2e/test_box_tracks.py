"""Predicted boxes in a real Label Studio and a real browser: where they are shown, and what comes back of them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from box_page import PICTURE, READY, SEEK, SHOWN
from numpy.typing import NDArray
from playwright.sync_api import Page

from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.box_track import KeyFrame, Track, at_pictures, at_studio_frames
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.regions import parse_regions
from ml_backend.labelstudio.tracks import is_untouched, read_tracks, track_items
from ml_backend.provenance import track_id
from ml_backend.video.timeline import StudioFrame, StudioGrid, read_timeline, studio_grid

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
WIDTH, HEIGHT, FRAMES, RATE = 640, 360, 100, 25
RED, GREEN = 0, 1
# The timeline comes first and has a label of the same name: the editor then takes the label of a box for one of the timeline.
CONFIG = """<View>
  <TimelineLabels name="what" toName="video"><Label value="mouse"/><Label value="rest"/></TimelineLabels>
  <Labels name="who" toName="video"><Label value="mouse"/><Label value="cat"/></Labels>
  <VideoRectangle name="box" toName="video"/>
  <Video name="video" value="$video" framerate="$fps" timelineHeight="200"/></View>"""
QUESTION = parse_label_config(CONFIG).tracks[0]


def truth() -> NDArray[np.float64]:
    """(objects, FRAMES, 4) x, y, width, height in percent of what the clip shows; NaN where an object is away.

    The red one goes across and back, and is away for a while; the green one comes down and is there to the end.
    """
    found = np.full((2, FRAMES, 4), np.nan)
    at = np.arange(FRAMES)
    across = np.interp(at, [0, 50, 99], [32, 420, 200]) / WIDTH * 100
    found[RED] = np.stack([across, 0 * at + 20, 0 * at + 12.5, 0 * at + 20], axis=1)
    found[RED, 30:45] = np.nan
    found[RED, 80:] = np.nan
    down = np.interp(at, [10, 99], [0, 60])
    found[GREEN] = np.stack([0 * at + 75, down, 0 * at + 15, np.interp(at, [10, 99], [15, 35])], axis=1)
    found[GREEN, :10] = np.nan
    return found


def make_clip(path: Path) -> Path:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "12", "preset": "veryfast"}
        for index in range(FRAMES):
            picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
            for box, color in zip(truth()[:, index], ((230, 20, 20), (20, 200, 20)), strict=True):
                if not np.isnan(box[0]):
                    x, y, w, h = box * np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) / 100
                    cv2.rectangle(picture, (round(x), round(y)), (round(x + w) - 1, round(y + h) - 1), color, -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def seen(picture: NDArray[np.uint8], object_: int) -> list[float] | None:
    """Where an object is in a picture (BGR), in percent; None where it is not."""
    own, other = picture[..., 2 - object_].astype(int), picture[..., 1 + object_].astype(int)
    rows, columns = np.nonzero(own - other > 100)
    if not len(rows):
        return None
    x, y = columns.min() / WIDTH * 100, rows.min() / HEIGHT * 100
    return [x, y, (columns.max() + 1) / WIDTH * 100 - x, (rows.max() + 1) / HEIGHT * 100 - y]


def predicted(grid: StudioGrid, every: int) -> list[Track]:
    """A track of each object, with a key frame at each `every`th frame of Label Studio, and where an object comes or goes."""
    tracks = []
    for number, label in ((RED, "mouse"), (GREEN, "cat")):
        rows = at_studio_frames(truth()[number], grid)
        there = ~np.isnan(rows[:, 0])
        keys = []
        for frame in np.flatnonzero(there) + 1:
            ends = frame == len(rows) or not there[frame]
            if ends or frame == 1 or not there[frame - 2] or frame % every == 0 or grid.shown[frame - 1] in (50,):
                keys.append(KeyFrame(StudioFrame(int(frame)), *rows[frame - 1].tolist(), enabled=not ends))
        tracks.append(
            Track(track_id(number + 1), tuple(keys), (label,), 0.9 - 0.1 * number, "prediction", f"who: {label}-1")
        )
    return tracks


def go_to(page: Page, frame: int) -> NDArray[np.uint8]:
    """The picture that the player shows at a Label Studio frame."""
    page.evaluate(SEEK, frame)
    page.wait_for_timeout(300)
    encoded = page.wait_for_function(PICTURE).json_value()
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def submit(page: Page, task: int) -> list[dict[str, Any]]:
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{task}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201
    return list(json.loads(posted.value.request.post_data or "{}")["result"])


def opened(studio: Studio, page: Page, clip: Path, framerate: float, every: int) -> tuple[int, StudioGrid, list[Track]]:
    """A task with predicted tracks, open in the editor: its number, its grid, and what was predicted."""
    project = studio.create_project("Who is where", CONFIG)
    [task] = studio.import_tasks(project, [{"video": studio.upload(project, clip), "fps": framerate}])
    grid = studio_grid(read_timeline(clip), QUESTION.framerate_of({"fps": framerate}))
    tracks = predicted(grid, every)
    items = track_items(tracks, QUESTION, grid)
    body = [{"task": task, "model_version": "cold-v1", "score": 0.5, "result": items}]
    assert studio.post(f"/api/projects/{project}/import/predictions", body)["created"] == 1
    page.goto(f"{studio.url}/projects/{project}/data?task={task}")
    page.wait_for_function(READY, arg=task)
    return task, grid, tracks


def drag(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    # As slow as a hand: the editor draws in between.
    page.mouse.move(*start)
    page.mouse.down()
    for step in range(1, 6):
        page.wait_for_timeout(100)
        page.mouse.move(start[0] + by[0] * step / 5, start[1] + by[1] * step / 5)
    page.wait_for_timeout(100)
    page.mouse.up()


def on_screen(page: Page) -> tuple[float, float, float, float]:
    """x, y, width, height in pixels of the red object, wherever the player draws it."""
    shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert shot is not None
    red = (shot[..., 2].astype(int) - shot[..., 1] > 150) & (shot[..., 0] < 80)
    # Some icons are red, too.
    _, _, parts, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
    x, y, width, height, _ = max(parts[1:].tolist(), key=lambda part: part[4])
    return float(x), float(y), float(width), float(height)


@pytest.mark.parametrize(("framerate", "every"), [(25, 10), (30, 1), (12.5, 1)])
def test_predicted_boxes_are_on_their_objects_and_come_back_as_they_were(
    studio: Studio, page: Page, tmp_path: Path, framerate: float, every: int
) -> None:
    task, grid, tracks = opened(studio, page, make_clip(tmp_path / "objects.mp4"), framerate, every)
    assert page.evaluate("() => window.Htx.annotationStore.selected.names.get('video').length") == len(grid)
    # Where objects come and go, where they turn, and in between.
    of_pictures = [0, 7, 9, 10, 28, 29, 30, 31, 43, 44, 45, 46, 50, 66, 78, 79, 80, 81, 98, 99]
    for index in of_pictures:
        frame = int(np.searchsorted(grid.shown, index)) + 1
        if frame > len(grid) or grid.shown[frame - 1] != index:
            continue
        picture = go_to(page, frame)
        shown = page.evaluate(SHOWN)
        assert [each["id"] for each in shown] == [track.id for track in tracks]
        for number, (each, track) in enumerate(zip(shown, tracks, strict=True)):
            meant = track.boxes(np.array([frame]))[0]
            there = seen(picture, number)
            assert (each["box"] is None) == (there is None) == bool(np.isnan(meant[0])), (index, number)
            if each["box"] is None:
                continue
            assert [each["box"][name] for name in ("x", "y", "width", "height")] == pytest.approx(meant[:4], abs=1e-4)
            assert there == pytest.approx(truth()[number, index], abs=0.8)
            assert [each["box"][name] for name in ("x", "y", "width", "height")] == pytest.approx(there, abs=0.8)
    go_to(page, int(np.searchsorted(grid.shown, 20)) + 1)
    page.screenshot(path=_ARTIFACTS / f"box-tracks-{framerate:g}.png")

    result = submit(page, task)
    found = read_tracks(result, QUESTION)
    assert found.refused == ()
    assert [(t.id, t.labels, t.score, t.text) for t in found.tracks] == [
        (t.id, t.labels, t.score, t.text) for t in tracks
    ]
    assert all(map(is_untouched, found.tracks))
    # What the editor adds for the timeline's label of the same name is no region of the timeline.
    assert parse_regions(result, parse_label_config(CONFIG).main) == ()
    kept = studio.get(f"/api/tasks/{task}/annotations/")[0]["result"]
    assert read_tracks(kept, QUESTION) == found
    for number, track in enumerate(found.tracks):
        boxes = at_pictures(track, grid)[:, :4]
        assert np.allclose(boxes[grid.shown], truth()[number][grid.shown], atol=0.5, equal_nan=True)


def test_a_dragged_box_and_a_drawn_one_are_told_from_what_nobody_touched(
    studio: Studio, page: Page, tmp_path: Path
) -> None:
    task, grid, tracks = opened(studio, page, make_clip(tmp_path / "objects.mp4"), 25, 10)
    go_to(page, 25)
    x, y, width, height = on_screen(page)
    of_picture = width / (truth()[RED, 24, 2] / 100)
    drag(page, (x + width / 2, y + height / 2), (of_picture / 10, 0))
    page.keyboard.press("Escape")
    go_to(page, 61)
    page.keyboard.press("4")
    drag(page, (x, y + 2 * height), (width, height))
    page.screenshot(path=_ARTIFACTS / "box-tracks-dragged.png")
    page.wait_for_function("count => window.Htx.annotationStore.selected.regions.length === count", arg=len(tracks) + 1)
    # The editor keeps a draft of its own accord.
    drafts: list[dict[str, Any]] = []
    for _ in range(60):
        drafts = studio.get(f"/api/tasks/{task}/")["drafts"]
        if drafts and len(read_tracks(drafts[0]["result"], QUESTION).tracks) == len(tracks) + 1:
            break
        page.wait_for_timeout(500)
    found = read_tracks(submit(page, task), QUESTION)
    assert read_tracks(drafts[0]["result"], QUESTION).tracks == found.tracks

    dragged, left, drawn = found.tracks
    assert (dragged.id, dragged.origin, is_untouched(dragged)) == (tracks[RED].id, "prediction", False)
    was, now = (track.boxes(np.arange(1, len(grid) + 1)) for track in (tracks[RED], dragged))
    assert {key.frame for key in dragged.keys} - {key.frame for key in tracks[RED].keys} == {25}
    assert now[24, 0] - was[24, 0] == pytest.approx(10, abs=0.5)
    assert is_untouched(left)
    assert (drawn.origin, drawn.labels, is_untouched(drawn)) == ("manual", ("cat",), False)
    assert (drawn.stretches(StudioFrame(len(grid))), drawn.meant(StudioFrame(len(grid)))) == ([(61, 100)], [(61, 61)])
    there = at_pictures(drawn, grid)
    assert np.flatnonzero(~np.isnan(there[:, 0])).tolist() == [60]
    assert there[60, 2:4] == pytest.approx(truth()[RED, 24, 2:4], abs=1)
