"""One project's way from its first task to its timelines, in a real Label Studio, and what it looks like at the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ml_backend.demo.clips import LABELS, Clip, Script
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_config, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

# Short, so that a run takes seconds; nobody annotates the last one.
SCRIPTS = (
    Script("first.mp4", 25, (("clear", 60), ("ball", 80), ("clear", 40), ("car", 90)), 11),
    Script("second.mp4", 25, (("car", 70), ("clear", 60), ("ball", 90)), 12),
    Script("third.mp4", 30, (("ball", 60), ("car", 80), ("clear", 70)), 13),
)

Shown = tuple[tuple[int, int, str, float], ...]


@dataclass(frozen=True)
class Outcome:
    """What annotators are shown in the end: per task its suggested frames, and its timeline as (first frame, last frame,
    label, score)."""

    suggested: tuple[tuple[int, ...], ...]
    timelines: tuple[Shown, ...]

    def differences(self, other: Outcome) -> int:
        """In how many tasks the two differ. A label's change may lie two frames off: a roll-out looks more closely at each,
        and one that began twice has looked twice. So may a suggestion, which is made of the embeddings when there are some."""
        return sum(
            not _near(*frames) or not _same(*lines)
            for frames, lines in zip(
                zip(self.suggested, other.suggested, strict=True),
                zip(self.timelines, other.timelines, strict=True),
                strict=True,
            )
        )


def _near(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(one) == len(other) and all(abs(ours - theirs) <= 2 for ours, theirs in zip(one, other, strict=True))


def _same(one: Shown, other: Shown) -> bool:
    return [label for _, _, label, _ in one] == [label for _, _, label, _ in other] and all(
        _near(ours[:2], theirs[:2]) and abs(ours[3] - theirs[3]) < 0.05 for ours, theirs in zip(one, other, strict=True)
    )


def connect(studio: Studio, backend: Backend, clips: Sequence[Clip]) -> Loop:
    """A new project with a task per clip, connected to the backend."""
    project = studio.create_project("A street", label_config(LABELS))
    tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
    studio.connect(project, backend.url)
    return Loop(studio, backend, project, tuple(tasks))


def annotate(loop: Loop, clips: Sequence[Clip], *elsewhere: Backend) -> None:
    """Labels the suggested frames of all tasks but the last and submits them, at once as far as training is concerned.
    `elsewhere`: other processes with workers."""
    with ExitStack() as stack:
        for each in (loop.backend, *elsewhere):
            stack.enter_context(paused(each))
        for task, clip in list(zip(loop.tasks, clips, strict=True))[:-1]:
            loop.answer(task, clip)


def outcome(loop: Loop) -> Outcome:
    """Waits until all jobs are done and every task has its suggestions and its timeline."""
    suggested = loop.suggestions()
    _, timelines = loop.timelines()
    return Outcome(
        tuple(tuple(region["value"]["ranges"][0]["start"] for region in suggested[task]) for task in loop.tasks),
        tuple(tuple(sorted(map(_row, timelines[task]))) for task in loop.tasks),
    )


def _row(region: dict[str, Any]) -> tuple[int, int, str, float]:
    [span] = region["value"]["ranges"]
    return span["start"], span["end"], " ".join(region["value"]["timelinelabels"]), float(region["score"])


def versions_shown(loop: Loop) -> dict[int, list[str]]:
    """Per task the model versions of its predictions, suggestions left out."""
    return {
        task: [each["model_version"] for each in loop.studio.predictions(task) if each["model_version"] != SUGGESTIONS]
        for task in loop.tasks
    }


def running(backend: Backend) -> set[str]:
    """The kinds of job that run just now; none while the backend does not answer."""
    with suppress(requests.RequestException):
        return {str(job["kind"]) for job in backend.jobs()["running"]}
    return set()


def processes(backend: Backend, *words: str) -> list[int]:
    """The processes below `coldblitz serve` whose command holds all `words`."""
    return [pid for pid in _below(backend.child.process.pid) if all(word in _command(pid) for word in words)]


def kill(backend: Backend, *words: str) -> int:
    """kill -9 of those processes; returns how many there were."""
    found = processes(backend, *words)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


@contextmanager
def paused(backend: Backend) -> Iterator[None]:
    """The workers stand still for the time of the `with` block."""
    workers = processes(backend, "run-worker")
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _below(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (thread / "children").read_text().split()):
                found += [child, *_below(child)]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
