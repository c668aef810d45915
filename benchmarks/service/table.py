"""The report as a table for people."""

from __future__ import annotations

from typing import Any

from benchmarks.measured import when_and_where

Report = dict[str, Any]
_ROWS = (
    ("other processes that compute meanwhile", "busy_processes"),
    ("answer to a webhook, median, ms", "webhook_p50_ms"),
    ("answer to a webhook, 99 %, ms", "webhook_p99_ms"),
    ("answer to /predict with 1,200 tasks, median, ms", "predict_p50_ms"),
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
    lines = [f"{when_and_where()}.", "", "| | |", "|---|---:|"]
    lines += [f"| {title} | {report[key]:,} |" for title, key in _ROWS if key in report]
    return "\n".join(lines)
