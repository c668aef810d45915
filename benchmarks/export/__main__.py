"""python -m benchmarks.export [--data DIR] [--json FILE] [--repeats N]

A full export, a folder per label in a zip, beside the dissertation's loop re-created: OpenCV reads, writes JPEGs, and
`shutil.make_archive` packs them. Then labels alone, and how memory grows with the length of the video.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2

from benchmarks.throughput import footage
from ml_backend.export.choose import Choice, plan
from ml_backend.export.dataset import QUALITY, Source, write_dataset
from ml_backend.export.project import Run, Video
from ml_backend.export.tables import writing
from ml_backend.labelstudio.tasks import Task
from ml_backend.video.timeline import read_timeline

_ENOUGH_FRAMES = 1000
_TABLE_FRAMES = 500_000
_LABELS = ("one", "two")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with videos/")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak", nargs=2, metavar=("VIDEO", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(_peak(Path(options.peak[0]), Path(options.peak[1])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(options.data, Path(scratch), options.repeats)
    for name, value in report.items():
        if name != "clips":
            print(f"{name:<24}{value:>12,.2f}")
    for name, row in report["clips"].items():
        print(name, ", ".join(f"{key} {value:,.2f}" for key, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(data: Path, folder: Path, repeats: int) -> dict[str, Any]:
    minute = footage.encode(footage.street(40 * footage.RATE), folder / "street-720p.mp4")
    clips = {"street-720p": minute}
    for path in sorted((data / "videos" / "scene").glob("*.mp4")):
        frames = len(read_timeline(path))
        clips[path.stem] = footage.repeated(path, -(-_ENOUGH_FRAMES // frames), folder / path.name)
    rows = {}
    for name, path in clips.items():
        rounds = [(_aigva(path, folder), _ours(path, folder)) for _ in range(repeats)]
        rows[name] = {
            "aigva_fps": median(theirs for theirs, _ in rounds),
            "ours_fps": median(ours for _, ours in rounds),
            "ratio": median(ours / theirs for theirs, ours in rounds),
        }
    worst = min(rows.values(), key=lambda row: row["ratio"])
    long = footage.repeated(minute, 6, folder / "long.mp4")
    growth = _fresh_peak(long, folder) - _fresh_peak(minute, folder)
    return {
        **worst,
        "labels_only_fps": min(
            _labels_only(minute, folder / f"labels{suffix}") for suffix in (".json", ".csv", ".parquet")
        ),
        "rss_growth_mib": growth,
        "clips": rows,
    }


def video(path: Path) -> Video:
    """Two labels in turns of fifty frames."""
    timeline = read_timeline(path)
    runs = [
        Run(start, min(start + 50, len(timeline)), _LABELS[start // 50 % 2], 0.9, "model")
        for start in range(0, len(timeline), 50)
    ]
    return Video(Task(1, {}), path.name, path.name, timeline, tuple(runs), "cold-v1", ())


def _aigva(path: Path, folder: Path) -> float:
    """The dissertation's Listings 4.7 and D.3, with the same quality of JPEG as ours."""
    exports = folder / "exports"
    began, done = time.perf_counter(), 0
    for label in _LABELS:
        (exports / label).mkdir(parents=True)
    capture = cv2.VideoCapture(str(path))
    while True:
        there, picture = capture.read()
        if not there:
            break
        name = exports / _LABELS[done // 50 % 2] / f"film_frame{done}.jpg"
        cv2.imwrite(str(name), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        done += 1
    capture.release()
    shutil.make_archive(str(folder / "aigva"), "zip", exports)
    shutil.rmtree(exports)
    took = time.perf_counter() - began
    (folder / "aigva.zip").unlink()
    return done / took


def _ours(path: Path, folder: Path) -> float:
    out = folder / "ours.zip"
    began = time.perf_counter()
    done = _export(path, out)
    took = time.perf_counter() - began
    out.unlink()
    return done / took


def _export(path: Path, out: Path) -> int:
    one, choice = video(path), Choice()
    source = Source(1, "benchmark", "http://localhost", _LABELS)
    card = write_dataset(out, source, [one], plan([one], choice), choice, "imagefolder", lambda _: path)
    return int(card["tasks"][0]["pictures"])


def _labels_only(path: Path, out: Path) -> float:
    one = video(path)
    times = -(-_TABLE_FRAMES // len(one.timeline))
    began = time.perf_counter()
    with writing(out, out.suffix) as write:
        for _ in range(times):
            write(one)
    return times * len(one.timeline) / (time.perf_counter() - began)


def _fresh_peak(path: Path, folder: Path) -> float:
    command: Sequence[str] = [sys.executable, "-m", "benchmarks.export", "--peak", str(path), str(folder / "peak.zip")]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak(path: Path, out: Path) -> float:
    """MiB of memory at the most."""
    import resource

    _export(path, out)
    out.unlink()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
