"""Labels only: one row a frame and label, as JSON, CSV or Parquet, written as the videos come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ml_backend.errors import SettingsError
from ml_backend.export.project import Run, Video

# `label` is null on a frame that a person said has none of the labels.
_SCHEMA = pa.schema(
    [
        ("task", pa.int64()),
        ("video", pa.string()),
        ("frame", pa.int64()),
        ("seconds", pa.float64()),
        ("label", pa.string()),
        ("confidence", pa.float32()),
        ("source", pa.string()),
        ("version", pa.string()),
    ]
)


# What is there beside it where runs have it: the question of a label, and the individual that has it.
_BESIDE = ("control", "who")


def beside(videos: Iterable[Video]) -> tuple[str, ...]:
    """The columns that a table of these videos has beside the usual ones."""
    runs = [run for video in videos for run in video.runs]
    return tuple(name for name in _BESIDE if any(getattr(run, name) for run in runs))


def _schema(more: Sequence[str]) -> pa.Schema:
    schema = _SCHEMA
    for name in more:
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def table(video: Video, more: Sequence[str] = ()) -> pa.Table:
    """The rows of one video, by frame: `frame` counts from 0, `seconds` is when a browser begins to show it.

    `more`: columns beside the usual ones, see `beside`.
    """
    runs = video.runs
    sizes = np.array([len(run) for run in runs])
    frame = np.concatenate([np.arange(run.start, run.stop) for run in runs])
    which = np.repeat(np.arange(len(runs)), sizes)
    order = np.argsort(frame, kind="stable")
    frame, which = frame[order], which[order]
    seconds = np.round(video.timeline.pts[frame] * float(video.timeline.time_base), 6)

    def column(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind).take(pa.array(which))

    columns = [
        pa.repeat(pa.scalar(video.task.id, pa.int64()), len(frame)),
        pa.repeat(pa.scalar(video.name), len(frame)),
        pa.array(frame),
        pa.array(seconds),
        column([run.label for run in runs], pa.string()),
        column([run.confidence for run in runs], pa.float32()),
        column([run.source for run in runs], pa.string()),
        column([_version(run, video) for run in runs], pa.string()),
    ]
    columns += [column([getattr(run, name) or None for run in runs], pa.string()) for name in more]
    return pa.table(columns, schema=_schema(more))


def _version(run: Run, video: Video) -> str | None:
    return video.version if run.source == "model" else None


class Writer(Protocol):
    """Takes the videos one after the other."""

    def __call__(self, video: Video) -> None: ...


@contextmanager
def writing(path: Path, suffix: str, more: Sequence[str] = ()) -> Iterator[Writer]:
    """A writer of `.json`, `.csv` or `.parquet` into `path`; `more`: columns beside the usual ones, see `beside`.

    Raises SettingsError for another suffix.
    """
    schema = _schema(more)
    if suffix == ".json":
        with path.open("w", encoding="utf-8") as file:
            file.write("[")
            first = [True]

            def write_json(video: Video) -> None:
                file.write("" if first[0] else ",")
                first[0] = False
                file.writelines(_json(video))

            yield write_json
            file.write("\n]\n")
        return
    if suffix == ".csv":
        with pyarrow.csv.CSVWriter(path, schema) as sink:
            yield lambda video: sink.write_table(table(video, more))
        return
    if suffix == ".parquet":
        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as sink:
            yield lambda video: sink.write_table(table(video, more))
        return
    raise SettingsError(
        f"{path} has an unknown file extension.",
        "Use a file name that ends in .json, .csv, .parquet, or .zip, or a folder.",
    )


def _json(video: Video) -> Iterable[str]:
    """One object a video, in which every frame has one, as in the dissertation's export."""
    head = {"task": video.task.id, "video": video.name, "version": video.version, "annotators": video.annotators}
    yield f'\n{json.dumps(head, ensure_ascii=False)[:-1]}, "frames": ['
    seconds = np.round(video.timeline.pts * float(video.timeline.time_base), 6).tolist()
    tails = [
        json.dumps(
            {
                "label": run.label,
                "confidence": run.confidence,
                "source": run.source,
                **{name: value for name in _BESIDE if (value := getattr(run, name))},
            },
            ensure_ascii=False,
        )[1:]
        for run in video.runs
    ]
    rows = sorted((frame, at) for at, run in enumerate(video.runs) for frame in range(run.start, run.stop))
    # Made by hand: a call of json.dumps for each frame takes five times as long.
    yield ",".join([f'\n{{"frame": {frame}, "seconds": {seconds[frame]}, {tails[at]}' for frame, at in rows])
    yield "\n]}"
