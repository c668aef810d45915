"""The machine's clock is set a day ahead, and then behind: nothing waits for the old time, and nothing is forgotten."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Serve
from line import line_to

from benchmarks.service.scene import Outcome, annotate, connect, outcome, running
from ml_backend.demo.clips import Clip
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e
DAY = 24 * 3600


class Clock:
    """The clock on the wall of all processes that are started with its environment, Redis among them."""

    def __init__(self, folder: Path) -> None:
        self._ahead = folder / "ahead"
        self.set(0)
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
        self.environment = {"CLOCK_AHEAD": str(self._ahead), "LD_PRELOAD": str(library)}

    def set(self, seconds: int) -> None:
        """Sets it so many seconds ahead of the true time."""
        # In place: the processes have mapped the file.
        with self._ahead.open("r+b" if self._ahead.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    return Clock(tmp_path)


def test_the_clock_is_set(clock: Clock) -> None:
    """Else the next test would prove nothing."""
    clock.set(7 * DAY)
    command = [sys.executable, "-c", "import time, datetime; print(time.time(), datetime.datetime.now().timestamp())"]
    told = subprocess.check_output(command, env={**os.environ, **clock.environment}, text=True)
    assert all(float(seconds) - time.time() > 6 * DAY for seconds in told.split())


def test_a_clock_that_jumps_stops_nothing(
    clock: Clock, studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, tmp_path: Path
) -> None:
    with line_to(studio.url) as line, serve(tmp_path / "data", line.url, **clock.environment) as backend:
        loop = connect(studio, backend, clips)
        loop.suggestions()
        annotate(loop, clips)
        loop.wait_for("training", lambda: "train" in running(backend))
        clock.set(DAY)
        found = outcome(loop)
        before = loop.shown_version()

        line.cut()
        loop.answer(loop.tasks[-1], clips[-1])
        loop.wait_for("next try of the training", lambda: any(job["reason"] for job in backend.jobs()["queued"]))
        clock.set(-DAY)
        line.mend()
        loop.timelines(newer_than=before)
        failed = backend.jobs()["failed"]
    assert found.differences(calm) == 0
    assert failed == []
