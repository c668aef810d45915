"""A picture that is asked about already, in this video or another of the project, is not asked about again.

Pictures are compared by their embeddings, and whole videos by what they show at equal times: a copy of half the size has
other embeddings, but nearly the same signature.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.features.hashing import FRAMES, Signature, copy_among, signature_of_features, signature_of_samples
from ml_backend.projects import asked_frames
from ml_backend.projects.asked_frames import CODE, NONE, PICTURE, VIDEO
from ml_backend.projects.storage import Rows
from ml_backend.video.timeline import FrameIndex, StudioGrid
from sampling.candidates import Candidates, nearest, unit
from sampling.k_centre import instead
from sampling.vector_codes import as_bytes, from_bytes, projected

# The cosine from which two pictures are the same one; frames of one video with different labels stay below .97.
SAME = 0.98
# Cosines that are held at once, and how many rows count as few: memory goes into the rows then.
_COMPARED, _LEAST_ROWS = 1 << 22, 1 << 8
# In the place of pictures that were left out so many frames are tried, spread over the video: others wait meanwhile.
_TRIED = 2000

Frames = NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """Where it is noted what the project of the key `project` has asked about."""

    data_dir: Path
    project: str


def not_asked_yet(
    asked: Asked,
    task: int,
    features: VideoFeatures,
    backbone: tuple[str, ...],
    grid: StudioGrid,
    chosen: Frames,
    others: Candidates,
) -> Frames:
    """Those of the frames `chosen` of a task's video, as a backbone of these keys sees it (`Backbone.keys`), that no other
    suggestion shows, one at least; and notes what was found.

    In the place of those that it leaves out come `others`, embedded frames, as far as they show something new. Of a copy of
    another task's video only one frame is asked about, the furthest in time from those asked about there. Raises
    StorageError.
    """
    data_dir, project = asked.data_dir, asked.project
    networks = [zlib.crc32(key.encode()) for key in backbone]
    network = networks[0]
    rows = _described(task, features, grid, chosen, network)
    with asked_frames.writing(data_dir, project):
        known = asked_frames.pictures(data_dir, project)
        elsewhere = (known["task"] >= 0) & (known["task"] != task) & (known["same_task"] == NONE)
        original = _noted(asked, task, signature_of_features(features))
        asked_there = known[elsewhere & (known["task"] == original)]
        if len(asked_there):
            _compare_times(rows, asked_there)
        else:
            comparable = np.flatnonzero(elsewhere & np.isin(known["backbone"], networks))
            best = _compare(rows, known, comparable)
            if missing := int((rows["same_task"] != NONE).sum()):
                kept = chosen[rows["same_task"] == NONE]
                more = _instead(features, others, kept if len(kept) else chosen, missing, known, comparable)
                rows = np.concatenate([rows, _described(task, features, grid, more, network)])
                chosen = np.concatenate([chosen, more])
            if len(rows) and (rows["same_task"] != NONE).all():
                _keep(rows, int(best.argmin()))
        asked_frames.put_pictures(data_dir, project, task, rows)
    return np.sort(chosen[rows["same_task"] == NONE])


def once_of_a_copy(asked: Asked, task: int, samples: Samples, grid: StudioGrid, chosen: Frames) -> Frames:
    """The frames `chosen`, of a video that is not embedded yet: all of them, or of a copy of another task's video the one that
    is furthest in time from those asked about there; and notes what was found. Raises StorageError.

    Single pictures are not compared: what a hash takes for the same may show something else (docs/duplicates.md).
    """
    data_dir, project, rows = asked.data_dir, asked.project, _rows(task, grid, chosen)
    with asked_frames.writing(data_dir, project):
        known = asked_frames.pictures(data_dir, project)
        original = _noted(asked, task, signature_of_samples(grid.timeline, samples))
        asked_there = known[(known["task"] >= 0) & (known["task"] == original) & (known["same_task"] == NONE)]
        if len(asked_there):
            _compare_times(rows, asked_there)
        asked_frames.put_pictures(data_dir, project, task, rows)
    return np.asarray(chosen[rows["same_task"] == NONE], np.int64)


def _instead(
    features: VideoFeatures, others: Candidates, chosen: Frames, count: int, known: Rows, where: NDArray[np.intp]
) -> Frames:
    """At most `count` frames of `others` that look neither like one `chosen` nor like one `known` at the positions `where`."""
    spread = np.arange(len(others)) % max(-(-len(others) // _TRIED), 1) == 0
    some = others.only(spread | np.isin(others.frames, chosen))
    if some.embeddings is None or not len(some):
        return np.zeros(0, np.int64)
    appearance = from_bytes(*_codes(features, some.frames))
    new = _most_alike(appearance, known, where)[0] < SAME
    return some.frames[instead(some.embeddings, appearance, nearest(some.frames, chosen), count, SAME, new)]


def frames_nearest(grid: StudioGrid, indices: Frames) -> Frames:
    """(n,) the first Label Studio frames, 1 or more, that show the pictures `indices` or the nearest ones that it can show."""
    positions = np.searchsorted(grid.shown, grid.shown[nearest(grid.shown, indices, tie="after")])
    return np.asarray(positions + 1, np.int64)


def _described(task: int, features: VideoFeatures, grid: StudioGrid, chosen: Frames, backbone: int) -> Rows:
    rows = _rows(task, grid, chosen)
    rows["code"], rows["scale"] = _codes(features, chosen)
    rows["backbone"] = backbone
    return rows


def _rows(task: int, grid: StudioGrid, chosen: Frames) -> Rows:
    """Of no backbone, so that only their times can be compared."""
    rows = np.zeros(len(chosen), PICTURE)
    rows["task"] = task
    rows["frame"] = frames_nearest(grid, chosen)
    rows["second"] = [grid.timeline.seconds(FrameIndex(frame)) for frame in chosen.tolist()]
    rows["same_task"] = rows["same_frame"] = NONE
    return rows


def _codes(features: VideoFeatures, frames: Frames) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The appearance of (n,) frames as it is kept, (n, CODE) and (n,); of one that is not embedded, that of the next that is."""
    embedded = np.searchsorted(features.frames, frames).clip(0, len(features.frames) - 1)
    return as_bytes(projected(unit(features.blocks["appearance"][embedded].astype(np.float32)), CODE))


def _noted(asked: Asked, task: int, seen: Signature | None) -> int:
    """The task whose video this one is a copy of, else `NONE`."""
    if seen is None:
        return NONE
    known = asked_frames.videos(asked.data_dir, asked.project)
    others = known[(known["task"] >= 0) & (known["task"] != task)]
    at = copy_among(seen, others["hashes"], others["seconds"])
    row = np.zeros(1, VIDEO)
    row["task"], row["seconds"], row["hashes"], row["copy_of"] = (
        task,
        seen.seconds,
        seen.hashes.reshape(1, FRAMES),
        NONE,
    )
    if at is not None:
        # Copies of a copy are told with the first; a copy of this one makes it none.
        first = int(others["copy_of"][at])
        row["copy_of"] = NONE if first == task else int(others["task"][at]) if first == NONE else first
    asked_frames.put_video(asked.data_dir, asked.project, row)
    return int(row["copy_of"][0])


def _compare_times(rows: Rows, asked: Rows) -> None:
    apart = np.abs(rows["second"][:, None] - asked["second"])
    nearest = apart.argmin(axis=1)
    rows["same_task"], rows["same_frame"] = asked["task"][nearest], asked["frame"][nearest]
    _keep(rows, int(apart.min(axis=1).argmax()))


def _compare(rows: Rows, known: Rows, where: NDArray[np.intp]) -> NDArray[np.float32]:
    """Marks rows that show what another does: one of `known` at the positions `where`, or a row before it that is not marked.

    Returns (r,) the greatest cosine of each with one of `known`, -1 without any.
    """
    own = from_bytes(rows["code"], rows["scale"])
    best, at = _most_alike(own, known, where)
    for position in np.flatnonzero(best >= SAME).tolist():
        found = known[at[position]]
        rows["same_task"][position], rows["same_frame"][position] = found["task"], found["frame"]
    among = own @ own.T
    for position in range(len(rows)):
        before = np.flatnonzero((rows["same_task"][:position] == NONE) & (among[position, :position] >= SAME))
        if rows["same_task"][position] == NONE and len(before):
            first = rows[before[0]]
            rows["same_task"][position], rows["same_frame"][position] = first["task"], first["frame"]
    return best


def _most_alike(
    appearance: NDArray[np.float32], known: Rows, where: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """For each of (n, CODE) `appearance` the greatest cosine with one of `known` at the positions `where`, -1 without any, and its
    position."""
    best, at = np.full(len(appearance), -1.0, np.float32), np.zeros(len(appearance), np.intp)
    step = max(_COMPARED // max(len(appearance), _LEAST_ROWS), 1)
    for start in range(0, len(where), step):
        piece = where[start : start + step]
        rows = known[piece]
        cosine = appearance @ from_bytes(rows["code"], rows["scale"]).T
        nearer = cosine.argmax(axis=1)
        value = cosine[np.arange(len(appearance)), nearer]
        better = value > best
        best[better], at[better] = value[better], piece[nearer[better]]
    return best, at


def _keep(rows: Rows, position: int) -> None:
    rows["same_task"][position] = rows["same_frame"][position] = NONE
