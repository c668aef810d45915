"""From a video file to its features: decoded once, and in the same pass hashed, embedded where it changes, and stored.

Three threads work at a time, with bounded queues between them: one decodes and scales, one runs the network, and the
caller's chooses frames and writes rows. What is held does not grow with the length of the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import BLOCKS, VideoFeatures
from ml_backend.features.density import DEFAULT, Density
from ml_backend.features.hashing import SAMPLES_PER_SECOND, Sampling, sampled_frames
from ml_backend.features.row_writer import RowWriter
from ml_backend.features.selection import Selection
from ml_backend.features.store import EntryWriter, FeatureStore
from ml_backend.video.decode import Picture, Pulse, decode, in_background
from ml_backend.video.timeline import Timeline, read_timeline
from ml_backend.video.view import PICTURE, View
from sampling.unit import unit

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
    timeline = read_timeline(path)
    with store.writer(content, key) as writer:
        _embed(path, timeline, backbone, density, writer, progress or (lambda share: None))
    return store.require(content, key)


def _blocks(path: Path, timeline: Timeline, size: int, pulse: Pulse, view: View) -> Iterator[list[Picture]]:
    block: list[Picture] = []
    for picture in decode(path, timeline, pulse=pulse, view=view):
        block.append(picture)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _embed(
    path: Path,
    timeline: Timeline,
    backbone: Backbone,
    density: Density,
    writer: EntryWriter,
    progress: Callable[[float], None],
) -> None:
    selection = Selection(density)
    rows = RowWriter(writer)
    sampling = Sampling(sampled_frames(timeline, SAMPLES_PER_SECOND))
    pulse = Pulse()
    stride = density.stride_in(len(timeline))
    last: Picture | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="network") as pool:
        network = _Network(backbone, pool, selection)
        for block in in_background(
            lambda: _blocks(path, timeline, stride, pulse, backbone.view), _BLOCKS_AHEAD, pulse=pulse
        ):
            for picture in block:
                if sampling.due(picture.index):
                    sampling.add(picture)
            if last is None:
                selection.begin(block[0])
                rows.begin(block[0])
            pictures = block if last is None else [last, *block]
            last = block[-1]
            if len(pictures) > 1:
                selection.add(pictures)
            network.feed()
            for interval in selection.done():
                rows.add(interval)
                progress(interval.indices[-1] / len(timeline))
        network.finish()
        for interval in selection.done():
            rows.add(interval)
    if last is None:
        raise AssertionError("a decoder that gives no frame has raised by now")
    rows.finish(selection.only_row())
    writer.commit(timeline.truncated(last.index + 1), len(timeline), sampling.finish())
    progress(1.0)


class _Network:
    """Keeps the network busy with full batches of what the selection wants, and brings the embeddings back to it."""

    def __init__(self, backbone: Backbone, pool: ThreadPoolExecutor, selection: Selection) -> None:
        self._backbone = backbone
        self._pool = pool
        self._selection = selection
        # Of larger pictures as much memory as of the usual ones.
        most = max(_HELD_FRAMES, _HELD_BATCHES * backbone.batch)
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
