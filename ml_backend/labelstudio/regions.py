"""Label Studio's result items to and from regions. One range per region: Label Studio's editor destroys more on the first edit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml_backend.annotation import Annotation, Origin, Region
from ml_backend.labelstudio.config import REVIEWED, LabelConfig
from ml_backend.video.timeline import StudioFrame

KEYFRAMES_VERSION = "keyframes-v1"
_ORIGINS: tuple[Origin, ...] = ("manual", "prediction", "prediction-changed")


@dataclass(frozen=True)
class Prediction:
    """One task's pre-annotation. `score` in 0..1: low when a person should look at the task soon.

    It is how sure the model is of the whole task, raised when a task that shows the same problem comes before it.
    """

    task: int
    version: str
    regions: tuple[Region, ...]
    score: float


def suggestion(task: int, frames: Iterable[StudioFrame]) -> Prediction:
    """One-frame regions without a label, which Label Studio lists as *Empty*: a click seeks, a digit labels."""
    return Prediction(task, KEYFRAMES_VERSION, tuple(_empty(f"kf-{frame}", frame) for frame in frames), 0.0)


def asked(version: str, frames: Iterable[StudioFrame]) -> tuple[Region, ...]:
    """The same within a predicted timeline: a model's questions, to be put before its regions."""
    return tuple(_empty(f"kf-{version}-{frame}", frame) for frame in frames)


def _empty(name: str, frame: StudioFrame) -> Region:
    return Region(name, frame, frame, (), "prediction")


def prediction_json(prediction: Prediction, config: LabelConfig) -> dict[str, Any]:
    """The item for Label Studio's bulk import and for the answer to `/predict`."""
    return {
        "task": prediction.task,
        "model_version": prediction.version,
        "score": _share(prediction.score),
        "result": [_region_json(region, config) for region in prediction.regions],
    }


def _region_json(region: Region, config: LabelConfig) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": region.id,
        "from_name": config.from_name,
        "to_name": config.to_name,
        "type": "timelinelabels",
        "value": {
            "ranges": [{"start": int(region.start), "end": int(region.end)}],
            # The key must be there even when empty: the bulk import drops an item without it.
            "timelinelabels": list(region.labels),
        },
    }
    if region.score is not None:
        item["score"] = _share(region.score)
    return item


def _share(score: float) -> float:
    # A score that is not a number would keep Label Studio from opening the task.
    return round(min(max(float(score), 0.0), 1.0), 6) if math.isfinite(score) else 0.0


def parse_annotations(task: int, items: Sequence[Mapping[str, Any]], config: LabelConfig) -> tuple[Annotation, ...]:
    """The submitted annotations of one task; skipped (cancelled) ones are left out."""
    return tuple(_annotation(task, item, config) for item in items if not item.get("was_cancelled"))


def parse_regions(result: Sequence[Mapping[str, Any]], config: LabelConfig) -> tuple[Region, ...]:
    """The regions of a result on the control that is predicted; items of other controls are left out."""
    return tuple(region for item in result for region in _regions(item, config))


def _annotation(task: int, item: Mapping[str, Any], config: LabelConfig) -> Annotation:
    result = [r for r in _list(item.get("result")) if isinstance(r, Mapping)]
    author, seconds = item.get("completed_by"), item.get("lead_time")
    return Annotation(
        id=int(item["id"]),
        task=task,
        regions=parse_regions(result, config),
        updated_at=datetime.fromisoformat(item["updated_at"]),
        author=author["id"] if isinstance(author, Mapping) else author,
        ground_truth=bool(item.get("ground_truth")),
        reviewed=_reviewed(result, config),
        lead_time=float(seconds) if isinstance(seconds, int | float) else None,
    )


def _regions(item: Mapping[str, Any], config: LabelConfig) -> Iterable[Region]:
    value = item.get("value")
    if (
        item.get("type") != "timelinelabels"
        or item.get("from_name") != config.from_name
        or not isinstance(value, Mapping)
    ):
        return
    labels = tuple(map(str, _list(value.get("timelinelabels"))))
    origin = item.get("origin")
    score = item.get("score")
    for span in _list(value.get("ranges")):
        try:
            start, end = round(float(span["start"])), round(float(span["end"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        # Label Studio stores any numbers: frame 0 shows as frame 1, and an end before the start is the same span dragged left.
        first, last = max(1, min(start, end)), max(1, start, end)
        yield Region(
            id=str(item.get("id", "")),
            start=StudioFrame(first),
            end=StudioFrame(last),
            labels=labels,
            origin=origin if origin in _ORIGINS else "manual",
            score=float(score) if isinstance(score, int | float) else None,
        )


def _list(value: object) -> list[Any]:
    # Label Studio's API stores results of any form.
    return value if isinstance(value, list) else []


def _reviewed(result: Sequence[Mapping[str, Any]], config: LabelConfig) -> bool | None:
    if config.reviewed_control is None:
        return None
    answers = [
        str(choice).lower()
        for item in result
        if item.get("from_name") == config.reviewed_control and isinstance(item.get("value"), Mapping)
        for choice in _list(item["value"].get("choices"))
    ]
    return REVIEWED in answers if answers else None
