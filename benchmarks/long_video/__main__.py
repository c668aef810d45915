"""python -m benchmarks.long_video [--hours N] [--json FILE] [--markdown FILE]

How much faster several workers embed one long video than one does: measured with a worker on each core, and for four workers the measured
times of the parts replayed through the real queue.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.long_video import work
from benchmarks.long_video.footage import HEIGHT, RATE, WIDTH, long_video
from benchmarks.long_video.simulated import makespan
from benchmarks.measured import when_and_where, write_into
from ml_backend.features.backbones import load_backbone
from ml_backend.features.parts import keep_table, read_table
from ml_backend.queueing.embedded_redis import redis_url, running_redis
from ml_backend.queueing.parts import Subject, queue_parts
from ml_backend.settings import Settings
from ml_backend.video.parts import parts_of

_SIMULATED = (1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed: the video is drawn")
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="put the table between the marks in this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(Path(scratch), options.hours)
    text = table(report)
    print(text)
    if options.markdown:
        write_into(options.markdown, text, "long video")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(scratch: Path, hours: float) -> dict[str, Any]:
    os.environ["COLDBLITZ_BENCHMARK"] = str(scratch)
    work.use_these_jobs()
    long_video(scratch / "long.mp4", hours)
    load_backbone("mobilenet_v2", "none", "cpu", scratch / "weights")
    settings = Settings("http://studio.invalid", "none", data_dir=scratch / "redis")
    cores = sorted(os.sched_getaffinity(0))
    report: dict[str, Any] = {"hours": hours, "cores": len(cores), "measured": {}, "simulated": {}}
    with running_redis(settings):
        redis = Redis.from_url(redis_url(settings))
        for workers in range(1, min(len(cores), 2) + 1):
            report["measured"][workers] = _measured(redis, redis_url(settings), cores[:workers])
        one = report["measured"][1]
        for workers in _SIMULATED:
            redis.flushall()
            _queue(redis, one["parts"])
            report["simulated"][workers] = one["plan"] + makespan(redis, one["part"], one["join"], workers)
        redis.close()
    return report


def _measured(redis: Redis, address: str, cores: list[int]) -> dict[str, Any]:
    """Processor seconds: what was done before the parts, of each part, of joining them, and of the worker that had most to do; and
    seconds of the clock."""
    redis.flushall()
    store, parts = work.stores()
    for path in [*store.root.glob("*.safetensors"), *parts.root.glob("*.safetensors")]:
        path.unlink()
    begun = time.process_time()
    table = read_table(work.folder() / "long.mp4", parts, work.CONTENT)
    keep_table(table, parts, work.CONTENT)
    number = len(parts_of(table, work.PART_SECONDS))
    _queue(redis, number)
    plan = time.process_time() - begun
    start = "from benchmarks.long_video import work; import sys; work.use_these_jobs(); work.work(sys.argv[1], int(sys.argv[2]))"
    processes = [subprocess.Popen([sys.executable, "-c", start, address, str(core)]) for core in cores]
    while int(redis.get("benchmark:ready") or 0) < len(cores):
        time.sleep(0.05)
    clock = time.monotonic()
    redis.set("benchmark:go", 1)
    for process in processes:
        process.wait()
    clock = time.monotonic() - clock
    took = [json.loads(row) for row in redis.lrange(work.TOOK, 0, -1)]
    (join,) = [row["processor"] for row in took if row["what"] == "join"]
    each: dict[int, float] = defaultdict(float)
    for row in took:
        if row["what"] == "part":
            each[row["worker"]] += row["processor"]
    own = [row["processor"] for row in took if row["what"] == "part"]
    assert len(own) == number
    return {
        "parts": number,
        "frames": len(table.timeline),
        "plan": plan,
        "part": own,
        "join": join,
        "longest": plan + max(each.values()) + join,
        "shares": sorted(each.values()),
        "clock": clock,
    }


def _queue(redis: Redis, parts: int) -> None:
    subjects: list[Subject] = [(number,) for number in range(parts)]
    queue_parts(redis, "embed_part", work.PROJECT, subjects, ("embed", (1,)), parts)


def table(report: dict[str, Any]) -> str:
    """As Markdown."""
    one = report["measured"][1]
    rows = []
    for workers, found in report["measured"].items():
        ratio = one["longest"] / found["longest"]
        rows.append(
            f"| {workers} | measured, one worker pinned to each core | {found['longest']:.1f} s | {ratio:.2f} |"
        )
    for workers, seconds in report["simulated"].items():
        ratio = report["simulated"][1] / seconds
        rows.append(f"| {workers} | simulated clock | {seconds:.1f} s | {ratio:.2f} |")
    part = sum(one["part"]) / one["parts"]
    video = f"{report['hours']:g} hours, {one['frames']:,} frames of {WIDTH} x {HEIGHT} at {RATE} a second, {one['parts']} parts"
    costs = (
        f"A part took {part:.2f} s of a processor on average (at most {max(one['part']):.2f} s), reading the time table and "
        f"queueing the parts {one['plan']:.2f} s, joining them {one['join']:.2f} s."
    )
    head = ["| workers | how | processor time until all is stored | times as fast |", "|---|---|---|---|"]
    return "\n".join([f"{when_and_where()}: {video}.", "", *head, *rows, "", costs])


if __name__ == "__main__":
    main()
