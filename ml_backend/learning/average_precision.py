"""How well boxes are found: mean average precision as COCO counts it (Lin et al., 2014; its evaluation of 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2).tolist())
_RECALLS = np.linspace(0, 1, 101)


class Boxed(NamedTuple):
    """What is in one picture. `boxes`: (n, 4) left, top, right, bottom, in whatever unit. `classes`: (n,). `scores`: (n,), of found
    ones; of true ones they mean nothing."""

    boxes: NDArray[np.floating]
    classes: NDArray[np.integer]
    scores: NDArray[np.floating]

    @classmethod
    def true(cls, boxes: NDArray[np.floating], classes: NDArray[np.integer]) -> Boxed:
        return cls(boxes, classes, np.ones(len(boxes)))

    def of_one_class(self) -> Boxed:
        """The same, whatever they are of."""
        return self._replace(classes=np.ones_like(self.classes))


def average_precision(
    found: Sequence[Boxed], true: Sequence[Boxed], thresholds: Iterable[float] = THRESHOLDS
) -> float | None:
    """In 0..1, the mean over the classes that are in `true`, and over the overlaps (IoU) from which a box counts as found; None
    where there is no true box.

    In each picture the surer ones choose first, each the true box of its class that it overlaps with most; of the curve of precision
    by recall the mean at 101 points is taken, each the best that is to be had at that recall or a higher one.
    """
    names = np.unique(np.concatenate([each.classes for each in true])) if true else np.empty(0)
    levels = tuple(thresholds)
    if not len(names):
        return None
    return float(np.mean([_of_class(found, true, int(name), level) for name in names for level in levels]))


def best_score(found: Sequence[Boxed], true: Sequence[Boxed], low: float, high: float, overlap: float = 0.5) -> float:
    """The score in `low`..`high` from which on boxes are to count, so that most of those that count are right and most true ones
    are found: the best F1."""
    rows = _matched(found, true, overlap)
    number = sum(len(each.boxes) for each in true)
    tried = np.round(np.arange(low, high + 1e-9, 0.05), 2)
    f1 = [2 * rows[rows[:, 0] >= one, 1].sum() / max((rows[:, 0] >= one).sum() + number, 1) for one in tried]
    # Of several that are as good the one in their middle.
    best = np.flatnonzero(np.array(f1) >= max(f1) - 1e-9)
    return float(tried[best[len(best) // 2]])


def _of_class(found: Sequence[Boxed], true: Sequence[Boxed], name: int, level: float) -> float:
    mine = [_only(each, name) for each in found]
    its = [_only(each, name) for each in true]
    rows = _matched(mine, its, level)
    number = sum(len(each.boxes) for each in its)
    order = np.argsort(-rows[:, 0], kind="stable")
    hits = np.cumsum(rows[order, 1])
    recall, precision = hits / number, hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS)
    return float(np.where(at < len(best), best[np.minimum(at, len(best) - 1)], 0).mean()) if len(best) else 0.0


def _only(boxed: Boxed, name: int) -> Boxed:
    keep = boxed.classes == name
    return Boxed(boxed.boxes[keep], boxed.classes[keep], boxed.scores[keep])


def _matched(found: Sequence[Boxed], true: Sequence[Boxed], level: float) -> NDArray[np.float64]:
    """(n, 2) of each found box its score, and 1 where it is right."""
    rows: list[tuple[float, float]] = []
    for mine, its in zip(found, true, strict=True):
        overlaps = _iou(mine.boxes, its.boxes)
        # A box of another class is no match.
        overlaps[mine.classes[:, None] != its.classes[None]] = 0
        for at in np.argsort(-mine.scores, kind="stable"):
            best = int(overlaps[at].argmax()) if overlaps.shape[1] else 0
            right = bool(overlaps.shape[1]) and overlaps[at, best] >= level
            if right:
                overlaps[:, best] = 0
            rows.append((float(mine.scores[at]), float(right)))
    return np.array(rows, np.float64).reshape(-1, 2)


def _iou(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, m)"""
    a, b = np.asarray(one, np.float64).reshape(-1, 4)[:, None], np.asarray(other, np.float64).reshape(-1, 4)[None]
    shared = np.prod(np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0), axis=-1)
    either = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - shared
    return np.asarray(shared / np.maximum(either, 1e-12), np.float64)
