"""python -m benchmarks.learning [--data DIR] [--json FILE] [--markdown FILE] [--seeds N] [--no-lstm]"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.learning.blitz import blitz
from benchmarks.learning.cold import across, smoothing_ablation, speed, within
from benchmarks.learning.data import read
from benchmarks.learning.effort import effort
from benchmarks.learning.honesty import Honesty
from benchmarks.learning.jumping import jumping
from benchmarks.learning.noise import noise
from benchmarks.learning.table import tables
from benchmarks.measured import add_options, write_into


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-lstm", action="store_true", help="leave out the slow baseline")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(options.data, options.cache or Path(scratch), options.seeds, not options.no_lstm)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    if options.markdown:
        write_into(options.markdown, tables(report))


def measure(folder: Path, cache: Path, seeds: int, with_lstm: bool) -> dict[str, Any]:
    start = time.perf_counter()
    data = read(folder, cache)
    honesty = Honesty()
    videos = {track.video for each in data.tracks.values() for track in each}
    report: dict[str, Any] = {"seeds": seeds, "videos": len(videos)}
    report |= within(data.tracks, seeds, honesty, with_lstm)
    report["cold_across"] = across(data.tracks, seeds, with_lstm)
    found = blitz(data, with_lstm)
    report |= honesty.report()
    report["ece"]["blitz"] = found.pop("ece_blitz")
    report["ece"]["blitz_untempered"] = found.pop("ece_blitz_untempered")
    report |= found
    report |= speed(data.tracks)
    report["smoothing"] = smoothing_ablation(data.tracks, seeds)
    report |= noise(data.tracks, min(seeds, 2))
    report |= effort(data.tracks, seeds)
    report |= jumping(data.tracks, seeds)
    report["seconds"] = time.perf_counter() - start
    return report


def show(report: dict[str, Any]) -> None:
    for name in ("cold_within", "cold_across"):
        print(f"\n{name}: macro-F1")
        print("k        ours  uniform    plain     lstm")
        for count, row in report[name].items():
            figures = [row.get(key) for key in ("macro_f1", "uniform_macro_f1", "plain_macro_f1", "lstm_macro_f1")]
            print(f"{count:4}" + "".join(f"{'-' if value is None else format(value, '.3f'):>9}" for value in figures))
    print("\nblitz: balanced accuracy")
    for task, row in report["blitz"].items():
        print(f"{task:24}" + "  ".join(f"{key} {value:.3f}" for key, value in row.items() if key != "groups"))
    print("\nsmoothing at k10: macro-F1, predicted segments per true one")
    for how, row in report["smoothing"].items():
        print(f"{how:24}{row['macro_f1']:.3f}  {row['segments_ratio']:.2f}")
    print()
    for key, value in report.items():
        if not isinstance(value, dict) or key == "ece":
            print(f"{key}: {value}")


if __name__ == "__main__":
    main()
