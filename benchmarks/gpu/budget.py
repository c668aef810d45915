"""Each part of the check in a process of its own, and with a time of its own: what fails or takes too long is one line of the report."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import torch

Report = dict[str, Any]

# Torch is imported once, in the process that begins, which never touches the GPU: what was forked of one that has could not use it.
PROCESSES = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Setup:
    """`folder`: where everything is made. `device`: `cpu`, `cuda`, or `auto` for the part that finds out. `seconds`: for the whole
    check, by which it sizes its work.
    `weights`: a folder with state dicts of MobileNetV2, None without one."""

    folder: Path
    device: str
    seconds: float
    weights: Path | None = None

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def cache(self) -> Path:
        """What workers share: weights, converted networks, and the lock of the GPU."""
        return self.folder / "weights"

    def scaled(self, usual: int, least: int) -> int:
        """`usual` on a GPU with the usual time, on a processor a quarter, and less in less time; `least` at least."""
        return min(usual, max(least, round(usual * self.seconds / 480 / (1 if self.on_gpu else 4))))


class Note(Protocol):
    """Puts figures into the report of a part. They stay when the part fails later."""

    def __call__(self, **figures: object) -> None: ...


Work = Callable[[Setup, Note], None]


def measured(work: Work, setup: Setup, seconds: float) -> Report:
    """What `work` notes in at most so many seconds; with an `error`, one line, when it fails or is not done by then.

    All processes that it has started end with it.
    """
    told, tell = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_run, args=(work, setup, tell))
    began = time.monotonic()
    process.start()
    tell.close()
    report: Report = {}
    try:
        while told.poll(max(began + seconds - time.monotonic(), 0)):
            figures = told.recv()
            if figures is None:
                break
            report |= figures
        else:
            report["error"] = f"Not done within {seconds:.0f} s; what is here was measured before."
    except EOFError:
        process.join()
        report["error"] = f"Its process ended with {process.exitcode}."
    finally:
        # There is no such group when all are gone already, or when the process has not begun.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.kill()
        process.join()
    report["seconds"] = round(time.monotonic() - began, 1)
    return report


def _run(work: Work, setup: Setup, tell: Connection) -> None:
    os.setpgid(0, 0)
    if not setup.on_gpu:
        # Threads that wait for one that has no core to itself spin; the decoder needs the others, as in a worker.
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    try:
        work(setup, lambda **figures: tell.send(figures))
    except Exception as error:  # whatever a part raises is one line, and the other parts go on
        tell.send({"error": one_line(error)})
    tell.send(None)


def one_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
