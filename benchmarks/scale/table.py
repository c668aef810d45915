"""The report as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.measured import table as rows_of
from benchmarks.measured import when_and_where

Report = dict[str, Any]
_OVERHEAD = (
    ("to put a job in line, ms", "enqueue_ms"),
    ("its commands to Redis", "enqueue_commands"),
    ("Redis' processor for it, µs", "enqueue_redis_us"),
    ("one worker takes and ends a job, ms", "one_worker_ms"),
    ("its commands to Redis", "one_worker_commands"),
    ("Redis' processor for it, µs", "one_worker_redis_us"),
    ("all workers take and end a job, ms", "workers_ms"),
    ("Redis' processor for it, µs", "workers_redis_us"),
    ("a job in line, bytes of Redis", "bytes_in_line"),
    ("a job that has ended, bytes of Redis", "bytes_ended"),
)
_FAIRNESS = (
    ("first suggestion of a small project that is alone, s", "alone_first_seconds"),
    ("all ten of it, s", "alone_all_seconds"),
    ("first suggestion of the large project, s", "large_first_seconds"),
    ("first suggestion of a small one that comes behind it, median, s", "first_median_seconds"),
    ("the longest, s", "first_most_seconds"),
    ("all ten of it, median, s", "all_median_seconds"),
    ("the longest, s", "all_most_seconds"),
)
_RECONCILE = (
    ("reconcile that finds no task done, s", "reconcile_first_seconds"),
    ("reconcile that finds nothing changed, s", "reconcile_100k_seconds"),
    ("reconcile after 100 tasks were deleted, s", "reconcile_deleted_seconds"),
    ("the most memory of its process, MiB", "reconcile_rss_mib"),
)


def table(report: Report) -> str:
    """Markdown."""
    said = f"{when_and_where()}: {report['tasks']:,} tasks, {report['projects']} projects, {report['workers']} workers."
    parts = [[said]]
    for part, rows in (("overhead", _OVERHEAD), ("fairness", _FAIRNESS), ("reconcile", _RECONCILE)):
        if part in report:
            found = report[part]
            parts.append(rows_of(("", ""), [(title, _shown(found[key])) for title, key in rows if key in found]))
    if pages := report.get("pages"):
        held = pages["redis_bytes"] / report["tasks"]
        parts.append([f"Redis holds {held:.0f} bytes for each task of the large project, jobs left out."])
        shown = [
            (name, f"{took['median']:.0f}", f"{took['most']:.0f}", f"{pages['page_first_ms'][name]:.0f}")
            for name, took in pages["page_ms"].items()
        ]
        parts.append(rows_of(("page or answer, ms", "median", "longest", "the first"), shown))
    return "\n\n".join("\n".join(lines) for lines in parts)


def _shown(value: float | None) -> str:
    return "not in time" if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
