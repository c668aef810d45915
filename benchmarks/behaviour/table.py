"""The report as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measured import share, table, when_and_where

_TITLES = {
    "situations": "drawn",
    "penned": "drawn, in a pen that is a part of the picture",
    "aside": "drawn, never looked at while anything was tuned",
    "real": "real clips",
}
_COLUMNS = (
    ("10", "cold_k10"),
    ("even", "even_k10"),
    ("plain", "plain_k10"),
    ("flow", "flow_k10"),
    ("LSTM", "lstm_k10"),
    ("20", "cold_k20"),
    ("plain", "plain_k20"),
    ("flow", "flow_k20"),
    ("LSTM", "lstm_k20"),
    ("unseen", "blitz"),
    ("plain", "plain_blitz"),
    ("flow", "flow_blitz"),
    ("LSTM", "lstm_blitz"),
    ("error 10", "ece_k10"),
    ("50", "ece_k50"),
    ("unseen", "ece_blitz"),
)


def tables(report: Mapping[str, Any]) -> str:
    """Markdown."""
    parts = [f"{when_and_where()}; {report['seeds']} seeds."]
    for part, title in _TITLES.items():
        rows = [
            [f"{name.replace('_', ' ')} ({row['videos']})", *(share(row.get(key)) for _, key in _COLUMNS)]
            for name, row in report.get(part, {}).items()
        ]
        if rows:
            parts.append("\n".join(table([title, *(name for name, _ in _COLUMNS)], rows)))
    return "\n\n".join(parts)
