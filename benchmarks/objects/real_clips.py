"""How well objects of real clips are found: beside boxes that were drawn by hand in a few frames of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ml_backend.objects.boxes import Track, iou_matrix

_HAND = Path(__file__).with_name("hand_boxes.json")
_MATCHES = 0.5


def hand_boxes() -> dict[str, dict[int, list[list[float]]]]:
    """By clip, as its path in the data folder, and frame index: boxes in percent of the picture."""
    read = json.loads(_HAND.read_text(encoding="utf-8"))
    return {clip: {int(at): boxes for at, boxes in frames.items()} for clip, frames in read.items() if clip != "about"}


def beside_hand(drawn: Mapping[int, Sequence[Sequence[float]]], tracks: Sequence[Track]) -> dict[str, Any]:
    """How many of the boxes drawn in the frames were found, and how many found ones were drawn, by an IoU of .5."""
    wanted = found = matched = 0
    overlaps: list[float] = []
    for frame, boxes in drawn.items():
        here = [box for track in tracks if (box := track.box(frame)) is not None]
        wanted, found = wanted + len(boxes), found + len(here)
        if not boxes or not here:
            continue
        overlap = iou_matrix(np.array(boxes) / 100, np.stack(here))
        pairs = overlap[linear_sum_assignment(-overlap)]
        matched += int((pairs >= _MATCHES).sum())
        overlaps += pairs[pairs >= _MATCHES].tolist()
    return {
        "drawn": wanted,
        "recall": matched / wanted if wanted else None,
        "precision": matched / found if found else None,
        "mean_iou": float(np.mean(overlaps)) if overlaps else None,
        "tracks": len(tracks),
    }
