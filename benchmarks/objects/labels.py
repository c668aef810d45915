"""How well the labels of a few tracks lead to those of others: k labeled tracks of each kind, and tracks of videos that taught nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import share, table
from benchmarks.objects.asking import answers_as_text, labels_by_answers
from benchmarks.objects.kinds import DISTINCT, SUBTLE, FilmedKinds, KindSet, film_kinds
from benchmarks.objects.scenes import HEIGHT, WIDTH
from ml_backend.features.backbones import load_backbone
from ml_backend.learning.track_labels import LEAST, NETWORK, Tracks, fit_track_head
from ml_backend.objects.boxes import Track, iou
from ml_backend.objects.descriptions import Embed, describe
from ml_backend.objects.finder import find_tracks, frame_rate
from ml_backend.objects.motion import MotionDetector
from ml_backend.video.timeline import read_timeline

SETS = (DISTINCT, SUBTLE)
EXAMPLES = (1, 3, 10)
VIDEOS = 24
# Each time other videos teach, and other tracks of them.
_DRAWS = 12
_SAME = 0.4

Report = dict[str, Any]


def measure_labels(folder: Path, weights: Path | None, videos: int = VIDEOS) -> Report:
    """By set of kinds, without a network and, given its `weights`, with one; and, as `k1`, `k3`, `k10`, for kinds that are
    distinct, with a network if there is one."""
    embed = load_backbone("mobilenet_v2", str(weights), "cpu", folder).embed if weights is not None else None
    report: Report = {}
    for each in SETS:
        print(f"{each.name} kinds …", flush=True)
        every, truth, seconds = _described(each, folder, videos, embed)
        ways = {
            "without_network": [name for name in every.blocks if name != NETWORK],
            "with_network": list(every.blocks),
        }
        report[each.name] = {
            way: {f"k{k}": _scores(every, blocks, truth, each, k) for k in EXAMPLES}
            for way, blocks in ways.items()
            if way == "without_network" or embed is not None
        } | {
            "seconds_per_track": seconds,
            "by_answers": {
                way: labels_by_answers(
                    Tracks({name: every.blocks[name] for name in blocks}, every.videos),
                    truth,
                    [kind.name for kind in each.kinds],
                )
                for way, blocks in ways.items()
                if way == "without_network" or embed is not None
            },
        }
    best = report[DISTINCT.name]
    return {**(best.get("with_network") or best["without_network"]), "sets": report}


def _described(
    kinds: KindSet, folder: Path, videos: int, embed: Embed | None
) -> tuple[Tracks, NDArray[np.intp], float]:
    """The found tracks of drawn videos, the kind of each, -1 of none, and what describing one took, in seconds."""
    rows, numbers, truth, seconds = [], [], [], []
    names = [kind.name for kind in kinds.kinds]
    for video in range(videos):
        filmed = film_kinds(kinds.kinds, folder / f"{kinds.name}-{video}.mp4", 100 + video)
        timeline = read_timeline(filmed.path)
        for track in find_tracks(filmed.path, timeline, MotionDetector(), pictured=True):
            began = time.perf_counter()
            fps = frame_rate(timeline)
            shape = WIDTH / HEIGHT
            rows.append(
                describe(track.frames, track.boxes, fps, shape, looks=track.looks, crops=track.crops, embed=embed)
            )
            seconds.append(time.perf_counter() - began)
            numbers.append(video)
            kind = _kind(track, filmed)
            truth.append(names.index(kind) if kind is not None else -1)
    return Tracks.of(rows, numbers), np.array(truth, np.intp), mean(seconds)


def _kind(track: Track, filmed: FilmedKinds) -> str | None:
    for each in filmed.truth:
        shared, mine, its = np.intersect1d(track.frames, each.frames, assume_unique=True, return_indices=True)
        if len(shared) and float(iou(track.boxes[mine], each.boxes[its]).mean()) >= _SAME:
            return each.label
    return None


def _scores(every: Tracks, blocks: Sequence[str], truth: NDArray[np.intp], kinds: KindSet, examples: int) -> Report:
    """Of the tracks of the half of the videos that teaches nothing, on average over several draws."""
    names = [kind.name for kind in kinds.kinds]
    seen = Tracks({name: every.blocks[name] for name in blocks}, every.videos)
    rounds: list[dict[str, float]] = []
    for seed in range(_DRAWS):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(every.videos))
        teaching = np.isin(every.videos, order[: len(order) // 2])
        classes = np.full(len(truth), -1, np.intp)
        for kind in range(len(names)):
            classes[rng.permutation(np.flatnonzero((truth == kind) & teaching))[:examples]] = kind
        began = time.perf_counter()
        head = fit_track_head(seen, classes, names)
        took = time.perf_counter() - began
        asked = np.flatnonzero((truth >= 0) & ~teaching)
        p = head.probabilities(seen.at(asked))
        answer, true = p.argmax(axis=1), truth[asked]
        given = p.max(axis=1) > LEAST
        rounds.append(
            {
                "macro_f1": _macro_f1(answer, true, len(names)),
                "sure": float(p.max(axis=1).mean()),
                "right": float((answer == true).mean()),
                "labeled": float(given.mean()),
                "fit_seconds": took,
            }
        )
    averaged = {name: mean(one[name] for one in rounds) for name in rounds[0]}
    return {**averaged, "worst_macro_f1": min(one["macro_f1"] for one in rounds)}


def _macro_f1(answer: NDArray[np.intp], truth: NDArray[np.intp], kinds: int) -> float:
    scores = []
    for kind in range(kinds):
        both = int(((answer == kind) & (truth == kind)).sum())
        scores.append(2 * both / max(int((answer == kind).sum() + (truth == kind).sum()), 1))
    return mean(scores)


def labels_as_text(report: Report) -> str:
    rows = []
    for name, each in report["sets"].items():
        for way in ("with_network", "without_network"):
            for k in EXAMPLES if way in each else ():
                one = each[way][f"k{k}"]
                numbers = (one[column] for column in ("macro_f1", "worst_macro_f1", "right", "sure", "labeled"))
                rows.append([name, "yes" if way == "with_network" else "no", str(k), *map(share, numbers)])
    head = ["kinds", "network", "labeled of each", "macro-F1", "worst draw", "right", "sure", "get a label"]
    answers = answers_as_text({name: each["by_answers"] for name, each in report["sets"].items()})
    return "\n".join([*table(head, rows), "", answers])
