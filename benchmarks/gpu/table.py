"""The report as a table for people."""

from __future__ import annotations

from benchmarks.gpu.budget import Report
from benchmarks.measured import table as markdown

_EMBEDDING = (
    ("network alone, pictures/s", "network_pictures_per_second", "{:,.0f}"),
    ("720p clip, frames/s", "clip_frames_per_second", "{:,.0f}"),
    ("its share of decode + scale", "clip_share_of_decode_limit", "{:.0%}"),
    ("time the network is busy", "clip_network_busy_share", "{:.0%}"),
    ("short clips, frames/s", "short_frames_per_second", "{:,.0f}"),
    ("their share of decode + scale", "short_share_of_decode_limit", "{:.0%}"),
)
_SINGLE = (
    ("two workers, times one", "workers", "embedding_two_by_one", "{:.2f}"),
    ("two that only decode, times one", "workers", "decoding_two_by_one", "{:.2f}"),
    ("fine-tuning, pictures/s", "finetuning", "pictures_per_second", "{:,.0f}"),
)


def table(report: Report) -> str:
    """Markdown."""
    parts = report["parts"]
    card = parts.get("about", {}).get("card")
    rows = {name.partition(" ")[2]: part for name, part in parts.items() if name.startswith("embedding ")}
    lines = [f"Measured {report['date']} on {card or 'no GPU'} and {report['machine']}.", ""]
    lines += markdown(
        ["", *rows],
        [[title, *(_cell(part.get(key), form) for part in rows.values())] for title, key, form in _EMBEDDING],
    )
    lines += [
        "",
        *markdown(["", ""], [[t, _cell(parts.get(part, {}).get(key), form)] for t, part, key, form in _SINGLE]),
    ]
    failed = [f"* {name}: {part['error']}" for name, part in parts.items() if "error" in part]
    return "\n".join([*lines, *(["", *failed] if failed else [])])


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
