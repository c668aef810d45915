"""The features of individuals: of each what a view sees that moves with it, made for all of a video in one decode, and several of
them behind each other as one video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import BLOCKS, Flow, Samples, VideoFeatures
from ml_backend.features.embedding import ViewPass
from ml_backend.features.flow import COLUMNS, STEPS
from ml_backend.features.selection import DEFAULT, Density
from ml_backend.features.store import FeatureStore
from ml_backend.video.decode import Picture, Pulse, in_background
from ml_backend.video.moving_view import Cutter, MovingView
from ml_backend.video.timeline import Timeline, read_timeline
from ml_backend.video.view import GREY
from ml_backend.video.whole_frames import decode_whole

_AHEAD = 8
# Pictures held in flight for all views of a video together count as for one.
_LEAST_SHARE = 1 / 16


def stored(
    store: FeatureStore, content: str, backbone: Backbone, view: MovingView, density: Density = DEFAULT
) -> VideoFeatures | None:
    """The features of a view, as a worker on whatever processor has kept them; None where they are still to be made."""
    keys = (key + density.key + view.key for key in backbone.at(None).keys)
    return next((found for key in keys if store.has(content, key) and (found := store.load(content, key))), None)


def moving_features(
    path: Path,
    views: Sequence[MovingView],
    backbone: Backbone,
    store: FeatureStore,
    content: str,
    progress: Callable[[float], None] | None = None,
    density: Density = DEFAULT,
) -> list[VideoFeatures | None]:
    """The features of each of the views, with frame indices of the video: from `store`, or made and put there; those that are made
    are made in one decode. None of a view of which no frame decodes.

    A fixed part of the picture has no say, since boxes are of all of it. `progress` is called with the share of frames done,
    0..1. Raises VideoUnreadable, StorageError.
    """
    backbone = backbone.at(None)
    known = [stored(store, content, backbone, view, density) for view in views]
    missing = [at for at, found in enumerate(known) if found is None]
    if missing:
        timeline = read_timeline(path)
        with ExitStack() as stack:
            keys = [backbone.key + density.key + views[at].key for at in missing]
            writers = [stack.enter_context(store.writer(content, key)) for key in keys]
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="network"))
            share = max(1 / len(missing), _LEAST_SHARE)
            passes = [ViewPass(timeline, backbone, density, writer, pool, share) for writer in writers]
            seen = _look(path, timeline, [views[at] for at in missing], passes, backbone, density, progress)
            for each, writer, some in zip(passes, writers, seen, strict=True):
                if some:
                    each.finish()
                    writer.commit(timeline, len(timeline), each.samples())
        for at, key in zip(missing, keys, strict=True):
            known[at] = store.load(content, key)
    return known


def _look(
    path: Path,
    timeline: Timeline,
    views: Sequence[MovingView],
    passes: Sequence[ViewPass],
    backbone: Backbone,
    density: Density,
    progress: Callable[[float], None] | None,
) -> list[bool]:
    """Hands each pass the pictures of its view, in blocks; returns whether it had any."""
    pulse = Pulse()
    strides = [density.stride_in(len(view)) for view in views]
    blocks: list[list[Picture]] = [[] for _ in views]
    begun = [False] * len(views)
    side = backbone.view.side
    for index, pictures in in_background(lambda: _cut(path, timeline, views, side, pulse), _AHEAD, pulse=pulse):
        for number, picture in pictures:
            blocks[number].append(picture)
            if len(blocks[number]) == strides[number]:
                passes[number].add(blocks[number])
                blocks[number], begun[number] = [], True
        if progress is not None:
            progress((index + 1) / len(timeline))
    for number, block in enumerate(blocks):
        if block:
            passes[number].add(block)
            begun[number] = True
    return begun


def _cut(
    path: Path, timeline: Timeline, views: Sequence[MovingView], side: int, pulse: Pulse
) -> Iterator[tuple[int, list[tuple[int, Picture]]]]:
    """Of each frame that any of the views shows, the number of each that does, with its picture."""
    cutter = Cutter(side)
    places: dict[int, list[tuple[int, int]]] = {}
    for number, view in enumerate(views):
        for at, frame in enumerate(view.frames.tolist()):
            places.setdefault(frame, []).append((number, at))
    last = max(places, default=-1)
    for index, coded in decode_whole(path, timeline):
        pulse.beat()
        if index > last:
            return
        if index in places:
            whole = cutter.whole(coded.frame)
            yield index, [(number, cutter.cut(whole, index, views[number], at)) for number, at in places[index]]


def joined(parts: Sequence[VideoFeatures | None], views: Sequence[MovingView]) -> VideoFeatures:
    """The features of individuals as those of one video, which shows each of them in turn, and of each only the frames in which it is in
    the picture. `parts`: of each view, as `moving_features` gives them.

    Frame i of the result is frame i of all views' `frames` behind each other. What is taken for the camera's motion in an ordinary
    video is the view's own here, which is known: so how fast an individual goes is seen on any floor.
    """
    timeline = next((part.timeline for part in parts if part is not None), None)
    if timeline is None:
        raise VideoUnreadable("Nobody is in this video.", "Draw a box around somebody, or choose another detector.")
    starts = np.cumsum([0, *(len(view) for view in views)])
    frames, flow_frames, flow_rows = [], [], []
    blocks: dict[str, list[NDArray[np.float16]]] = {name: [] for name in BLOCKS}
    samples: list[Samples] = []
    for start, part, view in zip(starts.tolist()[:-1], parts, views, strict=True):
        if part is None:
            continue
        frames.append(start + np.searchsorted(view.frames, part.frames))
        for name in BLOCKS:
            blocks[name].append(part.blocks[name])
        if part.flow is not None:
            at = np.searchsorted(view.frames, part.flow.frames)
            flow_frames.append(start + at)
            flow_rows.append(_with_way(part.flow, view, at))
        own = part.samples
        known = {name: each for name, each in vars(own).items() if each is not None}
        samples.append(Samples(**{**known, "frames": start + np.searchsorted(view.frames, own.frames)}))
    return VideoFeatures(
        joined_timeline(timeline, views),
        np.concatenate(frames),
        {name: np.concatenate(rows) for name, rows in blocks.items()},
        int(starts[-1]),
        _samples(samples),
        flow=Flow(np.concatenate(flow_frames), np.concatenate(flow_rows)) if flow_frames else None,
    )


def _with_way(flow: Flow, view: MovingView, at: NDArray[np.int64]) -> NDArray[np.float16]:
    rows = np.array(flow.rows)
    for number, step in enumerate(STEPS):
        rows[:, number * COLUMNS : number * COLUMNS + 2] = -GREY * view.moved(step)[at]
    return rows


def joined_timeline(own: Timeline, views: Sequence[MovingView]) -> Timeline:
    """When each frame of all views behind each other would be shown: as long as in the video, and gaps are cut."""
    lasting = np.diff(own.pts, append=own.pts[-1:] + _usual(own))
    usual = _usual(own)
    lengths = np.minimum(np.concatenate([lasting[view.frames] for view in views]), 4 * usual)
    ends = np.cumsum(lengths)
    duration = Fraction(int(ends[-1])) * own.time_base
    return Timeline((ends - lengths).astype(np.int64), own.time_base, duration)


def _usual(own: Timeline) -> int:
    gaps = np.diff(own.pts)
    return max(int(np.median(gaps[gaps > 0])), 1) if (gaps > 0).any() else max(round(1 / 25 / own.time_base), 1)


def _samples(parts: Sequence[Samples]) -> Samples:
    names = [name for name, each in vars(parts[0]).items() if each is not None]
    return Samples(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
