"""A picture that is asked about already, in this video or another of the project, is not asked about again.

Pictures are compared by their embeddings, and whole videos by what they show at equal times: a copy of half the size has
other embeddings, but the same look.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.looks import FRAMES, Look, copy_among, look_of_features
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.records import pictures
from ml_backend.records.pictures import CODE, NONE, PICTURE, VIDEO
from ml_backend.records.rows import Rows
from ml_backend.video.timeline import FrameIndex, StudioGrid
from sampling.nearby import as_bytes, from_bytes, projected
from sampling.unit import unit

# The cosine from which two pictures are the same one; frames of one video with different labels stay below .97.
SAME = 0.98
_AT_ONCE = 1 << 14

Frames = NDArray[np.int64]


def not_asked_yet(
    context: WorkerContext, work: ProjectWork, task: Task, features: VideoFeatures, grid: StudioGrid, chosen: Frames
) -> Frames:
    """Those of the frames `chosen` that no other suggestion shows, one at least; and notes what was found.

    Of a copy of another task's video only one frame is asked about, the furthest in time from those asked about there.
    Raises StorageError.
    """
    data_dir = context.settings.data_dir
    rows = _described(task, features, grid, chosen, zlib.crc32(context.backbone.key.encode()))
    with pictures.writing(data_dir, work.key):
        known = pictures.pictures(data_dir, work.key)
        others = (known["task"] >= 0) & (known["task"] != task.id) & (known["same_task"] == NONE)
        original = _noted(context, work, task, look_of_features(features))
        asked_there = known[others & (known["task"] == original)]
        if len(asked_there):
            _compare_times(rows, asked_there)
        else:
            _compare(rows, known, others & (known["backbone"] == rows["backbone"][:1]))
        pictures.put_pictures(data_dir, work.key, task.id, rows)
    return np.asarray(chosen[rows["same_task"] == NONE], np.int64)


def _described(task: Task, features: VideoFeatures, grid: StudioGrid, chosen: Frames, backbone: int) -> Rows:
    rows = np.zeros(len(chosen), PICTURE)
    # One that is not embedded looks as the next one that is.
    embedded = np.searchsorted(features.frames, chosen).clip(0, len(features.frames) - 1)
    appearance = features.blocks["appearance"][embedded]
    rows["code"], rows["scale"] = as_bytes(projected(unit(appearance.astype(np.float32)), CODE))
    rows["task"], rows["backbone"] = task.id, backbone
    rows["frame"] = np.searchsorted(grid.shown, chosen).clip(0, len(grid) - 1) + 1
    rows["second"] = [features.timeline.seconds(FrameIndex(frame)) for frame in chosen.tolist()]
    rows["same_task"] = rows["same_frame"] = NONE
    return rows


def _noted(context: WorkerContext, work: ProjectWork, task: Task, seen: Look | None) -> int:
    """The task whose video this one is a copy of, else `NONE`."""
    if seen is None:
        return NONE
    known = pictures.videos(context.settings.data_dir, work.key)
    others = known[(known["task"] >= 0) & (known["task"] != task.id)]
    at = copy_among(seen, others["hashes"], others["seconds"])
    row = np.zeros(1, VIDEO)
    row["task"], row["seconds"], row["hashes"], row["copy_of"] = (
        task.id,
        seen.seconds,
        seen.hashes.reshape(1, FRAMES),
        NONE,
    )
    if at is not None:
        # Copies of a copy are told with the first; a copy of this one makes it none.
        first = int(others["copy_of"][at])
        row["copy_of"] = NONE if first == task.id else int(others["task"][at]) if first == NONE else first
    pictures.put_video(context.settings.data_dir, work.key, row)
    return int(row["copy_of"][0])


def _compare_times(rows: Rows, asked: Rows) -> None:
    apart = np.abs(rows["second"][:, None] - asked["second"])
    nearest = apart.argmin(axis=1)
    rows["same_task"], rows["same_frame"] = asked["task"][nearest], asked["frame"][nearest]
    _keep(rows, int(apart.min(axis=1).argmax()))


def _compare(rows: Rows, known: Rows, others: NDArray[np.bool_]) -> None:
    """Marks rows that show what another does: one of `known` where `others`, or a row before it that is not marked."""
    own = from_bytes(rows["code"], rows["scale"])
    best = np.full(len(rows), -1.0, np.float32)
    where = np.flatnonzero(others)
    for start in range(0, len(where), _AT_ONCE):
        piece = known[where[start : start + _AT_ONCE]]
        cosine = own @ from_bytes(piece["code"], piece["scale"]).T
        nearest = cosine.argmax(axis=1)
        value = cosine[np.arange(len(rows)), nearest]
        for position in np.flatnonzero((value > best) & (value >= SAME)).tolist():
            found = piece[nearest[position]]
            rows["same_task"][position], rows["same_frame"][position] = found["task"], found["frame"]
        best = np.maximum(best, value)
    among = own @ own.T
    for position in range(len(rows)):
        before = np.flatnonzero((rows["same_task"][:position] == NONE) & (among[position, :position] >= SAME))
        if rows["same_task"][position] == NONE and len(before):
            first = rows[before[0]]
            rows["same_task"][position], rows["same_frame"][position] = first["task"], first["frame"]
    if len(rows) and (rows["same_task"] != NONE).all():
        _keep(rows, int(best.argmin()))


def _keep(rows: Rows, position: int) -> None:
    rows["same_task"][position] = rows["same_frame"][position] = NONE
