"""Comparing the frames that Label Studio shows with the frames that the mapping says it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page

from benchmarks.alignment.player import click_region, go_to, length, open_task
from ml_backend.annotation import Region
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import Prediction, prediction_json
from ml_backend.video.timeline import (
    SEEK_PRECISION,
    FrameIndex,
    StudioFrame,
    StudioGrid,
    Timeline,
    read_timeline,
    studio_grid,
)

# How to find out which frame is on the page: the frame index, or None when the picture cannot be told; given what is expected.
Look = Callable[[Page, FrameIndex], int | None]


@dataclass(frozen=True)
class Sight:
    """One look at the editor: at Label Studio frame `frame` the mapping expects the frame index `expected`."""

    clip: str
    framerate: str | None
    how: str
    frame: int
    expected: int
    shown: int | None

    @property
    def off(self) -> int:
        """How many frames apart; a picture that cannot be read counts as a thousand."""
        return 1000 if self.shown is None else abs(self.shown - self.expected)


@dataclass(frozen=True)
class Sitting:
    """One clip opened under one `framerate`: what was looked at, and how many frames Label Studio and the mapping count."""

    looks: tuple[Sight, ...]
    studio_length: int
    our_length: int


def label_config(framerate: str | None) -> str:
    attribute = "" if framerate is None else f' frameRate="{framerate}"'
    labels = '<TimelineLabels name="labels" toName="video"><Label value="Ours"/></TimelineLabels>'
    return f'<View>{labels}<Video name="video" value="$video"{attribute} timelineHeight="200"/></View>'


def sit_down(
    page: Page,
    studio: Studio,
    project: int,
    question: Question,
    data: Mapping[str, Any],
    path: Path,
    look: Look,
    *,
    frames: int = 16,
) -> Sitting:
    """Makes a task of a video with predicted regions, opens it, goes to `frames` Label Studio frames and to both ends of each region.

    The regions are the way back: their ends are clicked or gone to, and the frames beside them must show other pictures.
    """
    timeline = read_timeline(path)
    grid = studio_grid(timeline, question.framerate_of(data))
    spans = _spans(grid)
    [task] = studio.import_tasks(project, [data])
    if spans:
        regions = tuple(
            Region(f"ours-{i}", *span, ("Ours",), "prediction", 0.9) for i, (_, _, span) in enumerate(spans)
        )
        created = studio.post(
            f"/api/projects/{project}/import/predictions",
            [prediction_json(Prediction(task, "ours-v1", regions, 0.9), question)],
        )
        assert created["created"] == 1, created
    open_task(page, studio, project, task, len(spans))
    looks: list[Sight] = []

    def look_at(how: str, frame: int, expected: FrameIndex) -> None:
        shown = look(page, expected)
        looks.append(Sight(path.name, question.framerate, how, frame, expected, shown))

    for frame in _to_visit(timeline, grid, frames):
        go_to(page, frame)
        look_at("seek", frame, grid.index(frame))
    for position, (first, last, (start, end)) in enumerate(spans):
        click_region(page, position)
        look_at("region start", start, grid.index(start))
        go_to(page, end)
        look_at("region end", end, grid.index(end))
        assert first <= grid.index(start) <= grid.index(end) <= last
        for beside in (start - 1, end + 1):
            if 1 <= beside <= len(grid):
                go_to(page, beside)
                look_at("beside region", beside, grid.index(StudioFrame(beside)))
                assert not first <= grid.index(StudioFrame(beside)) <= last
    return Sitting(tuple(looks), length(page), len(grid))


def _spans(grid: StudioGrid) -> list[tuple[FrameIndex, FrameIndex, tuple[StudioFrame, StudioFrame]]]:
    """A region over the first frames, one over a single frame in the middle and one over the last frames."""
    n = len(grid.timeline)
    wanted = ((0, n // 5), (n // 2, n // 2), (n - 1 - n // 4, n - 1)) if n > 4 else ((0, n - 1),)
    found = [(FrameIndex(a), FrameIndex(b), grid.span(FrameIndex(a), FrameIndex(b))) for a, b in wanted]
    return [(first, last, span) for first, last, span in found if span is not None]


def _to_visit(timeline: Timeline, grid: StudioGrid, count: int) -> list[StudioFrame]:
    """Label Studio frames to go to: both ends, those whose seek is nearest to where a frame begins, and others by chance."""
    seeks = np.round((np.arange(len(grid)) / grid.framerate) / SEEK_PRECISION) * SEEK_PRECISION + SEEK_PRECISION
    starts = timeline.microseconds / 1e6
    nearest = np.abs(seeks[:, None] - starts[None, :]).min(axis=1)
    risky = np.argsort(nearest, kind="stable")[: count // 3] + 1
    rng = np.random.default_rng(len(grid))
    others = rng.permutation(np.arange(1, len(grid) + 1))
    chosen: Sequence[int] = [1, len(grid), 2, len(grid) - 1, *risky.tolist(), *others.tolist()]
    visits = [StudioFrame(frame) for frame in dict.fromkeys(chosen) if 1 <= frame <= len(grid)][:count]
    # Forwards and backwards, as people do.
    return [visits[i] for i in rng.permutation(len(visits))]
