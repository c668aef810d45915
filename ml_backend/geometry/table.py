"""Numbers of tracks as the columns of a table: lengths in widths of the picture, or in centimeters where the scale is known."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from ml_backend.geometry.statistics import PairRow, Row

Cell = str | int | float | None


def individual_cells(row: Row, cm_per_width: float | None = None) -> dict[str, Cell]:
    """The numbers of one individual, by the names of their columns; None where there is none."""
    scale, unit = (1.0, "widths") if cm_per_width is None else (cm_per_width, "cm")
    cells: dict[str, Cell] = {
        "start_s": round(row.start, 3),
        "end_s": round(row.end, 3),
        "seen_s": round(row.seen, 3),
        f"distance_{unit}": round(row.distance * scale, 4),
        f"mean_speed_{unit}_per_s": None if row.mean_speed is None else round(row.mean_speed * scale, 4),
        f"top_speed_{unit}_per_s": round(row.top_speed * scale, 4),
        "contacts": row.contacts,
        "contact_s": round(row.contact_seconds, 3),
    }
    for zone in row.zones:
        cells[f"{zone.zone}_s"] = round(zone.seconds, 3)
        cells[f"{zone.zone}_visits"] = zone.visits
        cells[f"{zone.zone}_latency_s"] = None if zone.latency is None else round(zone.latency, 3)
    return cells


def pair_cells(row: PairRow, cm_per_width: float | None = None) -> dict[str, Cell]:
    """The same of two."""
    scale, unit = (1.0, "widths") if cm_per_width is None else (cm_per_width, "cm")
    return {
        "start_s": round(row.start, 3),
        "end_s": round(row.end, 3),
        "together_s": round(row.together, 3),
        f"mean_distance_{unit}": None if row.distance is None else round(row.distance * scale, 4),
        "contacts": row.contacts,
        "contact_s": round(row.contact_seconds, 3),
    }


def as_csv(rows: Sequence[Mapping[str, Cell]]) -> str:
    """With a head; empty without rows. All rows have the same columns."""
    written = io.StringIO()
    if rows:
        table = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
        table.writeheader()
        # A spreadsheet would calculate what begins like a formula; labels and file names are other people's words.
        table.writerows({name: _plain(cell) for name, cell in row.items()} for row in rows)
    return written.getvalue()


def _plain(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell
