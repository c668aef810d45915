"""What was measured, as tables for people: where they stand in the documentation, and on what machine they were made."""

from __future__ import annotations

import json
import os
import platform
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ml_backend.errors import VideoUnreadable
from ml_backend.features.processor import processor_features
from ml_backend.video.container import open_video


def add_options(parser: ArgumentParser) -> None:
    """What every benchmark on labelled videos is asked with."""
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with videos/labels.json and weights/"
    )
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="write the tables between the marks of this page")
    parser.add_argument("--cache", type=Path, help="keep computed features there")


def labelled_videos(data: Path) -> dict[str, dict[str, Any]]:
    """What `videos/labels.json` says of each video that has a labelled track and can be opened, by its path below `videos/`.

    The others are left out, and printed with the reason.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, entry in json.loads((data / "videos" / "labels.json").read_text()).items():
        tracks = entry.get("tracks") if isinstance(entry, dict) else None
        labelled = {track: each for track, each in (tracks or {}).items() if each.get("segments")}
        why = None if labelled else "labels.json has no labeled track of it"
        try:
            with open_video(data / "videos" / name) as (container, stream):
                next(container.decode(stream))
        except (VideoUnreadable, OSError, StopIteration) as error:
            # av's errors are OSErrors.
            why = f"it cannot be opened ({error or 'no pictures'})"
        if why is None:
            found[name] = {**entry, "tracks": labelled}
        else:
            print(f"{name} is left out: {why}", flush=True)
    return found


def write_into(path: Path, text: str, name: str = "measured") -> None:
    """Puts the text between the marks of this name in a Markdown file."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = path.read_text().split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def when_and_where() -> str:
    return f"Measured {date.today().isoformat()} on {machine()}"


def machine() -> str:
    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
    return f"{os.cpu_count()} cores of {name} ({', '.join(processor_features()) or 'features unknown'})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, all columns but the first aligned to the right."""
    return [_row(head), "|---|" + "---:|" * (len(head) - 1), *map(_row, rows)]


def share(value: float | None) -> str:
    """A share of one, as in .972; a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.3f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
