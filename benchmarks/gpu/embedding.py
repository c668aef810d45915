"""Videos become features: how fast, beside decoding alone, what stays on the GPU, and how two workers share it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.budget import PROCESSES, Note, Setup, one_line
from benchmarks.gpu.material import MOBILENET, backbone_of, clip_of, noise, shorts_of
from benchmarks.gpu.watch import Watch, held_mib
from benchmarks.throughput.limits import decode_limit, inference_limit
from ml_backend.features.backbones import Backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.store import FeatureStore

_STORE_BYTES = 10**10


def embedding_of(name: str) -> Callable[[Setup, Note], None]:
    """The part of the check that embeds the clip and the short ones with this network."""
    return _Embedding(name)


class _Embedding:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, setup: Setup, note: Note) -> None:
        began = time.perf_counter()
        backbone = backbone_of(self.name, setup)
        note(key=backbone.key, load_seconds=round(time.perf_counter() - began, 1))
        began = time.perf_counter()
        backbone.embed(noise(1, backbone.view.side))
        note(first_batch_seconds=round(time.perf_counter() - began, 2), batch=backbone.batch)
        note(network_pictures_per_second=round(inference_limit(backbone)))
        with Watch() as before:
            time.sleep(0.5)
        note(idle=held_mib() | before.report)
        store = FeatureStore(setup.folder / f"features-{os.getpid()}", _STORE_BYTES)
        _clip(setup, backbone, store, note)
        _shorts(setup, backbone, store, note)


def _clip(setup: Setup, backbone: Backbone, store: FeatureStore, note: Note) -> None:
    path = clip_of(setup)
    watched, spent = _timed(backbone)
    before = decode_limit(path)
    with Watch() as watch:
        began = time.perf_counter()
        features = video_features(path, watched, store, "clip")
        took = time.perf_counter() - began
    # Measured on both sides of the pipeline, since what else the machine does hits all alike.
    limit = (before + decode_limit(path)) / 2
    fps = len(features) / took
    note(
        clip_frames_per_second=round(fps, 1),
        clip_decode_limit=round(limit, 1),
        clip_share_of_decode_limit=round(fps / limit, 3),
        clip_embedded_share=round(len(features.frames) / len(features), 3),
        clip_network_busy_share=round(sum(spent) / took, 3),
        clip_gpu=watch.report,
        after=held_mib(),
    )


def _shorts(setup: Setup, backbone: Backbone, store: FeatureStore, note: Note) -> None:
    frames, took, limits = 0, 0.0, 0.0
    for path in shorts_of(setup):
        began = time.perf_counter()
        here = len(video_features(path, backbone, store, path.name))
        took += time.perf_counter() - began
        limits += here / decode_limit(path)
        frames += here
        note(
            short_clips=len(shorts_of(setup)),
            short_frames_done=frames,
            short_frames_per_second=round(frames / took, 1),
            short_share_of_decode_limit=round(limits / took, 3),
        )


def _timed(backbone: Backbone) -> tuple[Backbone, list[float]]:
    """The backbone, with the seconds of each of its runs noted."""
    spent: list[float] = []

    def embed(pictures: NDArray[np.uint8]) -> Any:
        began = time.perf_counter()
        try:
            return backbone.embed(pictures)
        finally:
            spent.append(time.perf_counter() - began)

    return replace(backbone, embed=embed), spent


def workers(setup: Setup, note: Note) -> None:
    """One worker, then two, each with a clip of its own; beside them as many processes that only decode."""
    # What is converted once is not measured.
    _together(setup, 1, _convert, None)
    for what, act in (("decoding", _decode), ("embedding", _embed)):
        one = _together(setup, 1, act, note if what == "embedding" else None)
        note(**{f"{what}_one": round(one, 1)})
        two = _together(setup, 2, act, note if what == "embedding" else None)
        note(**{f"{what}_two": round(two, 1), f"{what}_two_by_one": round(two / one, 2)})


Act = Callable[[Path, int], int]
# Makes ready what an act needs, before the time begins.
Prepare = Callable[[Setup, int], Act]


def _convert(setup: Setup, number: int) -> Act:
    backbone_of(MOBILENET, setup)
    return lambda path, turn: 1


def _decode(setup: Setup, number: int) -> Act:
    def act(path: Path, turn: int) -> int:
        began = time.perf_counter()
        limit = decode_limit(path)
        return round(limit * (time.perf_counter() - began))

    return act


def _embed(setup: Setup, number: int) -> Act:
    backbone = backbone_of(MOBILENET, setup)
    backbone.embed(noise(1, backbone.view.side))
    store = FeatureStore(setup.folder / f"features-{os.getpid()}", _STORE_BYTES)
    return lambda path, turn: len(video_features(path, backbone, store, f"{number}-{turn}"))


def _together(setup: Setup, count: int, prepare: Prepare, note: Note | None) -> float:
    """Frames a second of so many processes that begin at once. `note` is told what they hold on the GPU when they are done."""
    started = []
    for number in range(count):
        ours, theirs = PROCESSES.Pipe()
        process = PROCESSES.Process(target=_worker, args=(setup, number, prepare, theirs, os.getpgid(0)))
        process.start()
        theirs.close()
        started.append((process, ours))
    for _, pipe in started:
        if said := pipe.recv():
            raise RuntimeError(said)
    with Watch() as watch:
        for _, pipe in started:
            pipe.send(None)
        done = [pipe.recv() for _, pipe in started]
    with Watch() as idle:
        time.sleep(0.5)
    for process, pipe in started:
        pipe.send(None)
        process.join()
    if note is not None:
        held = [each["held"] for each in done]
        note(**{f"workers_{count}": {"working": watch.report, "idle": idle.report, "held_by_each_when_idle": held}})
    seconds = max(each["ended"] for each in done) - min(each["began"] for each in done)
    return float(sum(each["frames"] for each in done) / seconds)


def _worker(setup: Setup, number: int, prepare: Prepare, pipe: Connection, group: int) -> None:
    os.setpgid(0, group)  # ended with the part that has started it
    try:
        act = prepare(setup, number)
    except Exception as error:  # is told to the part, which fails with it
        pipe.send(one_line(error))
        return
    pipe.send(None)
    pipe.recv()
    began = time.monotonic()
    frames = act(clip_of(setup), 0)
    pipe.send({"frames": frames, "began": began, "ended": time.monotonic(), "held": held_mib()})
    pipe.recv()
