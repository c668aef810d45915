"""python -m benchmarks.gpu [--device auto|cpu|cuda] [--seconds N] [--data DIR] [--only PART] [--json FILE] [--markdown FILE]

What the product does on a GPU, each part once, in a few minutes and by one command: for a machine that is lent for a quarter of an hour.
Prints one JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

from benchmarks.gpu.about import about
from benchmarks.gpu.budget import Report, Setup, Work, measured
from benchmarks.gpu.closeness import closeness, halving
from benchmarks.gpu.embedding import embedding_of, workers
from benchmarks.gpu.material import NETWORKS, make_clips
from benchmarks.gpu.runtimes import compiled, decoders, transfers
from benchmarks.gpu.table import table
from benchmarks.gpu.training import detectors, finetuning
from benchmarks.measured import machine, write_into

# The shares of the time that is left; what one part does not use goes to the others.
_CLIPS = 3
PARTS: dict[str, tuple[Work, float]] = {
    **{f"embedding {name}": (embedding_of(name), 2) for name in NETWORKS},
    "workers": (workers, 2),
    "closeness": (closeness, 2),
    "halving": (halving, 1),
    "transfers": (transfers, 1),
    "finetuning": (finetuning, 2),
    "detectors": (detectors, 2),
    "decoders": (decoders, 1),
    "compiled": (compiled, 3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--seconds", type=float, default=480, help="for everything together")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with weights/ of MobileNetV2")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="this part; may be given several times")
    parser.add_argument("--json", type=Path, help="write the report there, too")
    parser.add_argument("--markdown", type=Path, help="put the table between the marks in this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = check(Path(folder), options.device, options.seconds, options.data, options.only or list(PARTS))
    text = json.dumps(report, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text)
    if options.markdown:
        write_into(options.markdown, table(report), "gpu")
    sys.exit(1 if "error" in report else 0)


def check(folder: Path, device: str, seconds: float, data: Path, names: list[str]) -> Report:
    began = time.monotonic()
    weights = data / "weights"
    setup = Setup(folder, device, seconds, weights if weights.is_dir() else None)
    parts: Report = {"about": measured(about, setup, seconds)}
    report: Report = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "seconds_allowed": seconds,
        "parts": parts,
    }
    if "device" not in parts["about"]:
        return report | {"error": parts["about"].get("error")}
    setup = replace(setup, device=parts["about"]["device"])
    todo = {"clips": (make_clips, _CLIPS), **{name: PARTS[name] for name in names}}
    shares = [share for _, share in todo.values()]
    for number, (name, (work, share)) in enumerate(todo.items()):
        left = began + seconds - time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        parts[name] = measured(work, setup, max(left * share / sum(shares[number:]), 1))
    return report | {"seconds": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    main()
