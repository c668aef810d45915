"""How busy the GPU is while something runs, as its driver says."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Generator
from contextlib import closing
from statistics import mean
from typing import Any

from benchmarks.gpu.budget import Report

# The share of the last moments in which the GPU was busy, 0..1, and what is used of its memory, in MiB.
Samples = Generator[tuple[float, float], None, None]
_EVERY_MS = 100
_QUESTION = "--query-gpu=utilization.gpu,memory.used"


class Watch:
    """Asks the driver ten times a second, through pynvml where that is installed, else through nvidia-smi.

    Only `with`: afterwards `report` has the share of the time in which the GPU was busy, 0..1, and the most memory that was in use
    on it, by all processes, in MiB; both None, with the reason, where nobody can say. It is the machine's first GPU.
    """

    def __init__(self) -> None:
        self._busy: list[float] = []
        self._used: list[float] = []
        self._done = threading.Event()
        self._source = _source()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        # One that never answers is not waited for.
        self._thread.join(5)

    @property
    def report(self) -> Report:
        if not self._busy:
            why = f"{self._source} said nothing" if self._source else "neither pynvml nor nvidia-smi is there"
            return {"gpu_busy_share": None, "gpu_used_mib": None, "gpu_busy_source": why}
        return {
            "gpu_busy_share": round(mean(self._busy), 3),
            "gpu_used_mib": max(self._used),
            "gpu_busy_source": self._source,
        }

    def _watch(self) -> None:
        if self._source is None:
            return
        # A library of the driver's raises errors of its own; the check goes on without these figures.
        try:
            with closing(_nvml(self._done) if self._source == "pynvml" else _smi(self._done)) as samples:
                for busy, used in samples:
                    self._busy.append(busy)
                    self._used.append(used)
        except Exception as error:
            self._source = f"{self._source} ({type(error).__name__}: {error})"


def _source() -> str | None:
    if importlib.util.find_spec("pynvml") is not None:
        return "pynvml"
    return "nvidia-smi" if shutil.which("nvidia-smi") else None


def _nvml(done: threading.Event) -> Samples:
    nvml: Any = importlib.import_module("pynvml")
    nvml.nvmlInit()
    try:
        gpu = nvml.nvmlDeviceGetHandleByIndex(0)
        while not done.wait(_EVERY_MS / 1000):
            yield nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100, nvml.nvmlDeviceGetMemoryInfo(gpu).used / 2**20
    finally:
        nvml.nvmlShutdown()


def _smi(done: threading.Event) -> Samples:
    command = ["nvidia-smi", "-i", "0", _QUESTION, "--format=csv,noheader,nounits", f"--loop-ms={_EVERY_MS}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            for line in process.stdout or ():
                # The first answer comes when the program has started, and is kept also of what was over sooner.
                busy, used = (float(each) for each in line.split(","))
                yield busy / 100, used
                if done.is_set():
                    break
        finally:
            process.kill()


def held_mib() -> Report:
    """What this process holds on the GPU by torch's count, in MiB; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return {"gpu_allocated_mib": None, "gpu_reserved_mib": None, "gpu_peak_reserved_mib": None}
    mib = 2**20
    return {
        "gpu_allocated_mib": round(torch.cuda.memory_allocated() / mib, 1),
        "gpu_reserved_mib": round(torch.cuda.memory_reserved() / mib, 1),
        "gpu_peak_reserved_mib": round(torch.cuda.max_memory_reserved() / mib, 1),
    }
