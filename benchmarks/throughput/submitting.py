"""From a submitted annotation to new timelines on ten one-minute videos, in a real Label Studio with a real backend."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.throughput.footage import repeated
from ml_backend.demo.clips import LABELS, Clip, Script, make_clips
from ml_backend.demo.loop import Loop, label_config, upload_tasks
from ml_backend.demo.process import coldblitz
from ml_backend.demo.studio import environment_folder, label_studio

_VIDEOS, _SUBMITTED = 10, 4
_RATE, _SECONDS, _TIMES = 25, 20, 3
_LOOK_EVERY = 0.1
_PATIENCE = 120


def submit_to_timelines(folder: Path, weights: str) -> dict[str, Any]:
    """Seconds from sending an annotation until a model that knows it has predicted all videos and is the one shown.

    Every video is embedded before. `first`: of a project's first annotation, with which a worker loads what training
    needs; the other is the median of some more, in other tasks. Both None where Label Studio is not installed.
    """
    if not (environment_folder() / "bin" / "label-studio").exists():
        return {"submit_to_timelines_seconds": None, "submit_to_timelines_first_seconds": None}
    clips = _minutes(folder)
    settings = {"BACKBONE_WEIGHTS": weights}
    with (
        label_studio() as studio,
        coldblitz(studio.url, studio.token, folder / "backend", settings=settings) as backend,
    ):
        project = studio.create_project("Minutes", label_config(LABELS))
        tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
        studio.connect(project, backend.url)
        loop = Loop(studio, backend, project, tuple(tasks))
        loop.suggestions()
        loop.wait_for("embedding of every video", lambda: backend.idle)
        taken = [_submit(loop, task, clip) for task, clip in zip(tasks[:_SUBMITTED], clips, strict=False)]
    return {
        "submit_to_timelines_seconds": median(taken[1:]),
        "submit_to_timelines_first_seconds": taken[0],
    }


def _submit(loop: Loop, task: int, clip: Clip) -> float:
    loop.wait_for("end of the jobs before", lambda: loop.backend.idle)
    before = loop.shown_version()
    began = time.perf_counter()
    loop.answer(task, clip)
    while (version := loop.shown_version()) == before:
        if time.perf_counter() - began > _PATIENCE:
            raise TimeoutError(f"no new version within {_PATIENCE} s: {loop.backend.jobs()['failed']}")
        time.sleep(_LOOK_EVERY)
    took = time.perf_counter() - began
    # A version is shown only when all have it; if not, the figure means nothing.
    if loop.regions(version) is None:
        raise AssertionError(f"{version} is shown, but not every task has it")
    return took


def _minutes(folder: Path) -> list[Clip]:
    """Each another street and another order of events, a part of it three times in a row."""
    frames = _RATE * _SECONDS
    orders = [("clear", "ball", "car"), ("car", "clear", "ball"), ("ball", "clear", "car")]
    scripts = []
    for number in range(_VIDEOS):
        lengths = (frames // 5, 2 * frames // 5, 2 * frames // 5)
        segments = tuple(zip(orders[number % 3], lengths, strict=True))
        scripts.append(Script(f"part-{number}.mp4", _RATE, segments, seed=number + 1))
    return [
        replace(
            clip,
            path=repeated(clip.path, _TIMES, folder / clip.path.name.replace("part", "minute")),
            labels=clip.labels * _TIMES,
        )
        for clip in make_clips(folder / "parts", scripts)
    ]
