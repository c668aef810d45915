"""A simulated annotator who works through Label Studio's API only and sees what a person would see.

Opening a task, a person is shown the suggested frames, presses the digit of the right label on each, and submits.
What is sent is what Label Studio's own editor sends: regions keep their id, get `origin: prediction-changed`, and
name the prediction they began from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.demo.studio import Studio


@dataclass(frozen=True)
class Answered:
    """A submitted annotation and the Label Studio frames that were labelled in it."""

    id: int
    frames: frozenset[int]


def answer_suggestions(studio: Studio, task: int, version: str, label_at: Callable[[int], str]) -> Answered:
    """Opens `task`, gives each one-frame region of its `version` prediction the label of its Label Studio frame, and
    submits.

    Raises LookupError when the task has no such prediction.
    """
    opened = studio.get(f"/api/tasks/{task}")
    found = [prediction for prediction in opened["predictions"] if prediction["model_version"] == version]
    if not found:
        raise LookupError(f"Task {task} has no prediction of version {version}.")
    prediction = found[-1]
    regions = [_answered(region, label_at) for region in prediction["result"] if region["type"] == "timelinelabels"]
    body = {
        "result": regions,
        "parent_prediction": prediction["id"],
        "lead_time": 2.0 * len(regions),
        "was_cancelled": False,
    }
    annotation = studio.post(f"/api/tasks/{task}/annotations/", body)
    frames = {span["start"] for region in regions for span in region["value"]["ranges"]}
    return Answered(int(annotation["id"]), frozenset(frames))


def _answered(region: Mapping[str, Any], label_at: Callable[[int], str]) -> dict[str, Any]:
    [span] = region["value"]["ranges"]
    value = {**region["value"], "timelinelabels": [label_at(int(span["start"]))]}
    kept = {name: region[name] for name in ("id", "from_name", "to_name", "type", "score", "meta") if name in region}
    return {**kept, "value": value, "origin": "prediction-changed"}
