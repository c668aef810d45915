"""A project with boxes of a person and of a model, and an export of it, as fixtures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from boxed_project import HEIGHT, WIDTH, add_video, boxed_project, key, numbered, predict, region, submit
from numpy.typing import NDArray
from studio import Studio
from workroom import context, redis, redis_settings, studio

from benchmarks.alignment.barcode import read_picture
from ml_backend.export.box_files import BoxForm
from ml_backend.export.boxed_tasks import BoxChoice
from ml_backend.export.boxes import write_boxes
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_boxes

__all__ = ["context", "redis", "redis_settings", "studio"]

EVERYTHING = BoxChoice()
Export = Callable[..., Any]
WAY = [key(1, 10, 10, 20, 20), key(26, 60, 10, 20, 20, on=False)]
FOUND = [key(5, 40, 50, 10, 20), key(15, 50, 50, 10, 20, on=False)]


@pytest.fixture
def project(studio: Studio, tmp_path: Path) -> Studio:
    """Two videos of 50 frames: of the first a person has submitted a track, of the second a model has found one."""
    boxed_project(studio)
    film = numbered(tmp_path / "film.mp4")
    add_video(studio, 1, film, name="one.mp4")
    add_video(studio, 2, film, name="two.mp4")
    submit(studio, 1, region("byhand", WAY))
    predict(studio, 1, region("coldblitz-track-1", FOUND, origin=None, score=0.9))
    predict(studio, 2, region("coldblitz-track-4", FOUND, "rat", origin=None, score=0.7))
    return studio


@pytest.fixture
def export(context: JobContext, tmp_path: Path) -> Export:
    def write(name: str, form: BoxForm = "coco", choice: BoxChoice = EVERYTHING, **more: Any) -> Any:
        path = tmp_path / "out" / name
        told = write_boxes(open_boxes(context, 7), path, form, choice, lambda text: lambda share: None, **more)
        return told if path.suffix != ".json" or more.get("preview") else json.loads(path.read_text(encoding="utf-8"))

    return write


def by_frame(told: dict[str, Any], video: int = 1) -> dict[int, list[dict[str, Any]]]:
    frames = {each["id"]: each["frame"] for each in told["images"] if each["video_id"] == video}
    found: dict[int, list[dict[str, Any]]] = {frame: [] for frame in frames.values()}
    for each in told["annotations"]:
        if each["image_id"] in frames:
            found[frames[each["image_id"]]].append(each)
    return found


def number_shown(path: Path) -> int | None:
    return read_picture(np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8))


def expected(frame: float, keys: Sequence[dict[str, Any]] = WAY) -> NDArray[np.float64]:
    """Left, top, width, height in pixels that Label Studio draws at one of its frames."""
    at = [each["frame"] for each in keys]
    columns = [np.interp(frame, at, [each[name] for each in keys]) for name in ("x", "y", "width", "height")]
    return np.array(columns) / 100 * (WIDTH, HEIGHT, WIDTH, HEIGHT)
