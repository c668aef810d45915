"""kill -9 of the worker at random moments of what it does, and whether annotators are shown the same in the end."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.service.scene import Outcome, annotate, connect, kill, outcome, running, versions_shown
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

# What is killed in the middle, and about how long it takes, in seconds. Each job gives up after its third worker.
MOMENTS = (("embed", 0.8), ("train", 0.6), ("rollout", 0.7))
_LOOK_EVERY = 0.02


@dataclass(frozen=True)
class Killed:
    """`moments`: what the worker was doing when it was killed, "" when it had just ended. `twice`: tasks that were left with
    two predictions of one version."""

    project: int
    moments: tuple[str, ...]
    outcome: Outcome
    twice: int


def undisturbed(studio: Studio, backend: Backend, clips: Sequence[Clip]) -> Outcome:
    loop = connect(studio, backend, clips)
    loop.suggestions()
    annotate(loop, clips)
    return outcome(loop)


def killed(studio: Studio, backend: Backend, clips: Sequence[Clip], kills: int, dice: random.Random) -> Killed:
    """The same with the worker killed at a random moment of at most `kills` of MOMENTS; embeddings are made anew."""
    shutil.rmtree(backend.data / "features", ignore_errors=True)
    loop = connect(studio, backend, clips)
    moments = []
    for number, (kind, seconds) in enumerate(MOMENTS):
        if number == 1:
            loop.suggestions()
            loop.wait_for("embeddings", lambda: backend.idle)
            annotate(loop, clips)
        if number < kills:
            loop.wait_for(f"{kind} to kill", lambda kind=kind: kind in running(backend))  # type: ignore[misc]
            time.sleep(dice.uniform(0, seconds))
            moments.append(" ".join(sorted(running(backend))))
            kill(backend, "run-worker")
    found = outcome(loop)
    return Killed(loop.project, tuple(moments), found, _twice(loop))


def _twice(loop: Loop) -> int:
    return sum(len(names) != len(set(names)) for names in versions_shown(loop).values())
