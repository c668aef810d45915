"""A small project that asks for boxes: videos whose frames say their own number, and regions of boxes as Label Studio keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import Studio

from benchmarks.alignment.encode import Recipe, encode, steady

SIZE = WIDTH, HEIGHT = 320, 180
BOXES = (
    '<View><Labels name="who" toName="film"><Label value="mouse"/><Label value="rat"/></Labels>'
    '<VideoRectangle name="box" toName="film"/><Video name="film" value="$video" framerate="$fps"/></View>'
)


def key(
    frame: int, x: float, y: float, width: float, height: float, *, on: bool = True, turn: float = 0
) -> dict[str, Any]:
    """A key frame, in percent."""
    box = {"x": x, "y": y, "width": width, "height": height}
    return {"frame": frame, "enabled": on, "rotation": turn, "time": 0.0, **box}


def region(
    name: str, keys: Sequence[dict[str, Any]], label: str | None = "mouse", origin: str | None = "manual", **more: Any
) -> dict[str, Any]:
    value = {"sequence": list(keys), "framesCount": 0, "duration": 0, **({"labels": [label]} if label else {})}
    item = {"id": name, "from_name": "box", "to_name": "film", "type": "videorectangle", "value": value, **more}
    return item if origin is None else {**item, "origin": origin}


def boxed_project(studio: Studio, config: str = BOXES) -> Studio:
    """The same Label Studio, whose project asks for boxes."""
    assert studio.project is not None
    studio.project |= {"label_config": config, "model_version": "keyframes-v1"}
    return studio


def add_video(studio: Studio, task: int, path: Path, fps: float = 25, name: str | None = None) -> None:
    studio.add_task(task, path)
    studio.tasks[task]["data"] |= {"fps": fps, **({"name": name} if name else {})}


def numbered(path: Path, frames: int = 50, rate: int = 25) -> Path:
    encode(path, Recipe(steady(rate, frames), size=SIZE))
    return path


def submit(studio: Studio, task: int, *items: dict[str, Any], when: str = "2026-02-01T12:00:00Z", **more: Any) -> None:
    said = studio.tasks[task]["annotations"]
    said.append({"id": 10 * task + len(said), "result": list(items), "updated_at": when, "completed_by": 3, **more})


def predict(studio: Studio, task: int, *items: dict[str, Any], version: str = "keyframes-v1") -> None:
    studio.tasks[task]["predictions"] = [{"model_version": version, "result": list(items), "id": task, "task": task}]
