"""From a video file to its features: decoded once, and in the same pass hashed, embedded where it changes, and stored. More of its frames
are embedded later, for example around a label's change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import BLOCKS, Samples, VideoFeatures
from ml_backend.features.flow import flow
from ml_backend.features.hashing import SAMPLES_PER_SECOND, Sampling, sampled_frames
from ml_backend.features.motion import REACH, motion
from ml_backend.features.selection import DEFAULT, Density, Interval, Rows, Selection
from ml_backend.features.store import EntryWriter, FeatureStore
from ml_backend.video.decode import NothingDecodes, Picture, Pulse, decode, in_background
from ml_backend.video.parts import Part, whole
from ml_backend.video.timeline import FrameIndex, Timeline, read_timeline
from ml_backend.video.view import PICTURE, View
from sampling.candidates import unit

_CHUNK = 256


class RowWriter:
    """Takes the intervals of a video in order and writes the rows of their embedded frames.

    Holds as many frames as motion reaches back and ahead, and embeddings up to one embedded frame beyond.
    """

    def __init__(self, writer: EntryWriter) -> None:
        self._writer = writer
        self._start = 0  # position of the first grey picture held
        self._next = 0  # the first position not written yet
        self._grey: list[NDArray[np.uint8]] = []
        self._rows: dict[int, Rows] = {}
        self._indices: dict[int, int] = {}

    def begin(self, first: Picture) -> None:
        """The video's first frame."""
        self._indices[0] = first.index
        self._grey.append(first.grey[None])
        self._writer.append_flow(np.array([first.index], np.int64), flow(first.soft[None], np.zeros(1, np.int64)))

    def add(self, interval: Interval) -> None:
        self._grey.append(interval.grey[1:])
        self._writer.append_flow(interval.flow_frames, interval.flow)
        self._rows.update(interval.rows)
        self._indices.update({p: int(interval.indices[p - interval.first]) for p in interval.rows})
        have = interval.first + len(interval.indices)
        if have - self._next > _CHUNK + REACH:
            self._write(have - REACH)

    def finish(self, only: Rows | None) -> None:
        """Writes what is left; `only` is the row of a video of a single frame."""
        if only is not None:
            self._rows[0] = only
        have = self._start + sum(map(len, self._grey))
        self._write(have)

    def _write(self, stop: int) -> None:
        grey = np.concatenate(self._grey)
        held = np.array(sorted(self._rows))
        appearance = np.stack([self._rows[position]["appearance"] for position in held])
        moved = motion(grey, held - self._start, appearance)
        writing = held[(held >= self._next) & (held < stop)]
        rows = [self._rows[position] for position in writing]
        blocks = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        self._writer.append(
            np.array([self._indices[position] for position in writing], np.int64),
            {**blocks, "motion": moved[writing - self._start]},
        )
        self._next = stop
        keep = int(held[held <= max(stop - REACH, 0)][-1])
        self._grey = [grey[keep - self._start :]]
        self._start = keep
        for position in held[held < keep].tolist():
            del self._rows[position], self._indices[position]


__all__ = ["BLOCKS", "Density", "VideoFeatures", "video_features"]

_BLOCKS_AHEAD = 2
# Look-back in frames: enough to fill a few batches when one frame in ten is embedded.
_HELD_FRAMES, _HELD_BATCHES = 1024, 32
_IN_FLIGHT = 2

Embedded = Mapping[str, NDArray[np.float32]]


def video_features(
    path: Path,
    backbone: Backbone,
    store: FeatureStore,
    content: str,
    progress: Callable[[float], None] | None = None,
    density: Density = DEFAULT,
) -> VideoFeatures:
    """The features of the video at `path`, whose content hash is `content`: from `store`, or made and put there.

    `progress` is called with the share of frames done, 0..1. Raises VideoUnreadable, StorageError.
    """
    key = backbone.key + density.key
    if (known := store.load(content, key)) is not None:
        return known
    timeline, told = read_timeline(path), progress or (lambda share: None)
    with store.writer(content, key) as writer:
        last, samples = embed_frames(path, timeline, whole(timeline), backbone, density, writer, told)
        writer.commit(timeline.truncated(last + 1), len(timeline), samples)
    told(1.0)
    return store.require(content, key)


def _blocks(path: Path, timeline: Timeline, part: Part, size: int, pulse: Pulse, view: View) -> Iterator[list[Picture]]:
    block: list[Picture] = []
    for picture in decode(path, timeline, first=part.first, last=part.last, pulse=pulse, view=view):
        block.append(picture)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def embed_frames(
    path: Path,
    timeline: Timeline,
    part: Part,
    backbone: Backbone,
    density: Density,
    writer: EntryWriter,
    progress: Callable[[float], None],
) -> tuple[FrameIndex, Samples]:
    """Writes the rows of a part of a video, which depend on nothing outside of it; returns its last frame that decodes, and its
    samples. The writer is still to be committed. Raises NothingDecodes, VideoUnreadable, and StorageError."""
    pulse = Pulse()
    stride = density.stride_in(len(timeline))
    with ThreadPoolExecutor(1, thread_name_prefix="network") as pool:
        taken = ViewPass(timeline, backbone, density, writer, pool, part=part)
        for block in in_background(
            lambda: _blocks(path, timeline, part, stride, pulse, backbone.view), _BLOCKS_AHEAD, pulse=pulse
        ):
            taken.add(block)
            progress((taken.reached - part.first) / len(part))
        return taken.finish(), taken.samples()


class ViewPass:
    """One view of a video while that is decoded: takes its pictures in order, embeds those that are worth it, and writes their rows.

    `share`: of the memory that may be taken for pictures in flight, where several views are looked at at once. `part`: the one that
    is decoded; None for the whole video.
    """

    def __init__(
        self,
        timeline: Timeline,
        backbone: Backbone,
        density: Density,
        writer: EntryWriter,
        pool: ThreadPoolExecutor,
        share: float = 1.0,
        part: Part | None = None,
    ) -> None:
        part = part or whole(timeline)
        sampled = sampled_frames(timeline, SAMPLES_PER_SECOND)
        self._selection = Selection(density)
        self._rows = RowWriter(writer)
        self._sampling = Sampling(sampled[(sampled >= part.first) & (sampled < part.stop)])
        self._network = _Network(backbone, pool, self._selection, share)
        self._last: Picture | None = None
        self.reached = part.first  # the last frame whose rows are known

    def add(self, block: Sequence[Picture]) -> None:
        """The next pictures, as many as lie between two that are embedded anyway."""
        for picture in block:
            if self._sampling.due(picture.index):
                self._sampling.add(picture)
        if self._last is None:
            self._selection.begin(block[0])
            self._rows.begin(block[0])
        pictures = block if self._last is None else [self._last, *block]
        self._last = block[-1]
        if len(pictures) > 1:
            self._selection.add(pictures)
        self._network.feed()
        self._write()

    def finish(self) -> FrameIndex:
        """Writes what is left; returns the last frame. The writer is still to be committed."""
        self._network.finish()
        self._write()
        if self._last is None:
            raise NothingDecodes(
                "No frame can be decoded.", "Check that it plays in a browser, or encode it again as H.264."
            )
        self._rows.finish(self._selection.only_row())
        return self._last.index

    def samples(self) -> Samples:
        """To be called after `finish`."""
        return self._sampling.finish()

    def _write(self) -> None:
        for interval in self._selection.done():
            self._rows.add(interval)
            self.reached = FrameIndex(int(interval.indices[-1]))


class _Network:
    """Keeps the network busy with full batches of what the selection wants, and brings the embeddings back to it."""

    def __init__(self, backbone: Backbone, pool: ThreadPoolExecutor, selection: Selection, share: float = 1.0) -> None:
        self._backbone = backbone
        self._pool = pool
        self._selection = selection
        # Of larger pictures as much memory as of the usual ones.
        most = round(share * max(_HELD_FRAMES, _HELD_BATCHES * backbone.batch))
        self._most = most * PICTURE**2 // max(backbone.view.side, PICTURE) ** 2
        self._jobs: deque[tuple[list[int], Future[tuple[Embedded, NDArray[np.float32]]]]] = deque()

    def feed(self) -> None:
        """Starts what can be started; waits only when too many pictures are held."""
        self._collect()
        self._start(self._backbone.batch)
        while self._selection.held > self._most:
            self._start(1)
            self._wait()
            self._start(self._backbone.batch)

    def finish(self) -> None:
        while self._jobs or self._selection.wanted:
            self._start(1)
            self._wait()

    def _start(self, at_least: int) -> None:
        wanted = self._selection.wanted
        while len(wanted) >= at_least and wanted and len(self._jobs) < _IN_FLIGHT:
            batch = [wanted.popleft() for _ in range(min(len(wanted), self._backbone.batch))]
            pictures = [picture for _, picture in batch]
            self._jobs.append(([position for position, _ in batch], self._pool.submit(self._run, pictures)))

    def _run(self, pictures: Sequence[Picture]) -> tuple[Embedded, NDArray[np.float32]]:
        embedded = self._backbone.embed(np.stack([picture.rgb for picture in pictures]))
        return embedded, unit(embedded["appearance"])

    def _collect(self) -> None:
        while self._jobs and self._jobs[0][1].done():
            self._wait()

    def _wait(self) -> None:
        positions, job = self._jobs.popleft()
        embedded, directions = job.result()
        for at, position in enumerate(positions):
            self._selection.put(position, {name: values[at] for name, values in embedded.items()}, directions[at])


# Parts of a video further apart than this are sought one by one instead of decoding what lies between.
_FAR = 300
_AHEAD = 32


def refine(
    path: Path,
    features: VideoFeatures,
    frames: Iterable[int],
    backbone: Backbone,
    store: FeatureStore,
    content: str,
) -> VideoFeatures:
    """`features` with the frame indices `frames` embedded as well; the store's entry is replaced by the result.

    Decodes only the parts of the video that these frames are in. Raises VideoUnreadable, StorageError.
    """
    asked = np.unique(np.fromiter(frames, np.int64))
    new = np.setdiff1d(asked[(asked >= 0) & (asked < len(features))], features.frames)
    if not len(new):
        return features
    found: list[NDArray[np.int64]] = [features.frames]
    # An entry of an older version may hold blocks that are no longer made.
    blocks: dict[str, list[NDArray[np.floating]]] = {name: [features.blocks[name]] for name in BLOCKS}
    for part in np.split(new, np.flatnonzero(np.diff(new) > _FAR) + 1):
        got, rows = _part(path, features, part, backbone)
        found.append(got)
        for name in blocks:
            blocks[name].append(rows[name])
    order = np.argsort(np.concatenate(found), kind="stable")
    merged = replace(
        features,
        frames=np.concatenate(found)[order],
        blocks={name: np.concatenate(parts).astype(np.float16)[order] for name, parts in blocks.items()},
    )
    store.save(content, backbone.key, merged)
    return merged


def _part(
    path: Path, features: VideoFeatures, new: NDArray[np.int64], backbone: Backbone
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.floating]]]:
    first, last = max(int(new[0]) - REACH, 0), min(int(new[-1]) + REACH, len(features) - 1)
    asked = set(new.tolist())
    indices: list[int] = []
    grey: list[NDArray[np.uint8]] = []
    got: list[int] = []
    batch: list[Picture] = []
    rows: dict[str, list[NDArray[np.floating]]] = {}

    def embed() -> None:
        for name, values in backbone.embed(np.stack([picture.rgb for picture in batch])).items():
            rows.setdefault(name, []).append(values)
        batch.clear()

    pulse = Pulse()

    def decoded() -> Iterator[Picture]:
        return decode(
            path, features.timeline, first=FrameIndex(first), last=FrameIndex(last), pulse=pulse, view=backbone.view
        )

    for picture in in_background(decoded, _AHEAD, pulse=pulse):
        indices.append(picture.index)
        grey.append(picture.grey)
        if picture.index in asked:
            got.append(picture.index)
            batch.append(picture)
            if len(batch) == backbone.batch:
                embed()
    if batch:
        embed()
    if not got:
        return np.zeros(0, np.int64), {name: features.blocks[name][:0] for name in BLOCKS}
    blocks: dict[str, NDArray[np.floating]] = {name: np.concatenate(parts) for name, parts in rows.items()}
    at = np.array(got, np.int64)
    # Motion counts frames by their position among the decoded ones, and needs an embedding at or beyond either end.
    near = np.unique(np.searchsorted(features.frames, [first, last], side="right").clip(0, len(features.frames) - 1))
    known = slice(max(int(near[0]) - 1, 0), int(near[-1]) + 1)
    positions = np.concatenate([features.frames[known], at])
    appearance = np.concatenate([features.blocks["appearance"][known].astype(np.float32), blocks["appearance"]])
    order = np.argsort(positions)
    moved = motion(np.stack(grey), positions[order] - indices[0], appearance[order])
    blocks["motion"] = moved[np.searchsorted(indices, at)]
    return at, blocks
