"""How well a detector finds what it has learned from a few boxed videos, where motion fails by nature: animals that never move, and a
camera that pans."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measured import share, table
from benchmarks.objects.scenes import Filmed, Scene, film
from ml_backend.features.detection import on_device
from ml_backend.features.trainable_detection import built_from, small
from ml_backend.learning.average_precision import Boxed, average_precision
from ml_backend.learning.boxed_pictures import BoxedPicture
from ml_backend.learning.detector_training import Budget, train_detector
from ml_backend.objects.boxes import Track
from ml_backend.objects.detector import Detector
from ml_backend.objects.finder import Scaled, find_tracks
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.network_detector import NetworkDetector
from ml_backend.objects.tracking_scores import hota
from ml_backend.video.demux import demux
from ml_backend.video.timeline import read_timeline
from ml_backend.video.whole_frames import decode_exactly

Report = dict[str, Any]
KINDS = (
    Scene("never_moves", 2, seconds=6, still=True, seed=300),
    Scene("pans", 2, seconds=6, pan=60.0, seed=400),
)
_TAUGHT, _HELD, _FRAMES, _SIDE, _EVERY = 3, 1, 12, 320, 5


def measure_detector(folder: Path, weights: Path | None, budget: Budget | None = None) -> dict[str, Report]:
    """By kind of scene. `weights`: of MobileNetV2, on which the small detector stands; None begins from nothing."""
    found: dict[str, Report] = {}
    for kind in KINDS:
        print(f"{kind.name} …", flush=True)
        filmed = [
            film(replace(kind, name=f"{kind.name}-{at}", seed=kind.seed + at), folder)
            for at in range(_TAUGHT + 1 + _HELD)
        ]
        taught, judged, held = filmed[:_TAUGHT], filmed[_TAUGHT], filmed[_TAUGHT + 1 :]
        start = small(("animal",), _SIDE, weights)
        began, worked = time.perf_counter(), time.process_time()
        pictures = [each for one in taught for each in boxed_pictures(one, _FRAMES)]
        tuned = train_detector(start, pictures, boxed_pictures(judged, _FRAMES // 2), budget or Budget())
        seconds, core = time.perf_counter() - began, time.process_time() - worked
        built = built_from(start.base, ("animal",), _SIDE, tuned.threshold, tuned.weights)
        network = NetworkDetector(on_device(built, "cpu", None))
        found[kind.name] = {
            "trained": _scores(held, network),
            "motion": _scores(held, MotionDetector()),
            "boxes": sum(len(each.boxes) for each in pictures),
            "videos": _TAUGHT,
            "epochs": len(tuned.curve),
            "seconds": seconds,
            "core_seconds": core,
            "started": start.started,
        }
    return found


def boxed_pictures(filmed: Filmed, number: int) -> list[BoxedPicture]:
    """So many frames from all over a video, with its true boxes."""
    timeline, read, scale = read_timeline(filmed.path), demux(filmed.path), Scaled(_SIDE)
    frames = np.linspace(0, filmed.frames - 1, number).round().astype(int).tolist()
    keys = np.sort(read.packets.pts[read.packets.key])
    found = []
    for index, coded in decode_exactly(filmed.path, timeline, frames, keys):
        boxes = _corners(filmed.truth, int(index))
        found.append(BoxedPicture.of(scale(coded.frame), boxes, np.ones(len(boxes), np.int64), filmed.scene.seed))
    return found


def _scores(held: Sequence[Filmed], detector: Detector) -> dict[str, float]:
    found, true, followed = list[Boxed](), list[Boxed](), list[float]()
    for filmed in held:
        tracks = find_tracks(filmed.path, read_timeline(filmed.path), detector)
        followed.append(hota(filmed.truth, tracks, filmed.frames))
        for frame in range(0, filmed.frames, _EVERY):
            boxes, real = _corners(tracks, frame), _corners(filmed.truth, frame)
            scores = np.array([each.score for each in tracks if each.box(frame) is not None])
            found.append(Boxed(boxes, np.ones(len(boxes), np.int64), scores))
            true.append(Boxed.true(real, np.ones(len(real), np.int64)))
    coarse, every = average_precision(found, true, (0.5,)), average_precision(found, true)
    return {"ap50": coarse or 0.0, "ap": every or 0.0, "hota": float(np.mean(followed))}


def _corners(tracks: Sequence[Track], frame: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = [box for each in tracks if (box := each.box(frame)) is not None]
    boxes = np.array(rows, np.float64).reshape(-1, 4)
    return np.asarray(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1), np.float64)


def detector_as_text(report: dict[str, Report]) -> str:
    rows = [
        [name, who, *(share(row[who][key]) for key in ("ap50", "ap", "hota"))]
        for name, row in report.items()
        for who in ("motion", "trained")
    ]
    told = [
        f"{name}: {row['boxes']} boxes of {row['videos']} videos, {row['epochs']} epochs in {row['seconds']:.0f} s "
        f"({row['core_seconds']:.0f} s of one core), begun from {row['started']}."
        for name, row in report.items()
    ]
    return "\n".join([*table(["scene", "detector", "AP50", "mean AP", "HOTA"], rows), "", *told])
