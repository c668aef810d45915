"""The report as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measured import share, table, when_and_where

Report = dict[str, Any]
_SHOWN = (
    ("classes", "class_recall"),
    ("segments", "segment_recall"),
    ("radius", "radius_ratio"),
    ("repeated", "duplicate_share"),
    ("macro-F1", "macro_f1"),
)
_ROUND = (
    ("10 suggested frames, then the questions of two models", "macro_f1"),
    ("20 suggested frames", "suggested_macro_f1"),
    ("20 evenly spread frames", "uniform_macro_f1"),
    ("the 10 suggested frames alone", "first_macro_f1"),
)
_STOPPING = (
    ("runs in which little more to gain was told of", "advised"),
    ("videos labeled then", "labelled"),
    ("macro-F1 of all frames then", "macro_f1"),
    ("macro-F1 with all videos labeled", "with_all"),
    ("kappa of the versions after that", "kappa"),
)
_WAYS = (
    ("on the video's timeline", "timeline"),
    ("in the companion project", "companion"),
    ("the same, Submit left at Ctrl+Enter", "companion_default"),
)


def tables(report: Report) -> str:
    """Markdown, of the parts that were measured."""
    parts: list[Sequence[str]] = [[f"{when_and_where()}{_repeated(report)}."]]
    if "strategies" in report:
        parts += [_strategies(report["strategies"], count) for count in ("k5", "k10", "k20")]
    if "second_round" in report:
        found = report["second_round"]
        rows = [[title, share(found[key])] for title, key in _ROUND if key in found]
        parts.append(table(["20 labeled frames: what was labeled", "macro-F1"], rows))
    if "expected_errors" in report:
        parts.append(_errors(report["expected_errors"]))
    if report.get("stopping"):
        found = report["stopping"]
        parts.append(
            table(
                ["videos labeled one after the other, ten frames each", ""],
                [[title, share(found[key])] for title, key in _STOPPING if key in found],
            )
        )
    if "index" in report:
        head = ["index of so many pictures", "build, s", "ask about ten, ms", "held, MiB", "copies found"]
        parts.append(table(head, [_index(size, row) for size, row in report["index"].items()]))
    if "keystrokes_per_frame" in report:
        found = report["keystrokes_per_frame"]
        rows = [
            [title, f"{found[key]['keystrokes']:.1f}", f"{found[key]['seconds']:.2f}"]
            for title, key in _WAYS
            if key in found
        ]
        parts.append(table(["a labeled frame", "keys and clicks", "s, by a robot"], rows))
    return "\n\n".join("\n".join(part) for part in parts)


def _repeated(report: Report) -> str:
    return f"; {report['seeds']} seeds, {report['videos']} videos" if "videos" in report else ""


def _strategies(strategies: Mapping[str, Mapping[str, Mapping[str, float]]], count: str) -> list[str]:
    rows = [
        [name, *(share(by_count[count][key]) for _, key in _SHOWN)]
        for name, by_count in strategies.items()
        if count in by_count
    ]
    return table([f"{count.removeprefix('k')} frames a video", *(title for title, _ in _SHOWN)], rows)


def _errors(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [f"{title}, {count.removeprefix('k')} labeled frames", *_expected(row)]
        for title, name in (("the labeled video", "within"), ("the other videos", "across"))
        for count, row in found[name].items()
    ]
    rows.append(["whole timelines of other videos", *_expected(found["blitz"])])
    return table(["errors left in", "expected", "true", "ratio"], rows)


def _expected(row: Mapping[str, float]) -> list[str]:
    return [f"{row['expected']:,.0f}", f"{row['true']:,.0f}", "–" if row["ratio"] is None else f"{row['ratio']:.2f}"]


def _index(size: str, row: Mapping[str, float]) -> list[str]:
    numbers = [f"{row['build_seconds']:.1f}", f"{row['query_ms']:.2f}", f"{row['rss_mib']:.0f}", share(row["recall"])]
    return [f"{int(size):,}", *numbers]
