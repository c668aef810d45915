"""The rows of a table of labels, in every form."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest
from numbered import video

from ml_backend.errors import SettingsError
from ml_backend.export.project import Run
from ml_backend.export.tables import writing

RUNS = [
    Run(0, 2, "cat", 1.0, "human"),
    Run(1, 3, "“dog”, big", 0.5, "model"),
    Run(3, 4, None, 1.0, "human"),
]
EXPECTED = [
    (0, 0.0, "cat", 1.0, "human", None),
    (1, 0.04, "cat", 1.0, "human", None),
    (1, 0.04, "“dog”, big", 0.5, "model", "cold-v2"),
    (2, 0.08, "“dog”, big", 0.5, "model", "cold-v2"),
    (3, 0.12, None, 1.0, "human", None),
]


def write(path: Path) -> Path:
    with writing(path, path.suffix) as add:
        add(video(1, RUNS))
        add(video(2, RUNS[:1]))
    return path


def test_parquet(tmp_path: Path) -> None:
    rows = pyarrow.parquet.read_table(write(tmp_path / "labels.parquet")).to_pylist()
    assert [
        (row["frame"], row["seconds"], row["label"], row["confidence"], row["source"], row["version"])
        for row in rows
        if row["task"] == 1
    ] == EXPECTED
    assert [(row["task"], row["video"], row["frame"]) for row in rows[5:]] == [
        (2, "film 2.mp4", 0),
        (2, "film 2.mp4", 1),
    ]


def test_csv(tmp_path: Path) -> None:
    with write(tmp_path / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["frame"]), float(row["seconds"]), row["label"] or None) for row in rows if row["task"] == "1"] == [
        row[:3] for row in EXPECTED
    ]


def test_json_has_one_object_a_frame_and_label(tmp_path: Path) -> None:
    one, two = json.loads(write(tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert (one["task"], one["video"], one["version"], one["annotators"]) == (1, "film 1.mp4", "cold-v2", [3])
    assert [tuple(row.values()) for row in one["frames"]] == [row[:5] for row in EXPECTED]
    assert len(two["frames"]) == 2


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ends in \.json"), writing(tmp_path / "labels.xls", ".xls"):
        pass
