"""The bound on a worker's memory, in processes of their own: it cannot be taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.queueing.queue import enqueue, listing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel counts this on Linux alone")

ALL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def run(code: str, tmp_path: Path, cgroup: str = "max", gpu: bool = False) -> str:
    """What `code` prints where the container's limit is `cgroup` bytes."""
    (tmp_path / "memory.max").write_text(f"{cgroup}\n")
    prelude = (
        "from pathlib import Path\nfrom ml_backend.queueing import job_limits\n"
        f"job_limits._CGROUP = Path({str(tmp_path / 'memory.max')!r})\n"
        f"job_limits._GPU = Path({str(tmp_path if gpu else tmp_path / 'no')!r})\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + code], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("cgroup", "bound"), [("max", ALL * 3 // 4), ("400000000", 300_000_000), (str(ALL * 10), ALL * 3 // 4)]
)
def test_it_is_three_quarters_of_what_there_is(tmp_path: Path, cgroup: str, bound: int) -> None:
    assert abs(int(run("print(job_limits.limit_memory())", tmp_path, cgroup)) - bound) <= 1


def test_a_bound_that_is_there_already_is_not_raised(tmp_path: Path) -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (10**8, 2 * 10**8)); print(job_limits.limit_memory())"
    assert run(code, tmp_path) == str(10**8)


def test_what_would_fill_the_memory_fails_alone(tmp_path: Path) -> None:
    code = (
        "import numpy as np\njob_limits.limit_memory()\n"
        "try: np.ones(10**9, np.uint8)\n"
        "except MemoryError: print('refused')\n"
        "print(len(np.ones(10**7, np.uint8)))"
    )
    assert run(code, tmp_path, cgroup=str(10**9)).split() == ["refused", str(10**7)]


def test_its_job_fails_at_once_and_says_what_to_do(redis: Redis, work: Callable[..., None]) -> None:
    redis.rpush("do:7.1", "fill the memory")
    enqueue(redis, "suggest", "7.1", 5)
    work()
    [row] = listing(redis)["failed"]
    assert "more memory" in row["reason"]
    assert listing(redis)["queued"] == []


def test_beside_a_gpu_there_is_none(tmp_path: Path) -> None:
    assert run("print(job_limits.limit_memory())", tmp_path, gpu=True) == "None"
