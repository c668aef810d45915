"""python -m benchmarks.sampling [--data DIR] [--json FILE] [--markdown FILE] [--seeds N] [--only PART ...]

Which frames are worth a person's label, and what it costs to answer about one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.learning.data import Data, read
from benchmarks.measured import add_options, write_into
from benchmarks.sampling.index import index
from benchmarks.sampling.keystrokes import keystrokes
from benchmarks.sampling.second_round import second_round
from benchmarks.sampling.stopping import expected_errors, stopping
from benchmarks.sampling.strategies import STRATEGIES, measure
from benchmarks.sampling.table import Report, tables

# What is measured on the labelled videos, with so many repetitions.
_ON_VIDEOS: dict[str, Callable[[Data, int], object]] = {
    "strategies": lambda data, seeds: measure(data.tracks, STRATEGIES, seeds),
    "second_round": lambda data, seeds: second_round(data.tracks, seeds),
    "expected_errors": lambda data, seeds: expected_errors(data.tracks, seeds),
    "stopping": lambda data, seeds: stopping(data.tracks, seeds),
}
_ON_THEIR_OWN: dict[str, Callable[[], object]] = {"index": index, "keystrokes_per_frame": keystrokes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=[*_ON_VIDEOS, *_ON_THEIR_OWN], help="measure these parts alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measured(options.only, options.data, options.cache or Path(scratch), options.seeds)
    text = tables(report)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    if options.markdown:
        write_into(options.markdown, text)


def measured(only: Sequence[str] | None, folder: Path, cache: Path, seeds: int) -> Report:
    wanted = only or [*_ON_VIDEOS, *_ON_THEIR_OWN]
    report: Report = {"seeds": seeds}
    if _ON_VIDEOS.keys() & set(wanted):
        data = read(folder, cache)
        report["videos"] = len(data.marks)
        report |= {part: of(data, seeds) for part, of in _ON_VIDEOS.items() if part in wanted}
    return report | {part: of() for part, of in _ON_THEIR_OWN.items() if part in wanted}


if __name__ == "__main__":
    main()
