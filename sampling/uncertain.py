"""Frames that a model makes worth asking about: those of which it is unsure, those around predicted changes (margin sampling: Settles,
2009, section 3.1), and those that most probably show what has been labeled least."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Floats, Frames, free, indices, nearest, time_to, unit


def rare(
    probabilities: NDArray[np.floating],
    count: int,
    *,
    examples: ArrayLike,
    exclusive: bool,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
) -> Frames:
    """Choose `count` frames, one after the other: the one with the greatest probability of a label over its examples.

    `probabilities` (m, L) in 0..1 of the ascending frame indices `frames` (m,) int64 (default 0..m-1); `examples` (L,)
    0 or more: how many labelled frames each label has. A label's probability p counts as p / (1 + examples), and every
    pick adds its probabilities to the examples; when `exclusive`, rows that sum to more than 1 count as if they summed
    to 1. `labelled` (k,) frame indices and picks stay `gap` frames apart. `seed` decides between equals. Returns at most
    `count` sorted, distinct frame indices; none where no label is possible. Raises ValueError for arrays that do not fit
    together.
    """
    rows = np.asarray(probabilities, np.float64)
    index = indices(len(rows), frames)
    met = np.asarray(examples, np.float64).copy()
    if rows.ndim != 2 or met.shape != rows.shape[1:] or (met < 0).any():
        raise ValueError(f"examples {met.tolist()} are not counts of the labels of probabilities {rows.shape}")
    if not rows.size:
        return np.empty(0, np.int64)
    if exclusive:
        rows = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    open_ = free(index, labelled, gap)
    shuffled = np.random.default_rng(seed).permutation(len(index))
    chosen: list[int] = []
    while len(chosen) < count:
        score = np.where(open_, (rows / (1 + met)).max(axis=1), 0.0)
        best = int(shuffled[score[shuffled].argmax()])
        if score[best] <= 0:
            break
        chosen.append(int(index[best]))
        met += rows[best]
        open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)


def boundary(
    probabilities: NDArray[np.floating],
    count: int,
    *,
    exclusive: bool,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
) -> Frames:
    """Choose `count` frames at predicted changes, the least sure changes first, on both sides of each.

    `probabilities` (m, L) in 0..1 of the ascending frame indices `frames` (m,) int64 (default 0..m-1). A change is where
    the answer of one frame (`exclusive`: the most probable label or none; else the labels of .5 and more) is not that of
    the next. Its two sides are the frames next to it, or as much farther out as it takes for them to be `gap` frames
    apart without leaving the stretches that it divides. No pick is nearer than `gap` frames to another, or to the frame
    indices `labelled` (k,). `seed` decides between equals. Returns at most `count` sorted, distinct frame indices; fewer
    when there are fewer changes. Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(probabilities), frames)
    changes = changes_of(probabilities, exclusive)
    doubt = margin(probabilities, exclusive)
    least_sure = np.maximum(doubt[changes], doubt[changes + 1])
    shuffled = np.random.default_rng(seed).permutation(len(changes))
    order = shuffled[np.argsort(-least_sure[shuffled], kind="stable")]
    open_ = free(index, labelled, gap)
    chosen: list[int] = []
    for number in order.tolist():
        start = int(changes[number - 1]) + 1 if number else 0
        end = int(changes[number + 1]) if number + 1 < len(changes) else len(index) - 1
        sides = _sides(index, start, int(changes[number]), end, gap)
        for position in sorted(sides, key=lambda side: -doubt[side]):
            if len(chosen) < count and open_[position]:
                chosen.append(int(index[position]))
                open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)


def changes_of(probabilities: NDArray[np.floating], exclusive: bool) -> NDArray[np.int64]:
    """(c,) int64 ascending: the positions whose answer is another than that of the next."""
    answers = with_none(probabilities).argmax(axis=1)[:, None] if exclusive else np.asarray(probabilities) >= 0.5
    return np.flatnonzero((answers[1:] != answers[:-1]).any(axis=1))


def _sides(frames: Frames, start: int, last: int, end: int, gap: int) -> tuple[int, int]:
    """Positions in start..last and last + 1..end, as near to each other as `gap` frames allow."""
    middle = (frames[last] + frames[last + 1]) / 2
    before = int(np.searchsorted(frames, middle - gap / 2, side="right")) - 1
    before = min(max(before, start), last)
    after = int(np.searchsorted(frames, frames[before] + gap))
    after = min(max(after, last + 1), end)
    # Where the stretch behind the change is too short, the side before it moves out instead.
    before = min(before, max(start, int(np.searchsorted(frames, frames[after] - gap, side="right")) - 1))
    return before, after


Measure = Literal["margin", "entropy", "disagreement"]

# Of two frames of which the model is entirely sure, the one farther from what was answered still comes first.
_LEAST = 1e-6
# Rows whose cosine is nearer to 1 than this are the same picture.
_SAME = 1e-5


def uncertain(
    probabilities: NDArray[np.floating],
    count: int,
    *,
    exclusive: bool,
    frames: ArrayLike | None = None,
    embeddings: NDArray[np.floating] | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
    measure: Measure = "margin",
) -> Frames:
    """Choose `count` frames, one after the other: the one whose uncertainty times its distance to what is known is greatest.

    `probabilities` (m, L) in 0..1 of the ascending frame indices `frames` (m,) int64 (default 0..m-1); `exclusive`: at
    most one label holds of a frame, and what the rows lack to 1 is "none of them". Known are the frame indices
    `labelled` (k,) and those picked before. The distance is 1 - cosine of the `embeddings` (m, d), of which a labelled
    frame without a row of its own has the nearest one's; without embeddings it is in time. `gap`: least distance in
    frames between two picks, and of a pick to what is labelled. `seed` decides between equals. Returns at most `count`
    sorted, distinct frame indices; never a labelled one, and with embeddings never a picture that is labelled or picked.
    Raises ValueError for arrays that do not fit together.

    More than about five from the same probabilities ask about the same confusion again: fit the model in between.
    """
    index = indices(len(probabilities), frames)
    if embeddings is not None and len(embeddings) != len(index):
        raise ValueError(f"{len(embeddings)} embeddings do not belong to {len(index)} rows of probabilities")
    if not len(index) or count < 1:
        return np.empty(0, np.int64)
    doubt = measured(probabilities, exclusive, measure) + _LEAST
    known = np.unique(np.asarray([] if labelled is None else labelled, np.int64))
    distance = _Distance(index, embeddings, known)
    open_ = free(index, known, gap)
    shuffled = np.random.default_rng(seed).permutation(len(index))
    chosen: list[int] = []
    while len(chosen) < count:
        score = np.where(open_ & (distance.least > _SAME), doubt * distance.relative, 0.0)
        best = int(shuffled[score[shuffled].argmax()])
        if score[best] <= 0:
            break
        chosen.append(int(index[best]))
        distance.learn(best)
        open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)


def measured(probabilities: NDArray[np.floating], exclusive: bool, measure: Measure) -> Floats:
    """(m,) in 0..1 by the named measure. Raises ValueError when there is none of that name."""
    measures = {"margin": margin, "entropy": entropy, "disagreement": disagreement}
    if measure not in measures:
        raise ValueError(f"{measure!r} is not a measure of uncertainty: {', '.join(measures)}")
    return measures[measure](probabilities, exclusive)


def margin(probabilities: NDArray[np.floating], exclusive: bool) -> Floats:
    """(m,) in 0..1, 1 where two answers are equally probable.

    Exclusive: of the two most probable answers, "none of them" being one; else of yes and no for the label nearest .5.
    """
    if not exclusive:
        return np.asarray(1 - np.abs(2 * _rows(probabilities) - 1).min(axis=1, initial=1))
    answers = np.sort(with_none(probabilities), axis=1)
    return np.asarray(1 - (answers[:, -1] - answers[:, -2])) if answers.shape[1] > 1 else np.zeros(len(answers))


def entropy(probabilities: NDArray[np.floating], exclusive: bool) -> Floats:
    """(m,) in 0..1: of the answers, 1 where all are equally probable; of labels that exclude none, the highest one's."""
    rows = _rows(probabilities)
    if exclusive:
        answers = with_none(rows)
        return np.asarray(_entropy(answers) / np.log(max(answers.shape[1], 2)))
    each = _entropy(np.stack([rows, 1 - rows], axis=-1)) / np.log(2)
    return np.asarray(each.max(axis=1, initial=0))


def disagreement(probabilities: NDArray[np.floating], exclusive: bool) -> Floats:
    """(m,) in 0..1: how far a frame's answers are from those before and after it, on average of the two.

    Exclusive: the total variation distance of the answers; else the largest difference of a label. A frame unlike both
    neighbours comes out higher than one beside a change.
    """
    rows = _rows(probabilities)
    if len(rows) < 2:
        return np.zeros(len(rows))
    step = np.abs(np.diff(with_none(rows) if exclusive else rows, axis=0))
    change = step.sum(axis=1) / 2 if exclusive else step.max(axis=1, initial=0)
    return np.asarray((np.append(change, change[-1]) + np.append(change[0], change)) / 2)


def with_none(probabilities: NDArray[np.floating]) -> Floats:
    """(m, L) to (m, L + 1): the last answer, "none of them", has what is missing to 1."""
    rows = _rows(probabilities)
    return np.concatenate([rows, np.clip(1 - rows.sum(axis=1, keepdims=True), 0, 1)], axis=1)


def _rows(probabilities: NDArray[np.floating]) -> Floats:
    rows = np.asarray(probabilities, np.float64)
    if rows.ndim != 2:
        raise ValueError(f"probabilities of shape {rows.shape} are not of frames and labels")
    return rows


def _entropy(answers: Floats) -> Floats:
    return np.asarray(-(answers * np.log(np.maximum(answers, 1e-12))).sum(axis=-1))


class _Distance:
    """Of each frame to the nearest of those that are known; grows less with every pick."""

    def __init__(self, frames: Frames, embeddings: NDArray[np.floating] | None, known: Frames) -> None:
        self._frames = frames
        self._rows = None if embeddings is None else unit(embeddings)
        self.least: Floats = np.full(len(frames), np.inf)
        if self._rows is None:
            self.least = time_to(frames, known)
        else:
            for position in np.unique(nearest(frames, known)).tolist():
                self.learn(position)

    @property
    def relative(self) -> Floats:
        """As far as anything can be while nothing is known."""
        return np.where(np.isfinite(self.least), self.least, 1.0)

    def learn(self, position: int) -> None:
        if self._rows is None:
            now = np.abs(self._frames - self._frames[position]).astype(np.float64)
        else:
            row = self._rows[position]
            # A row of nothing but zeros has no direction, but is the same as another such.
            now = 1 - (self._rows @ row).astype(np.float64) if row.any() else self._rows.any(axis=1).astype(np.float64)
        self.least = np.minimum(self.least, now)
