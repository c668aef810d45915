"""How good tracks are: HOTA (Luiten et al., 2021), IDF1, MOTA and identity switches by motrics, and what key frames cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import motrics
import numpy as np
from numpy.typing import NDArray

from benchmarks.objects.scenes import HEIGHT, WIDTH
from ml_backend.objects.boxes import Track, in_pixels, iou
from ml_backend.objects.keyframes import draw, thin


def tracking_scores(truth: Sequence[Track], found: Sequence[Track], frames: int) -> dict[str, Any]:
    """Of a video of so many frames; matches of MOTA and IDF1 have an IoU of at least .5."""
    result = motrics.evaluate(_by_frame(truth, frames), _by_frame(found, frames), box_format="xywh")
    return {
        "hota": result.hota.hota,
        "deta": result.hota.deta,
        "assa": result.hota.assa,
        "idf1": result.identity.idf1,
        "mota": result.clear.mota,
        "id_switches": result.clear.num_switches,
        "tracks": len(found),
    }


def keyframe_costs(tracks: Sequence[Track], last: int) -> dict[str, Any]:
    """Key frames that are written, and how near what Label Studio draws from them is to the boxes in every frame."""
    kept, boxes, overlaps = 0, 0, list[NDArray[np.float64]]()
    for track in tracks:
        keys = thin(track.frames, track.boxes)
        frames, drawn = draw(keys, last)
        if not np.array_equal(frames, track.frames):
            raise AssertionError("key frames draw other frames than the track has")
        kept, boxes = kept + len(keys), boxes + len(track)
        overlaps.append(iou(drawn, track.boxes))
    every = np.concatenate(overlaps) if overlaps else np.empty(0)
    return {
        "keyframes_per_100_frames": 100 * kept / boxes if boxes else None,
        "worst_iou": float(every.min()) if len(every) else None,
        "mean_iou": float(every.mean()) if len(every) else None,
    }


def _by_frame(tracks: Sequence[Track], frames: int) -> motrics.Frames:
    ids: list[list[int]] = [[] for _ in range(frames)]
    boxes: list[list[NDArray[np.float64]]] = [[] for _ in range(frames)]
    for track in tracks:
        for frame, box in zip(track.frames.tolist(), in_pixels(track.boxes, WIDTH, HEIGHT), strict=True):
            ids[frame].append(track.number)
            boxes[frame].append(box)
    return motrics.Frames(ids=ids, boxes=[np.array(each, np.float64).reshape(-1, 4) for each in boxes])
