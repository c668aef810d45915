"""The strategy that suits what is known of a video: one function, and the table that says what it does."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Candidates, Frames, in_order
from sampling.telling import telling
from sampling.uncertain import rare, uncertain
from sampling.uniform import thin, uniform
from sampling.unique import unique

# Bits of 64; measured in docs/suggestions.md.
THRESHOLD = 4
# A label with fewer labelled frames than this has too few to be known by.
FEW = 3


def auto(
    candidates: Candidates,
    count: int,
    *,
    exclusive: bool = True,
    examples: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
    threshold: int = THRESHOLD,
) -> Frames:
    """Choose `count` of the candidates' frames by the best of what is known of them:

    | known | strategy |
    |---|---|
    | probabilities, and a label has fewer than 3 examples | `rare` of such labels for half of the frames, `uncertain` for the rest |
    | probabilities | `uncertain`: margin times the distance in time to what is labelled |
    | embeddings | `telling`: one frame of each stretch of time, which together stand for everything |
    | hashes | `unique`, evenly thinned |
    | nothing | `uniform` |

    `exclusive`, `examples` (L,): of the model's labels, see `uncertain` and `rare`. `labelled` (k,): frame indices that were
    answered. `gap`: least distance in frames between two picks, and of a pick to what is labelled. `threshold`: of `unique`.
    Returns at most `count` sorted, distinct frame indices. Bad frames are left out before: `auto(good(candidates), count)`.
    With probabilities, ask for about five at a time and fit the model in between.
    """
    frames = candidates.frames
    if count < 1 or not len(candidates):
        return np.empty(0, np.int64)
    if candidates.probabilities is not None:
        return _doubtful(candidates, candidates.probabilities, count, exclusive, examples, labelled, gap, seed)
    if candidates.embeddings is not None:
        return telling(candidates.embeddings, count, frames=frames, labelled=labelled, gap=gap)
    kept = frames if candidates.hashes is None else unique(frames, candidates.hashes, threshold)
    kept = in_order(np.arange(len(kept)), kept, len(kept), gap=gap, labelled=labelled)
    if not len(kept):
        return kept
    return thin(kept, count) if candidates.hashes is not None else kept[uniform(len(kept), count)]


def _doubtful(
    candidates: Candidates,
    probabilities: NDArray[np.floating],
    count: int,
    exclusive: bool,
    examples: ArrayLike | None,
    labelled: ArrayLike | None,
    gap: int,
    seed: int,
) -> Frames:
    known = np.asarray([] if labelled is None else labelled, np.int64)
    met = np.asarray([] if examples is None else examples)
    few = met < FEW
    wanted: Frames = np.empty(0, np.int64)
    if few.any():
        wanted = rare(
            probabilities[:, few],
            count // 2,
            examples=met[few],
            exclusive=exclusive,
            frames=candidates.frames,
            labelled=known,
            gap=gap,
            seed=seed,
        )
    asked = uncertain(
        probabilities,
        count - len(wanted),
        exclusive=exclusive,
        frames=candidates.frames,
        labelled=np.union1d(known, wanted),
        gap=gap,
        seed=seed,
    )
    return np.union1d(wanted, asked)
