"""The report as a table for people."""

from __future__ import annotations

from datetime import date
from typing import Any

Report = dict[str, Any]
_ROWS = (
    ("decode + scale alone, frames/s", "decode_limit_fps", "{:,.0f}"),
    ("network alone, frames/s", "inference_limit_fps", "{:,.0f}"),
    ("AIGVA loop, frames/s", "aigva_loop_fps", "{:,.1f}"),
    ("plain batched loop, frames/s", "plain_fps", "{:,.0f}"),
    ("**pipeline, cold cache, frames/s**", "pipeline_fps", "**{:,.0f}**"),
    ("pipeline, warm cache, frames/s", "warm_fps", "{:,.0f}"),
    ("times the AIGVA loop", "ratio_vs_aigva", "{:.1f}"),
    ("share of decode + scale", "fraction_of_decode_limit", "{:.0%}"),
    ("the same by processor time", "processor_share", "{:.0%}"),
    ("frames embedded", "embedded_fraction", "{:.1%}"),
    ("accuracy lost, points", "accuracy_loss_points", "{:+.2f}"),
    ("time the network is busy", "network_busy", "{:.0%}"),
)
_SINGLE = (
    ("peak memory on the GPU, MiB", "gpu_peak_mib", "{:,.0f}"),
    ("pasted 2-frame events found", "short_events_found_2_frames", "{:.1%}"),
    ("peak memory, 1 minute of 720p, MiB", "rss_1min_mib", "{:,.0f}"),
    ("peak memory, 10 minutes of 720p, MiB", "rss_10min_mib", "{:,.0f}"),
    ("suggestion against seeking, all frames read", "suggest_ratio_vs_seek", "{:.1f}"),
    ("suggestion against seeking, key frames serve", "suggest_ratio_vs_seek_key_frames", "{:.1f}"),
    ("suggestion at 432p, times real time", "suggest_x_realtime", "{:,.0f}"),
    ("fit the head on 1,000 labeled frames, s", "retrain_seconds_1000_frames", "{:.2f}"),
    ("predict an hour again from the cache, s", "repredict_hour_seconds", "{:.2f}"),
    ("submit to new timelines of ten one-minute videos, s", "submit_to_timelines_seconds", "{:.1f}"),
    ("the same for a project's first annotation, s", "submit_to_timelines_first_seconds", "{:.1f}"),
)


def table(report: Report) -> str:
    """Markdown."""
    columns = {f"{name} ({clip['height']}p)": clip for name, clip in report["clips"].items()}
    lines = [
        f"Measured {date.today().isoformat()} on {report['machine']}; medians of {report['repeats']} rounds.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for title, key, form in _ROWS:
        cells = [_cell(clip.get(key), form) for clip in columns.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += ["", "| | |", "|---|---:|"]
    lines += [f"| {title} | {_cell(report[key], form)} |" for title, key, form in _SINGLE if key in report]
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
