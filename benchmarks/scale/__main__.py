"""python -m benchmarks.scale [--tasks N] [--projects N] [--workers N] [--jobs N] [--only PART] [--json FILE] [--markdown FILE]

What many tasks, projects and workers cost: a job's way through the queue, the wait of a small project behind a large one, what Redis
holds, a reconcile, and the pages. Redis, the queue, the workers and the web process are real; Label Studio and the work of a job are
simulated.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.measured import machine, write_into
from benchmarks.scale.answering import page_figures
from benchmarks.scale.fairness import fairness_figures
from benchmarks.scale.overhead import overhead_figures
from benchmarks.scale.table import Report, table
from benchmarks.service.reconcile import reconcile_figures

PARTS = ("overhead", "fairness", "pages", "reconcile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed: nothing is decoded")
    parser.add_argument("--tasks", type=int, default=100_000, help="of the large project")
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2000, help="to measure the queue with")
    parser.add_argument("--seconds", type=float, default=1.0, help="what a job takes while small projects wait")
    parser.add_argument("--times", type=int, default=10, help="how often each page is asked for")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be given several times")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="put the tables between the marks in this file")
    options = parser.parse_args()
    report = measure(options)
    text = table(report)
    print(text)
    print(json.dumps(report))
    if options.markdown:
        write_into(options.markdown, text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(options: argparse.Namespace) -> Report:
    parts = options.only or PARTS
    sizes = {name: getattr(options, name) for name in ("tasks", "projects", "workers", "jobs", "seconds")}
    report: Report = {"machine": machine(), **sizes}
    with tempfile.TemporaryDirectory(prefix="coldblitz-scale-") as scratch:
        folder = Path(scratch)
        for part in parts:
            print(f"{part} …", flush=True)
            if part == "overhead":
                report[part] = overhead_figures(folder / part, options.projects, options.workers, options.jobs)
            elif part == "fairness":
                report[part] = fairness_figures(
                    folder / part, options.tasks, options.projects, options.workers, options.seconds
                )
            elif part == "pages":
                report[part] = page_figures(folder / part, options.tasks, options.projects, options.times)
            else:
                report[part] = reconcile_figures(options.tasks)
    return report


if __name__ == "__main__":
    main()
