"""Following what one box holds from picture to picture by the masks of a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Boxes, in_pixels, in_shares
from ml_backend.objects.detector import Picture

if TYPE_CHECKING:
    from ml_backend.features.video_segmentation import VideoSegmenter


def segmented_steps(
    pictures: Iterator[tuple[int, Picture]], box: Boxes, patience: int, segmenter: VideoSegmenter
) -> list[tuple[int, NDArray[np.float64], float]]:
    """Frame index, box (4,) in shares of the picture and score from the first picture on, where it is `box` itself, until nothing is
    seen of it in more than `patience` pictures; without the last ones, where it was hidden. Where it is hidden, its box stays.

    Raises WeightsError and DeviceFull.
    """
    first, picture = next(pictures)
    height, width = picture.shape[:2]
    read: deque[int] = deque()

    def shown() -> Iterator[Picture]:
        yield picture
        for index, each in pictures:
            read.append(index)
            yield each

    seen = segmenter.follow(shown(), np.asarray(in_pixels(box, width, height), np.float64))
    next(seen)
    steps = [(first, np.asarray(box, np.float64), 1.0)]
    missed = 0
    for at, score in seen:
        missed = missed + 1 if at is None else 0
        if missed > patience:
            break
        where = steps[-1][1] if at is None else in_shares(at, width, height)[0].astype(np.float64)
        steps.append((read.popleft(), where, 0.0 if at is None else score))
    while steps[-1][2] == 0:
        steps.pop()
    return steps
