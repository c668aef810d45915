"""Real clips of the data folder: behaviour tracks as they are, and one camera's video cut into clips of one class."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.behaviour.clips import Filmed, Studio, cut
from benchmarks.behaviour.measure import Asked

_PARTS = 20
# Shorter ones show too little in a twentieth.
_ENOUGH_FRAMES = 700


def real(studio: Studio, data: Path) -> Iterator[Asked]:
    """Every track of every video that there is: asked within the video, and one camera's cut into twenty clips."""
    described = data / "videos" / "labels.json"
    if not described.is_file():
        return
    for video, entry in json.loads(described.read_text()).items():
        path = data / "videos" / video
        for name, track in entry.get("tracks", {}).items():
            if path.is_file() and path.parent.name in ("mice", "horse", "flies"):
                yield _whole(path, name, track)
            if path.is_file() and path.parent.name == "scene":
                yield _parts(studio, path, name, track)


def _truth(track: Mapping[str, Any]) -> tuple[tuple[str, ...], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    segments, tolerance = track["segments"], int(track.get("tol", 0))
    classes = tuple(sorted({label for _, _, label in segments}))
    frames = segments[-1][1]
    truth, scored = np.zeros(frames, np.intp), np.ones(frames, bool)
    for first, stop, label in segments:
        truth[first:stop] = classes.index(label)
        if first:
            scored[max(first - tolerance, 0) : first + tolerance] = False
    return classes, truth, scored


def _whole(path: Path, name: str, track: Mapping[str, Any]) -> Asked:
    classes, truth, scored = _truth(track)
    return Asked(f"{path.stem} {name}", classes, [Filmed(path, truth, scored)], 1)


def _parts(studio: Studio, path: Path, name: str, track: Mapping[str, Any]) -> Asked:
    classes, truth, scored = _truth(track)
    count = _PARTS if len(truth) >= _ENOUGH_FRAMES else _PARTS // 2
    edges = np.linspace(0, len(truth), count + 1).astype(int).tolist()
    bounds = list(itertools.pairwise(edges))
    paths = cut(path, bounds, studio.folder / "cut")
    clips = [Filmed(p, truth[a:b], scored[a:b]) for p, (a, b) in zip(paths, bounds, strict=True)]
    return Asked(f"{name} in {count} clips", classes, clips, count // 2, others=True)
