"""Each figure of the report, measured."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.throughput.accuracy import Truth, labelled
from benchmarks.throughput.limits import decode_limit
from benchmarks.throughput.loops import Loop, seek_and_hash
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.embedding import video_features
from ml_backend.features.hashing import video_samples
from ml_backend.features.store import FeatureStore
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.smoothing import runs
from ml_backend.video.timeline import Timeline

Report = dict[str, Any]
_LOOP_FRAMES = 150
_PLAIN_FRAMES = 480
_HOUR_RATE = 25


@dataclass(frozen=True)
class Clip:
    name: str
    path: Path
    height: int
    readable_by_opencv: bool = True


@contextmanager
def _busy(backbone: Backbone) -> Iterator[tuple[Backbone, list[float]]]:
    """The backbone, with the seconds of each of its runs noted."""
    spent: list[float] = []

    def embed(pictures: NDArray[np.uint8]) -> Any:
        began = time.perf_counter()
        try:
            return backbone.embed(pictures)
        finally:
            spent.append(time.perf_counter() - began)

    yield replace(backbone, embed=embed), spent


def speed(clip: Clip, backbone: Backbone, store: FeatureStore, aigva: Loop, plain: Loop, repeats: int) -> Report:
    """Frames a second of everything on one clip, in turn, so that what else the machine does hits all alike."""
    rounds: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rounds.setdefault(name, []).append(value)

    for turn in range(repeats):
        if clip.readable_by_opencv:
            note("aigva_loop_fps", aigva(clip.path, _LOOP_FRAMES))
            note("plain_fps", plain(clip.path, _PLAIN_FRAMES))
        busy = time.process_time()
        note("decode_limit_fps", decode_limit(clip.path))
        theirs, busy = time.process_time() - busy, time.process_time()
        with _busy(backbone) as (watched, spent):
            content = f"{clip.name}-{turn}"
            began = time.perf_counter()
            features = video_features(clip.path, watched, store, content)
            took = time.perf_counter() - began
        ours = time.process_time() - busy
        note("pipeline_fps", len(features) / took)
        note("network_busy", sum(spent) / took)
        note("embedded_fraction", len(features.frames) / len(features))
        began = time.perf_counter()
        video_features(clip.path, backbone, store, content)
        note("warm_fps", len(features) / (time.perf_counter() - began))
        busy = time.process_time()
        note("decode_limit_fps_after", decode_limit(clip.path))
        note("processor_share", (theirs + time.process_time() - busy) / 2 / ours)
    # The limit is measured on both sides of the pipeline and their mean taken.
    after = rounds.pop("decode_limit_fps_after")
    rounds["decode_limit_fps"] = [(a + b) / 2 for a, b in zip(rounds["decode_limit_fps"], after, strict=True)]
    report: Report = {
        "height": clip.height,
        "frames": len(features),
        "aigva_loop_fps": None,
        "plain_fps": None,
        "ratio_vs_aigva": None,
    }
    report |= {name: median(values) for name, values in rounds.items()}
    pairs = zip(rounds["pipeline_fps"], rounds["decode_limit_fps"], strict=True)
    report["fraction_of_decode_limit"] = median(fps / limit for fps, limit in pairs)
    if clip.readable_by_opencv:
        pairs = zip(rounds["pipeline_fps"], rounds["aigva_loop_fps"], strict=True)
        report["ratio_vs_aigva"] = median(ours / theirs for ours, theirs in pairs)
    return report


def peak(video: Path, weights: str, cache: Path) -> Report:
    """Peak memory and frames a second of embedding one video in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.throughput.peak", str(video), weights, str(cache)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: Report = json.loads(done.stdout.strip().splitlines()[-1])
    return report


def suggestion(path: Path, repeats: int, seconds: float = 120) -> tuple[float, float]:
    """How much faster than seeking a hash a second is found, and how many times faster than the video plays."""
    ratios, speeds = [], []
    for _ in range(repeats):
        theirs, covered = seek_and_hash(path, seconds)
        began = time.perf_counter()
        timeline, _ = video_samples(path, 1.0)
        ours = time.perf_counter() - began
        length = float((timeline.pts[-1] - timeline.pts[0]) * timeline.time_base)
        ratios.append((length / ours) / (covered / theirs))
        speeds.append(length / ours)
    return median(ratios), median(speeds)


def retraining(features: VideoFeatures, truth: Truth, folder: Path, backbone: Backbone, repeats: int) -> Report:
    """Seconds to fit the head on 1,000 labelled frames whose embeddings are there, and to predict an hour again: by the clock, and of
    processor time, which a busy machine does not lengthen."""
    frames = np.linspace(0, len(features) - 1, 1000).astype(np.int64)
    video = labelled(features, truth, frames)
    hour = _tiled(features, 3600 * _HOUR_RATE)
    store = FeatureStore(folder / "hour", 10**10)
    store.save("hour", backbone.key, hour)
    head = fit_cold([video], truth.labels, exclusive=True)

    def predict() -> None:
        cached = store.require("hour", backbone.key)
        runs(head.probabilities(cached), truth.labels, True)

    fit, fit_cpu = _seconds(lambda: fit_cold([video], truth.labels, exclusive=True), repeats)
    again, again_cpu = _seconds(predict, repeats)
    return {
        "retrain_seconds_1000_frames": fit,
        "retrain_processor_seconds": fit_cpu,
        "repredict_hour_seconds": again,
        "repredict_processor_seconds": again_cpu,
    }


def _seconds(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    times, processor = [], []
    for _ in range(repeats):
        began, spent = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - began)
        processor.append(time.process_time() - spent)
    return median(times), median(processor)


def _tiled(features: VideoFeatures, frames: int) -> VideoFeatures:
    """The same features again and again, as if the video were `frames` long."""
    times = -(-frames // len(features))
    timeline = Timeline(np.arange(frames, dtype=np.int64), Fraction(1, _HOUR_RATE), Fraction(frames, _HOUR_RATE))
    where = np.concatenate([features.frames + turn * len(features) for turn in range(times)])
    kept = where < frames - 1
    kept[kept.sum()] = True
    return VideoFeatures(
        timeline,
        np.append(where[kept][:-1], frames - 1),
        {name: np.tile(rows, (times, 1))[kept] for name, rows in features.blocks.items()},
        frames,
    )
