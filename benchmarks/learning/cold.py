"""Cold: the other frames of a video with k labelled frames, and videos without any label."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.baselines import lstm, plain
from benchmarks.learning.data import Track, answers, f1
from benchmarks.learning.honesty import Honesty
from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.families import scene_rows
from ml_backend.learning.refinement import refined_probabilities
from ml_backend.learning.smoothing import runs, smooth
from sampling.telling import telling

COUNTS = (5, 10, 20, 50)
# The network is slow to train: it is measured with one seed, on at most this many videos of a track.
_LSTM_VIDEOS = 2


def suggested(track: Track, count: int, seed: int) -> NDArray[np.int64]:
    return telling(scene_rows(track.features), count, frames=track.features.frames)


def uniform(track: Track, count: int, seed: int, seeds: int) -> NDArray[np.int64]:
    """Evenly spread frames, the first at another share of the step for every seed."""
    frames = len(track.truth)
    at = (np.arange(count) + (seed + 0.5) / seeds) * frames / count
    chosen: NDArray[np.int64] = np.unique(at.astype(np.int64).clip(0, frames - 1))
    return chosen


def ours(taught: Sequence[tuple[Track, NDArray[np.int64]]], asked: Track, known: bool) -> NDArray[np.float32]:
    """(n, L) probabilities; certain of the only class that was seen while there is only one.

    As in the product, answered frames are embedded, and in the video they belong to the frames around predicted changes.
    """
    answered = [(track.with_frames(frames), frames) for track, frames in taught]
    videos = [track.labelled(frames) for track, frames in answered]
    try:
        head = fit_cold(videos, asked.classes, exclusive=True)
    except NotEnoughLabels:
        only = taught[0][0].truth[taught[0][1][0]]
        return np.tile(np.eye(len(asked.classes), dtype=np.float32)[only], (len(asked.truth), 1))
    own = next((video.labels for video, (track, _) in zip(videos, taught, strict=True) if track is asked), None)
    if not known or own is None:
        return head.probabilities(asked.features)
    pairs = zip(answered, taught, strict=True)
    features = next(embedded.features for (embedded, _), (given, _) in pairs if given is asked)
    return refined_probabilities(head, features, own, asked.source.with_frames)


def within(tracks: dict[str, list[Track]], seeds: int, honesty: Honesty, with_lstm: bool) -> dict[str, Any]:
    """`cold` and `cold_within` of the report: each video by itself, scored on the frames that were not labelled."""
    report: dict[str, Any] = {"cold": {}, "cold_within": {}}
    for name, videos in tracks.items():
        report["cold"][name] = {}
        for count in COUNTS:
            found: dict[str, dict[str, list[float]]] = {s: defaultdict(list) for s in ("ours", "uniform")}
            for place, track in enumerate(track for track in videos if len(track.truth) >= 2 * count):
                for seed in range(seeds):
                    for how, scores in found.items():
                        frames = suggested(track, count, seed) if how == "ours" else uniform(track, count, seed, seeds)
                        rest = track.scored.copy()
                        rest[frames] = False
                        if not rest.any():
                            continue
                        probabilities = ours([(track, frames)], track, known=True)
                        scores["macro_f1"].append(f1(track.truth, answers(probabilities), rest))
                        scores["class_recall"].append(len(np.unique(track.truth[frames])) / len(np.unique(track.truth)))
                        said = plain([(track, frames)], [track])[0]
                        scores["plain_macro_f1"].append(f1(track.truth, said, rest))
                        if with_lstm and seed == 0 and place < _LSTM_VIDEOS:
                            said = lstm([(track, frames)], [track])[0]
                            scores["lstm_macro_f1"].append(f1(track.truth, said, rest))
                        if how == "ours":
                            honesty.add(name, count, seed, probabilities, track.truth, rest)
            if found["ours"]["macro_f1"]:
                report["cold"][name][f"k{count}"] = {
                    how: {key: float(np.mean(values)) for key, values in scores.items()}
                    for how, scores in found.items()
                }
    for count in COUNTS:
        rows = [track[f"k{count}"] for track in report["cold"].values() if f"k{count}" in track]
        if rows:
            report["cold_within"][f"k{count}"] = _means(rows)
    return report


def speed(tracks: dict[str, list[Track]]) -> dict[str, float]:
    """Seconds on the longest video: to fit on 10 labelled frames, on up to 1,000, and to predict every frame."""
    longest = max((track for videos in tracks.values() for track in videos), key=lambda track: len(track.truth))
    every = longest.with_frames(np.arange(len(longest.truth)))
    report = {}
    for name, track, frames in (
        ("train_seconds", longest, suggested(longest, 10, 0)),
        ("train_seconds_1000_frames", every, uniform(every, min(1000, len(every.truth)), 0, 1)),
    ):
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            head = fit_cold([track.labelled(frames)], track.classes, exclusive=True)
            taken.append(time.perf_counter() - start)
        report[name] = float(np.median(taken))
    start = time.perf_counter()
    head.probabilities(longest.features, longest.known(suggested(longest, 10, 0)))
    report["predict_seconds"] = time.perf_counter() - start
    return report


def smoothing_ablation(tracks: dict[str, list[Track]], seeds: int, count: int = 10) -> dict[str, dict[str, float]]:
    """Macro-F1 and predicted segments per true one with 10 labelled frames, by what is done with neighbours."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for videos in tracks.values():
        for track in videos:
            for seed in range(seeds):
                frames = suggested(track, count, seed)
                rest = track.scored.copy()
                rest[frames] = False
                if len(np.unique(track.truth[frames])) < 2 or not rest.any():
                    continue
                own = track.labelled(frames)
                head = fit_cold([own], track.classes, exclusive=True)
                raw = head.probabilities(track.features, own.labels, smoothed=False)
                variants = {
                    "none": answers(raw),
                    "forward_backward": answers(smooth(raw, True, own.labels, head.switch)),
                    "min_frames_10": _shown(raw, track.classes, 10),
                }
                for name, answer in variants.items():
                    found[name]["macro_f1"].append(f1(track.truth, answer, rest))
                    found[name]["segments_ratio"].append(_changes(answer) / _changes(track.truth))
    return {name: {key: float(np.mean(values)) for key, values in row.items()} for name, row in found.items()}


def _shown(probabilities: NDArray[np.float32], classes: tuple[str, ...], min_frames: int) -> NDArray[np.intp]:
    answer = np.full(len(probabilities), len(classes), np.intp)
    for region in runs(probabilities, classes, True, min_frames=min_frames):
        answer[region.first : region.last + 1] = classes.index(region.label)
    return answer


def _changes(classes: NDArray[np.intp]) -> int:
    return int((np.diff(classes) != 0).sum()) + 1


def across(tracks: dict[str, list[Track]], seeds: int, with_lstm: bool) -> dict[str, Any]:
    """`cold_across` of the report: each video in turn has no label, every other of its track has k labelled frames."""
    report: dict[str, Any] = {}
    for count in COUNTS:
        rows = []
        for videos in tracks.values():
            usable = [track for track in videos if len(track.truth) >= 2 * count]
            if len(usable) < 2:
                continue
            found: dict[str, dict[str, list[float]]] = {s: defaultdict(list) for s in ("ours", "uniform")}
            for seed in range(seeds):
                for how, scores in found.items():
                    chosen = [
                        (track, suggested(track, count, seed) if how == "ours" else uniform(track, count, seed, seeds))
                        for track in usable
                    ]
                    for place, (asked, _) in enumerate(chosen):
                        taught = [pair for pair in chosen if pair[0] is not asked]
                        answer = answers(ours(taught, asked, known=False))
                        scores["macro_f1"].append(f1(asked.truth, answer, asked.scored))
                        said = plain(taught, [asked])[0]
                        scores["plain_macro_f1"].append(f1(asked.truth, said, asked.scored))
                        if with_lstm and seed == 0 and place < _LSTM_VIDEOS and how == "ours":
                            said = lstm(taught, [asked])[0]
                            scores["lstm_macro_f1"].append(f1(asked.truth, said, asked.scored))
            rows.append({how: {key: float(np.mean(v)) for key, v in scores.items()} for how, scores in found.items()})
        if rows:
            report[f"k{count}"] = _means(rows)
    return report


def _means(rows: Sequence[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Over tracks; the first figures are with our suggestions."""
    keys = {key for row in rows for key in row["ours"]}
    table = {key: float(np.mean([row["ours"][key] for row in rows if key in row["ours"]])) for key in sorted(keys)}
    table["uniform_macro_f1"] = float(np.mean([row["uniform"]["macro_f1"] for row in rows]))
    if "class_recall" in rows[0]["uniform"]:
        table["uniform_class_recall"] = float(np.mean([row["uniform"]["class_recall"] for row in rows]))
    return table
