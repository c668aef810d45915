"""python -m benchmarks.behaviour [--data DIR] [--json FILE] [--markdown FILE] [--cache DIR] [--seeds N] [--only NAME ...]
[--resolution SIDE] [--roi X,Y,WIDTH,HEIGHT] [--no-lstm] [--efficiency] [--clips N]"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.behaviour.clips import Studio
from benchmarks.behaviour.efficiency import WAYS, efficiency
from benchmarks.behaviour.kinds import ASIDE, PENNED, SITUATIONS, Situation
from benchmarks.behaviour.measure import WITHIN, Asked, measure
from benchmarks.behaviour.real import real
from benchmarks.behaviour.table import efficiency_tables, tables
from benchmarks.measured import add_options, write_into
from ml_backend.roi import RegionOfInterest
from ml_backend.video.view import PICTURE, WHOLE, View


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of situations")
    parser.add_argument("--resolution", type=int, default=PICTURE, help="side of what the backbone sees, in pixels")
    parser.add_argument("--roi", type=RegionOfInterest.parse, help="of every clip, in percent: x,y,width,height")
    parser.add_argument("--no-lstm", action="store_true", help="leave out the network, which is slow to train")
    parser.add_argument(
        "--efficiency", action="store_true", help="measure fractions of full supervision by labeled frames instead"
    )
    parser.add_argument("--clips", type=int, default=WITHIN, help="of each situation, with --efficiency")
    options = parser.parse_args()
    view = View(options.resolution).at(options.roi)
    # As many threads as a worker of `serve` has.
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        cache = options.cache or Path(scratch)
        if options.efficiency:
            report = run_efficiency(options.data, cache, options.seeds, options.only, view, options.clips)
        else:
            report = run(options.data, cache, options.seeds, options.only, view, not options.no_lstm)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    if options.markdown and options.efficiency:
        write_into(options.markdown, efficiency_tables(report), "efficiency")
    elif options.markdown:
        write_into(options.markdown, tables(report))


def run(
    data: Path, cache: Path, seeds: int, only: Sequence[str] | None, view: View = WHOLE, with_lstm: bool = True
) -> dict[str, Any]:
    studio = Studio(cache, data / "weights", view)
    report: dict[str, Any] = {"seeds": seeds, "view": view.key, **{part: {} for part in _PARTS}}
    for part, asked in _asked(studio, data, only):
        found = measure(studio, asked, seeds, with_lstm=with_lstm)
        report[part][asked.name] = {**found, "videos": len(asked.clips)}
        figures = "  ".join(f"{key} {found[key]:.3f}" for key in _SHOWN if key in found)
        print(f"{asked.name:18}{figures}", flush=True)
    for part in _PARTS:
        report |= {
            f"{key}{'' if part == 'situations' else f'_{part}'}": value for key, value in worst(report[part]).items()
        }
    print({key: value for key, value in report.items() if key.startswith("worst")})
    return report


def run_efficiency(
    data: Path, cache: Path, seeds: int, only: Sequence[str] | None, view: View = WHOLE, clips: int = WITHIN
) -> dict[str, Any]:
    """Of every situation that is asked about within its clips."""
    studio = Studio(cache, data / "weights", view)
    curves: dict[str, Any] = {}
    for _, asked in _asked(studio, data, only):
        if asked.others:
            continue
        found = curves[asked.name] = efficiency(studio, asked, seeds, clips)
        figures = "  ".join(f"{way} {found[way]['share_for_95'] or float('nan'):.3f}" for way in WAYS)
        print(f"{asked.name:18}full {found['full']:.3f}  share for 95 %: {figures}", flush=True)
    return {"seeds": seeds, "clips": clips, "view": view.key, "efficiency": curves}


_PARTS = ("situations", "penned", "aside", "real")
_SHOWN = (
    *("cold_k10", "even_k10", "plain_k10", "flow_k10", "lstm_k10", "cold_k20", "plain_k20", "flow_k20", "lstm_k20"),
    *("ece_k10", "ece_k50", "blitz", "plain_blitz", "flow_blitz", "lstm_blitz", "ece_blitz"),
)


def _asked(studio: Studio, data: Path, only: Sequence[str] | None) -> Iterator[tuple[str, Asked]]:
    for part, situations in (("situations", SITUATIONS), ("penned", PENNED), ("aside", ASIDE)):
        for situation in situations:
            if not only or situation.name in only:
                yield part, _drawn(studio, situation)
    for asked in real(studio, data):
        if not only or asked.name in only:
            yield "real", asked


def _drawn(studio: Studio, situation: Situation) -> Asked:
    clips = studio.film(situation, seed=0)
    others = situation.asked == "others"
    return Asked(situation.name, situation.classes, clips, situation.taught, others, situation.exclusive)


def worst(found: dict[str, dict[str, float]]) -> dict[str, float | None]:
    """The largest gap to plain logistic regression, negative where it is better, and the largest calibration errors."""
    gaps = [
        row[f"{ours}{key}"] - row[f"plain_{key or 'blitz'}"]
        for row in found.values()
        for ours, key in (("cold_", "k10"), ("cold_", "k20"), ("cold_", "k50"), ("blitz", ""))
        if f"{ours}{key}" in row and f"plain_{key or 'blitz'}" in row
    ]
    errors = {
        count: [row[f"ece_{count}"] for row in found.values() if f"ece_{count}" in row]
        for count in ("k10", "k50", "blitz")
    }
    return {
        "worst_gap_to_plain": min(gaps, default=None),
        "worst_ece": max((error for each in errors.values() for error in each), default=None),
        **{f"worst_ece_{count}": max(each, default=None) for count, each in errors.items()},
    }


if __name__ == "__main__":
    main()
