"""python -m benchmarks.learning.slips [--data DIR] [--json FILE] [--cache DIR] [--seeds N] [--only NAME ...]

Labels that are wrong as people err: a short segment overlooked, a boundary 0.3 to 1 s off, the wrong label on one segment. Of each
project, the videos of one track or one drawn situation, up to four are put in; how many are among the first ten suspects, and which
share of as many suspects as there are mistakes is one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.behaviour.clips import Studio
from benchmarks.behaviour.kinds import ASIDE, SITUATIONS
from benchmarks.learning.data import Track, read
from benchmarks.measured import add_options
from ml_backend.learning.run_predictions import held_out
from ml_backend.learning.suspects import Suspect, suspects

Kind = Literal["overlooked", "boundary", "wrong"]

KINDS: tuple[Kind, ...] = ("overlooked", "boundary", "wrong")
_MOST, _LISTED = 4, 10
_SECONDS = (0.3, 1.0)
# What is listed must be about the same frames: this much of what both hold, they share.
_SHARED = 0.25
# Of a project with fewer segments one in five is no mistake any more.
_SEGMENTS = 5


@dataclass(frozen=True)
class Mistake:
    video: int
    first: int
    last: int

    def is_meant(self, suspect: Suspect) -> bool:
        shared = min(self.last, suspect.last) - max(self.first, suspect.first) + 1
        both = max(self.last, suspect.last) - min(self.first, suspect.first) + 1
        return suspect.task == self.video and shared / both >= _SHARED


def segments(truth: NDArray[np.intp]) -> list[tuple[int, int]]:
    """First frame of each run of a class, and the one after its last."""
    edges = [0, *(np.flatnonzero(np.diff(truth)) + 1).tolist(), len(truth)]
    return list(itertools.pairwise(edges))


def mistaken(tracks: Sequence[Track], kind: Kind, seed: int) -> tuple[list[Track], list[Mistake]]:
    """The tracks as somebody labels them who errs like this now and then, and where they did."""
    rng = np.random.default_rng(seed)
    said = [track.truth.copy() for track in tracks]
    every = [(v, i, a, b) for v, track in enumerate(tracks) for i, (a, b) in enumerate(segments(track.truth))]
    most = max(1, min(_MOST, len(every) // _SEGMENTS))
    short = float(np.median([b - a for *_, a, b in every]))
    made: list[Mistake] = []
    touched: set[tuple[int, int]] = set()
    for at in rng.permutation(len(every)).tolist():
        v, i, a, b = every[at]
        if len(made) == most or any((v, i + step) in touched for step in (-1, 0, 1)):
            continue
        truth = tracks[v].truth
        if kind == "wrong":
            said[v][a:b] = (truth[a] + rng.integers(1, len(tracks[v].classes))) % len(tracks[v].classes)
            first, stop = a, b
        elif i == 0 or (kind == "overlooked" and b - a > short):
            continue
        elif kind == "overlooked":
            said[v][a:b] = truth[a - 1]
            first, stop = a, b
        else:
            late = bool(rng.integers(2))
            room = b - a if late else a - segments(truth)[i - 1][0]
            timeline = tracks[v].features.timeline
            off = min(round(rng.uniform(*_SECONDS) * len(timeline) / float(timeline.duration)), room // 2)
            if off < 3:
                continue
            first, stop = (a, a + off) if late else (a - off, a)
            said[v][first:stop] = truth[a - 1] if late else truth[a]
        made.append(Mistake(v, first, stop - 1))
        touched.add((v, i))
    return [replace(track, truth=own) for track, own in zip(tracks, said, strict=True)], made


def slips(projects: Mapping[str, Sequence[Track]], seeds: int) -> dict[str, dict[str, Any]]:
    """By project and kind of mistake: how many there were, how many were found, and the precision."""
    report: dict[str, dict[str, Any]] = {}
    for name, tracks in projects.items():
        report[name] = {kind: _found(tracks, kind, seeds) for kind in KINDS}
        told = "  ".join(f"{kind} {row['found']}/{row['made']}" for kind, row in report[name].items())
        print(f"{name:24}{told}", flush=True)
    return report


def total(report: Mapping[str, Mapping[str, Any]], kind: str) -> dict[str, float | None]:
    """Recall and precision over all projects."""
    made, found, right = (sum(row[kind][key] for row in report.values()) for key in ("made", "found", "right"))
    return {"recall": found / made if made else None, "precision": right / made if made else None}


def _found(tracks: Sequence[Track], kind: Kind, seeds: int) -> dict[str, int]:
    counts = {"made": 0, "found": 0, "right": 0}
    for seed in range(seeds):
        said, made = mistaken(tracks, kind, seed)
        if not made:
            continue
        videos = [replace(track.labelled(), task=v) for v, track in enumerate(said)]
        classes = tracks[0].classes
        listed = suspects(held_out(videos, classes, exclusive=True), classes, exclusive=True)
        counts["made"] += len(made)
        counts["found"] += sum(any(one.is_meant(each) for each in listed[:_LISTED]) for one in made)
        counts["right"] += sum(any(one.is_meant(each) for one in made) for each in listed[: len(made)])
    return counts


def _projects(data: Path, cache: Path, only: Sequence[str] | None) -> Iterator[tuple[str, list[Track]]]:
    studio = Studio(cache, data / "weights")
    for each in (*SITUATIONS, *ASIDE):
        if each.exclusive and each.asked == "within" and "nothing" not in each.name and (not only or each.name in only):
            clips = studio.film(each, seed=0)
            yield each.name, [studio.track(each.name, each.classes, clip) for clip in clips]
    if (data / "videos" / "labels.json").is_file():
        yield from ((name, own) for name, own in read(data, cache).tracks.items() if not only or name in only)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of situations and tracks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        report = slips(dict(_projects(options.data, options.cache or Path(scratch), options.only)), options.seeds)
    for kind in KINDS:
        print(kind, total(report, kind))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
