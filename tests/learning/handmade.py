"""Videos made by hand: timelines of scenes, whose features are those of the scenes plus noise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from hypothesis import strategies as st

from ml_backend.annotation import Annotation, Origin, Region
from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.video.timeline import StudioFrame, StudioGrid, Timeline

DIMENSIONS = {"appearance": 40, "middle": 16, "early": 12, "motion": 10}


def timeline(frames: int, fps: int = 24) -> Timeline:
    return Timeline(np.arange(frames, dtype=np.int64), Fraction(1, fps), Fraction(frames, fps))


def grid(frames: int, shown: Sequence[int] | None = None) -> StudioGrid:
    every = np.arange(frames) if shown is None else np.asarray(shown)
    return StudioGrid(timeline(frames), 24.0, every.astype(np.int64))


def region(start: int, end: int, *labels: str, name: str = "hand-made", origin: Origin = "manual") -> Region:
    return Region(name, StudioFrame(start), StudioFrame(end), labels, origin)


def annotation(
    *regions: Region, number: int = 1, ground_truth: bool = False, reviewed: bool | None = None
) -> Annotation:
    return Annotation(
        number,
        7,
        regions,
        datetime(2026, 1, 1, tzinfo=UTC),
        author=number,
        ground_truth=ground_truth,
        reviewed=reviewed,
    )


@st.composite
def annotations(draw: st.DrawFn) -> list[Annotation]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        regions = [
            region(
                draw(st.integers(-2, 34)),
                draw(st.integers(-2, 34)),
                *draw(st.sets(st.sampled_from(["cat", "dog", "cow"]), max_size=2)),
                name=draw(st.sampled_from(["kf-1", "cold-v1-2", "x"])),
                origin=draw(st.sampled_from(["manual", "prediction", "prediction-changed"])),
            )
            for _ in range(draw(st.integers(0, 4)))
        ]
        made.append(
            annotation(
                *regions,
                number=number,
                ground_truth=draw(st.booleans()),
                reviewed=draw(st.sampled_from([None, True, False])),
            )
        )
    return made


@st.composite
def grids(draw: st.DrawFn) -> StudioGrid:
    frames = draw(st.integers(1, 30))
    shown: Sequence[int] = sorted(draw(st.lists(st.integers(0, frames - 1), min_size=1, max_size=40)))
    return grid(frames, shown)


def labelled(truth: Sequence[int], frames: Sequence[int], labels: Sequence[str]) -> FrameLabels:
    """Frame labels that know the class of `frames`; class len(labels) is none of the labels."""
    values = np.full((len(truth), len(labels)), -1, np.int8)
    weight = np.zeros(len(truth), np.float32)
    for frame in frames:
        values[frame] = [int(truth[frame] == column) for column in range(len(labels))]
        weight[frame] = 1
    return FrameLabels(tuple(labels), values, weight)


def video(truth: Sequence[int], room: int = 0, seed: int = 0, step: int = 1) -> VideoFeatures:
    """A video whose frame i shows scene truth[i] in a room of its own look, every `step`th frame embedded."""
    rng = np.random.default_rng(seed)
    embedded = np.unique([*range(0, len(truth), step), len(truth) - 1]).astype(np.int64)
    blocks = {}
    for position, (name, width) in enumerate(DIMENSIONS.items()):
        scenes = np.random.default_rng([1, position]).normal(0, 1, (8, width))
        look = np.random.default_rng([2, position, room]).normal(0, 2, width)
        noise = rng.normal(0, 0.3, (len(truth), width))
        blocks[name] = (scenes[np.asarray(truth)] + look + noise)[embedded].astype(np.float16)
    return VideoFeatures(timeline(len(truth)), embedded, blocks, len(truth))


def dark_then_bright(path: Path, dark: int, bright: int) -> Path:
    """Encodes so many dark frames, 10 a second, then so many bright ones, at `path`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(dark + bright):
            picture = np.full((64, 64, 3), 30 if number < dark else 220, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
