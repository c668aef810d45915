"""The report as a table for people."""

from __future__ import annotations

import os
import platform
from datetime import date
from typing import Any

Report = dict[str, Any]
_ROWS = (
    ("answer to a webhook, median, ms", "webhook_p50_ms"),
    ("answer to a webhook, 99 %, ms", "webhook_p99_ms"),
    ("answer to /predict with 1,200 tasks, 99 %, ms", "predict_p99_ms"),
    ("events sent", "events_sent"),
    ("events a second", "events_a_second"),
    ("events lost", "events_lost"),
    ("trainings meanwhile", "trainings_run"),
    ("reconcile of 100,000 tasks, nothing changed, s", "reconcile_100k_seconds"),
    ("the most memory that it took, MiB", "reconcile_rss_mib"),
    ("kills of the worker", "kills"),
    ("of these in the middle of a job", "kills_in_the_middle"),
    ("tasks that look different in the end", "states_lost"),
    ("broken videos and fuzzed requests", "bad_inputs"),
    ("of these not handled", "bad_inputs_unhandled"),
    ("addresses of our own network tried", "ssrf_attempts"),
    ("of these reached", "ssrf_let_through"),
)


def table(report: Report) -> str:
    """Markdown."""
    lines = [f"Measured {date.today().isoformat()} on {_machine()}.", "", "| | |", "|---|---:|"]
    lines += [f"| {title} | {report[key]:,} |" for title, key in _ROWS]
    return "\n".join(lines)


def _machine() -> str:
    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
    return f"{os.cpu_count()} cores of {name}"
