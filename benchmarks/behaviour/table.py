"""The report as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.behaviour.efficiency import WAYS
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
_WAYS = {
    "even": "evenly spaced",
    "suggestions": "suggestions",
    "questions": "5 suggestions, then the model's questions",
    "boundary": "5 suggestions, then predicted changes",
}
_AVERAGED = ("k5", "k10", "k20", "k50")


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


def efficiency_tables(report: Mapping[str, Any]) -> str:
    """Markdown: by situation the share for 95 % of full supervision, and by way of asking the fractions on average."""
    curves: Mapping[str, Any] = report["efficiency"]
    rows = [
        [
            f"{name.replace('_', ' ')} ({found['videos']})",
            share(found["full"]),
            *(_percent(found[way]["share_for_95"]) for way in WAYS),
        ]
        for name, found in curves.items()
    ]
    head = ["share of frames labeled to reach 95 % of full supervision", "full", *(_WAYS[way] for way in WAYS)]
    means = [
        [_WAYS[way], *(share(_mean([found[way].get(key) for found in curves.values()])) for key in _AVERAGED)]
        for way in WAYS
    ]
    counted = ["fraction of full supervision, mean of situations", *(key.removeprefix("k") for key in _AVERAGED)]
    return "\n\n".join(
        [
            f"{when_and_where()}; {report['seeds']} seeds, up to {report['clips']} clips of each situation.",
            "\n".join(table(head, rows)),
            "\n".join(table(counted, means)),
        ]
    )


def _percent(value: float | None) -> str:
    return "never" if value is None else f"{100 * value:.1f} %"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
