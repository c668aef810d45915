"""The features of a long video, made part by part and joined: in one pass by whoever needs them now, or each part by another worker.

A part begins and ends as a video does, whoever makes it, so the bytes of the joined entry say nothing of how it came about. Parts are
entries of a store of their own, by the video's content, the network and their frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.features.embedding import embed_frames, video_features
from ml_backend.features.selection import DEFAULT, Density
from ml_backend.features.store import FeatureStore
from ml_backend.video.decode import NothingDecodes
from ml_backend.video.demux import demux
from ml_backend.video.parts import Part, TimeTable, parts_of, time_table
from ml_backend.video.timeline import Timeline

_NO_FRAMES = np.zeros(0, np.int64)
_NO_SAMPLES = Samples(_NO_FRAMES, np.zeros(0, np.uint64), np.zeros(0, np.float32))
# A part that was lost between its making and the joining is made once more.
_TRIES = 2
# The key of a time table, whose frames are those at which the video may be cut.
_TIMES = "times"


def part_key(key: str, part: Part) -> str:
    """Under which a part is stored that a network of this `key` has seen."""
    return f"{key}-part-{part.first}-{part.stop}"


def read_table(path: Path, parts: FeatureStore, content: str) -> TimeTable:
    """The time table of a video, as a worker has kept it, or from its file. Raises VideoUnreadable."""
    known = parts.load(content, _TIMES)
    return time_table(demux(path)) if known is None else TimeTable(known.timeline, known.frames)


def keep_table(table: TimeTable, parts: FeatureStore, content: str) -> None:
    """Keeps the time table of a long video for all workers that make parts of it. Raises StorageError."""
    if not parts.has(content, _TIMES):
        parts.save(content, _TIMES, VideoFeatures(table.timeline, table.keys, {}, len(table.timeline)))


def embed_part(
    path: Path,
    timeline: Timeline,
    part: Part,
    backbone: Backbone,
    parts: FeatureStore,
    content: str,
    progress: Callable[[float], None] | None = None,
    density: Density = DEFAULT,
) -> VideoFeatures:
    """Makes a part of the video at `path` and puts it into the store of `parts`; one in which no frame decodes is empty. Returns it,
    with frame indices of the whole video. Raises VideoUnreadable and StorageError."""
    key = part_key(backbone.key + density.key, part)
    pts = timeline.pts[part.first : part.stop]
    with parts.writer(content, key) as writer:
        try:
            _, samples = embed_frames(path, timeline, part, backbone, density, writer, progress or (lambda share: None))
        except NothingDecodes:
            writer.append(_NO_FRAMES, {})
            samples = _NO_SAMPLES
        writer.commit(Timeline(pts, timeline.time_base, timeline.duration), len(part), samples)
    return parts.require(content, key)


def join(
    timeline: Timeline, cut: Sequence[Part], key: str, store: FeatureStore, parts: FeatureStore, content: str
) -> VideoFeatures | None:
    """Puts the features of a video into `store` whose parts are all there, and removes these; None while one is missing, or
    damaged. `key`: of the network, and how densely it looked. Raises NothingDecodes and StorageError."""
    with store.writer(content, key) as writer:
        last, samples = -1, []
        for part in cut:
            one = parts.load(content, part_key(key, part))
            if one is None:
                return None
            if not len(one.frames):
                continue
            if one.flow is not None:
                writer.append_flow(one.flow.frames, one.flow.rows)
            writer.append(one.frames, one.blocks)
            last = int(one.frames[-1])
            samples.append(one.samples)
        if last < 0:
            raise NothingDecodes("No frame of the video can be decoded.", "Encode it again as H.264.")
        writer.commit(timeline.truncated(last + 1), len(timeline), _together(samples))
    for part in cut:
        parts.drop(content, part_key(key, part))
    parts.drop(content, _TIMES)
    return store.require(content, key)


def long_video_features(
    path: Path,
    backbone: Backbone,
    store: FeatureStore,
    parts: FeatureStore,
    content: str,
    seconds: float,
    progress: Callable[[float], None] | None = None,
    density: Density = DEFAULT,
    made: Callable[[int, int, float], None] | None = None,
) -> VideoFeatures:
    """`video_features` of a video that is cut into parts of about `seconds`, see `parts_of`: those that are missing are made, then all
    are joined. A video of one part is embedded as it is. `made` is called with how many frames were decoded and embedded for it, and
    in how many seconds. Raises VideoUnreadable and StorageError."""
    key, told, note = backbone.key + density.key, progress or (lambda share: None), made or (lambda *figures: None)
    if (known := store.load(content, key)) is not None:
        return known
    table = read_table(path, parts, content)
    cut, started = parts_of(table, seconds), time.monotonic()
    if len(cut) == 1:
        features = video_features(path, backbone, store, content, progress, density)
        note(len(features.timeline), len(features.frames), time.monotonic() - started)
        return features
    # Other workers' processors may calculate in other numbers, which are as good; those of one video are never mixed.
    for other in backbone.keys[1:]:
        if all(parts.has(content, part_key(other + density.key, part)) for part in cut):
            found = join(table.timeline, cut, other + density.key, store, parts, content)
            if found is not None:
                return found
    for _ in range(_TRIES):
        # The last one first: other workers, who may be at it too, begin with the first.
        for done, part in enumerate(reversed(cut)):
            if (known := store.load(content, key)) is not None:
                return known
            if not parts.has(content, part_key(key, part)):
                started = time.monotonic()
                features = embed_part(
                    path,
                    table.timeline,
                    part,
                    backbone,
                    parts,
                    content,
                    lambda share, done=done: told((done + share) / len(cut)),  # type: ignore[misc]
                    density,
                )
                note(len(part), len(features.frames), time.monotonic() - started)
        if (found := join(table.timeline, cut, key, store, parts, content)) is not None:
            return found
    raise StorageError(
        f"Parts of the embeddings of {content} were removed from {parts.root} before all were there.",
        "Set CACHE_MAX_BYTES higher, and check the disk.",
    )


def _together(samples: Sequence[Samples]) -> Samples:
    columns = {name: [getattr(each, name) for each in samples] for name in vars(samples[0])}
    return Samples(**{name: np.concatenate(column) for name, column in columns.items()})
