"""What a detector is, how its answers are checked, and which of them count.

A detector may be a researcher's own code. What it returns is looked at once, here: boxes that reach out of the picture are
cut to it, and what cannot be meant is one error that says how to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.objects.boxes import Detections, clipped, iou_matrix
from ml_backend.wording import listed, quoted

Picture = NDArray[np.uint8]
# More boxes in one picture are no answer, and would take the tracker's time.
MOST_BOXES = 1000
# A box that leaves the picture by more than its whole width or height is in pixels, or in percent.
_FARTHEST = 1.0
# Boxes of one label that overlap by more are one object.
_REPEATED = 0.7


class Detector(Protocol):
    """Finds objects in pictures of one video, which it is given in the order in which they are shown.

    `side`: the longer side of the pictures that it wants, in pixels; smaller videos come as they are. `batch`: how many it is
    given at a time, fewer at the end. `rate`: how many pictures of a second it is to be shown. `names`: all the class names
    that it may return.
    """

    side: int
    batch: int
    rate: float
    names: tuple[str, ...]

    def __call__(self, pictures: Sequence[Picture]) -> Sequence[Detections]:
        """What is in each of (height, width, 3) uint8 RGB pictures."""
        ...


@runtime_checkable
class Previewing(Protocol):
    """A detector that is shown the whole video in a few pictures before it is shown the first."""

    def preview(self, pictures: Sequence[Picture]) -> None:
        """Takes (h, w, 3) uint8 RGB pictures from all over the video, of the size of those that it wants."""
        ...


@dataclass(frozen=True)
class Limits:
    """Which of a detector's boxes and tracks count.

    `least_score`: of a box, 0..1. `smallest`, `largest`: of a box's area in percent of the picture's. `labels`: what each class
    name is called in the project; names that are missing are left out, and None takes all as they are. `most_tracks`: in a
    video, the surest first.
    """

    least_score: float = 0.0
    smallest: float = 0.0
    largest: float = 100.0
    labels: Mapping[str, str] | None = None
    most_tracks: int = 50

    def of(self, found: Detections) -> Detections:
        """Those that count, under the project's labels."""
        share = np.prod(found.boxes[:, 2:].astype(np.float64), axis=1) * 100
        keep = (found.scores >= self.least_score) & (share >= self.smallest) & (share <= self.largest)
        if self.labels is None:
            return found if keep.all() else found.at(keep)
        known = self.labels
        left = found.at(keep & np.array([name in known for name in found.names], np.bool_))
        return _without_repeats(replace(left, names=tuple(known[name] for name in left.names)))


def _without_repeats(found: Detections) -> Detections:
    """Without boxes that overlap with a surer one of the same label: several classes may have become one."""
    kept: list[int] = []
    overlap = iou_matrix(found.boxes, found.boxes)
    for at in np.argsort(-found.scores, kind="stable").tolist():
        if not any(overlap[at, other] > _REPEATED and found.names[at] == found.names[other] for other in kept):
            kept.append(at)
    return found if len(kept) == len(found) else found.at(np.array(sorted(kept), np.int64))


def detect(detector: Detector, pictures: Sequence[Picture], limits: Limits) -> list[Detections]:
    """What counts of what `detector` finds in each of the pictures.

    Raises CustomModelError when it does not answer for each picture, or with arrays of other shapes, NaN, scores outside 0..1,
    class names that it did not announce, more than `MOST_BOXES` in a picture, or boxes far outside of it.
    """
    answers = detector(pictures)
    if len(answers) != len(pictures):
        raise CustomModelError(
            f"The detector answered for {len(answers)} of {len(pictures)} pictures.",
            "Return one result for each picture, empty when nothing is in it.",
        )
    return [limits.of(_checked(answer, detector.names)) for answer in answers]


def _checked(found: Detections, names: tuple[str, ...]) -> Detections:
    boxes, scores = np.asarray(found.boxes, np.float32), np.asarray(found.scores, np.float32)
    count = len(boxes)
    if boxes.shape != (count, 4) or scores.shape != (count,) or len(found.names) != count:
        raise CustomModelError(
            f"The detector returned boxes of shape {boxes.shape}, scores of shape {scores.shape} and {len(found.names)} names.",
            "For n objects return boxes (n, 4), scores (n,) and n names.",
        )
    if count > MOST_BOXES:
        raise CustomModelError(
            f"The detector returned {count} boxes for one picture; {MOST_BOXES} is the maximum.",
            "Raise its score threshold, or drop boxes that overlap (non-maximum suppression).",
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise CustomModelError(
            "The detector returned boxes or scores that are not numbers.",
            "Check its pictures and weights: a division by zero gives NaN.",
        )
    if count and (scores.min() < 0 or scores.max() > 1):
        raise CustomModelError(
            f"The detector returned a score of {float(scores[np.abs(scores - 0.5).argmax()]):g}.",
            "Return scores between 0 and 1.",
        )
    unknown = sorted(set(found.names) - set(names))
    if unknown:
        raise CustomModelError(
            f"The detector returned the unknown class {quoted(unknown[0])}.",
            f"Its classes are {listed(names) or 'none'}.",
        )
    if count and (boxes[:, 2:].min() < 0 or boxes.min() < -_FARTHEST or boxes.max() > 1 + _FARTHEST):
        raise CustomModelError(
            f"The detector returned the box {np.round(boxes[np.abs(boxes).max(axis=1).argmax()], 2).tolist()}.",
            "Return left, top, width and height as shares of the picture, between 0 and 1.",
        )
    inside = clipped(boxes)
    keep = np.prod(inside[:, 2:], axis=1) > 0
    return replace(found, boxes=inside, scores=scores, names=tuple(found.names)).at(keep)
