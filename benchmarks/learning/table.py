"""The report as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measured import share, table, when_and_where

Report = Mapping[str, Any]
_WITHIN = (
    ("suggested frames, this head", "macro_f1"),
    ("evenly spread frames, this head", "uniform_macro_f1"),
    ("suggested frames, plain logistic regression", "plain_macro_f1"),
    ("suggested frames, bidirectional LSTM (one seed)", "lstm_macro_f1"),
)
_BLITZ = (("this head", "balanced_accuracy"), ("plain logistic regression", "plain"), ("bidirectional LSTM", "lstm"))


def tables(report: Report) -> str:
    """Markdown."""
    ece = report["ece"]
    parts = [
        [f"{when_and_where()}; {report['seeds']} seeds, {report['videos']} videos."],
        _cold("Cold, the same video: macro-F1 by labeled frames", report["cold_within"]),
        _cold("Cold, videos without any label: macro-F1 by labeled frames in each other", report["cold_across"]),
        table(
            ["Blitz, balanced accuracy on videos never seen", *(title for title, _ in _BLITZ)],
            [
                [name.replace("_", " "), *(share(row.get(key)) for _, key in _BLITZ)]
                for name, row in report["blitz"].items()
            ],
        ),
        table(
            ["honesty, effort and speed", ""],
            [
                ["expected calibration error, Cold with 10 labeled frames", share(ece["cold_k10"])],
                [
                    "expected calibration error, Blitz (without its temperature)",
                    _both(ece, "blitz", "blitz_untempered"),
                ],
                ["errors within the tenth of frames least sure of", share(report["errors_in_least_confident_10pct"])],
                ["labels and edits, of the actions of drawing every segment", share(report["effort_ratio"])],
                ["the same in the player's order until 95 % of the frames are right", share(report.get("jump_ratio"))],
                ["wrong labels listed, when one in thirty frames is mislabeled", share(report["noise_recall"])],
                ["fit on 10 labeled frames, s", f"{report['train_seconds']:.3f}"],
                ["fit on up to 1,000, s", f"{report['train_seconds_1000_frames']:.2f}"],
                [
                    "macro-F1 when runs shorter than 10 frames are merged instead of smoothed",
                    _both(report["smoothing"], "min_frames_10", "forward_backward", "macro_f1"),
                ],
            ],
        ),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _cold(title: str, by_count: Mapping[str, Mapping[str, float]]) -> list[str]:
    measured = [(name, key) for name, key in _WITHIN if any(key in row for row in by_count.values())]
    rows: Sequence[Sequence[str]] = [
        [name, *(share(row.get(key)) for row in by_count.values())] for name, key in measured
    ]
    return table([title, *(count.removeprefix("k") for count in by_count)], rows)


def _both(values: Mapping[str, Any], one: str, other: str, key: str | None = None) -> str:
    first, second = (values[name] if key is None else values[name][key] for name in (one, other))
    return f"{share(first)} ({share(second)})"
