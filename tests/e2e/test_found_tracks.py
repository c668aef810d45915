"""Boxes from nothing: tracks are found in a video and shown in a real Label Studio, and one drawn box comes back as a track."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from box_page import PICTURE, READY, SEEK, SHOWN
from numpy.typing import NDArray
from playwright.sync_api import Page

from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import ReadTracks, read_tracks

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
WIDTH, HEIGHT, FRAMES, RATE = 640, 360, 200, 25
CONFIG = """<View><Labels name="who" toName="video"><Label value="mouse"/>{}</Labels><VideoRectangle name="box" toName="video"/>
  <Video name="video" value="$video" framerate="$fps" timelineHeight="120"/></View>"""
QUESTION = parse_label_config(CONFIG.format("")).tracks[0]
Box = list[float]


def place(index: int) -> tuple[int, int, int, int]:
    """left, top, width, height in pixels of the red subject in picture `index`: it goes across, down and back."""
    x = np.interp(index, [0, 90, 120, 199], [40, 480, 480, 100])
    y = np.interp(index, [0, 90, 120, 199], [60, 90, 220, 240])
    return round(x), round(y), 80, 56


def make_clip(path: Path) -> Path:
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 4)
    ground = 130 + 12 * ground / ground.std()
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "16", "preset": "veryfast"}
        for index in range(FRAMES):
            picture = np.clip(ground + rng.normal(0, 1.5, ground.shape), 0, 255).astype(np.uint8)
            x, y, width, height = place(index)
            cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), (220, 20, 20), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def seen(picture: NDArray[np.uint8]) -> Box:
    """Where the red subject is in a picture (BGR): left, top, width, height in percent."""
    red = picture[..., 2].astype(int) - picture[..., 1] > 100
    rows, columns = np.nonzero(red)
    x, y = columns.min(), rows.min()
    box = np.array([x, y, columns.max() + 1 - x, rows.max() + 1 - y]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return [float(each) for each in 100 * box]


def iou(one: Box, other: Box) -> float:
    low = [max(one[axis], other[axis]) for axis in (0, 1)]
    high = [min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) for axis in (0, 1)]
    shared = max(high[0] - low[0], 0) * max(high[1] - low[1], 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def opened(studio: Studio, backend: Backend, clip: Path, labels: str = "") -> tuple[Loop, int]:
    """A project that asks for boxes alone, with the clip as its task, connected."""
    project = studio.create_project("Who is where", CONFIG.format(labels))
    [task] = studio.import_tasks(project, [{"video": studio.upload(project, clip), "fps": RATE}])
    studio.connect(project, backend.url)
    return Loop(studio, backend, project, (task,)), task


def tracks_of(studio: Studio, task: int) -> ReadTracks:
    predictions = studio.predictions(task)
    return read_tracks(predictions[-1]["result"], QUESTION) if predictions else ReadTracks()


def go_to(page: Page, frame: int) -> NDArray[np.uint8]:
    """The picture that the player shows at a Label Studio frame."""
    page.evaluate(SEEK, frame)
    page.wait_for_timeout(300)
    encoded = page.wait_for_function(PICTURE).json_value()
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def shown_box(page: Page) -> tuple[dict[str, Any], Box]:
    [region] = page.evaluate(SHOWN)
    assert region["box"] is not None
    return region, [region["box"][name] for name in ("x", "y", "width", "height")]


def test_a_found_track_is_on_its_subject_when_the_task_is_opened(
    studio: Studio, backend: Backend, page: Page, tmp_path: Path
) -> None:
    loop, task = opened(studio, backend, make_clip(tmp_path / "subject.mp4"))
    loop.wait_for("a track", lambda: tracks_of(studio, task).tracks or None)
    page.goto(f"{studio.url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function(READY, arg=task)
    for frame in (2, 25, 60, 91, 105, 130, 160, 190):
        there = seen(go_to(page, frame))
        region, box = shown_box(page)
        assert (region["id"], region["labels"]) == ("coldblitz-track-1", ["mouse"])
        assert iou(box, there) > 0.75, frame
        assert there == pytest.approx(np.array(place(frame - 1)) / [6.4, 3.6, 6.4, 3.6], abs=0.8)
    go_to(page, 60)
    page.screenshot(path=_ARTIFACTS / "found-track.png")


def test_one_drawn_box_comes_back_as_a_track(studio: Studio, backend: Backend, page: Page, tmp_path: Path) -> None:
    loop, task = opened(studio, backend, make_clip(tmp_path / "subject.mp4"), '<Label value="rat"/>')
    [found] = loop.wait_for("a track", lambda: tracks_of(studio, task).tracks or None)
    assert found.labels == ()
    x, y, width, height = (np.array(place(79)) / [6.4, 3.6, 6.4, 3.6]).tolist()
    key = {"frame": 80, "enabled": True, "rotation": 0, "x": x, "y": y, "width": width, "height": height}
    item = {
        "id": "byhand",
        "from_name": "box",
        "to_name": "video",
        "type": "videorectangle",
        "origin": "manual",
        "value": {"labels": ["rat"], "sequence": [key], "framesCount": FRAMES, "duration": FRAMES / RATE},
    }
    studio.post(f"/api/tasks/{task}/annotations/", {"result": [item], "was_cancelled": False})

    def followed() -> bool | None:
        return [each.labels for each in tracks_of(studio, task).tracks] == [("rat",)] or None

    loop.wait_for("the followed track", followed)
    [prediction] = studio.predictions(task)
    page.goto(f"{studio.url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function(READY, arg=task)
    # The person's own box is what it was; the prediction is a tab beside it.
    [own] = page.evaluate(SHOWN)
    assert own["id"] == "byhand"
    page.evaluate(
        """() => { const store = window.Htx.annotationStore; store.selectPrediction(store.predictions[0].id); }"""
    )
    page.wait_for_function("id => window.Htx.annotationStore.selected.pk === String(id)", arg=prediction["id"])
    for frame in (5, 60, 80, 110, 150, 190):
        there = seen(go_to(page, frame))
        region, box = shown_box(page)
        assert (region["id"], region["labels"]) == ("coldblitz-track-1", ["rat"])
        assert iou(box, there) > 0.75, frame
    page.screenshot(path=_ARTIFACTS / "followed-box.png")
    kept = studio.get(f"/api/tasks/{task}/annotations/")[0]["result"]
    assert len(kept) == 1
    assert kept[0]["value"]["sequence"] == [key]
