"""From probabilities per frame to regions: neighbours agree, labelled frames are held, runs become regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.frame_labels import NO, UNKNOWN, YES, FrameLabels
from ml_backend.learning.probabilities import HOLDS, Floats, chains, from_chains, with_none
from ml_backend.video.timeline import FrameIndex

# How often a label may change from one frame to the next. Neighbouring frames look alike, so what the head says of them
# is hardly independent; believing in rarer changes than this would count the same evidence many times over.
DEFAULT_SWITCH_RATE = 0.1
# No head is surer than this of a frame, so that what is known of one frame cannot be outvoted by its neighbours.
UNLIKELY = 1e-6
IMPOSSIBLE = 1e-30


@dataclass(frozen=True)
class PredictedRegion:
    """`label` holds on the frame indices `first`..`last`, last included; `score` in 0..1 is how sure the model is."""

    first: FrameIndex
    last: FrameIndex
    label: str
    score: float


def switch_rate(videos: Sequence[FrameLabels]) -> float:
    """How often a known label changes from one frame to the next, in 0.1..0.5: the default unless changes are frequent."""
    changes = pairs = 0
    for labels in videos:
        before, after = labels.values[:-1], labels.values[1:]
        both = ((before != UNKNOWN) & (after != UNKNOWN)).all(axis=1)
        pairs += int(both.sum())
        changes += int((before != after).any(axis=1)[both].sum())
    return min(max(changes / max(pairs, 1), DEFAULT_SWITCH_RATE), 0.5)


def smooth(
    probabilities: Floats, exclusive: bool, known: FrameLabels | None = None, switch: float = DEFAULT_SWITCH_RATE
) -> Floats:
    """Posterior (n, L) of a hidden Markov model whose emissions are `probabilities` (n, L).

    Exclusive: one chain over the labels and "none of them", whose probability is what is missing to 1; otherwise one
    chain of two states per label. The state changes with probability `switch` per frame. Frames that `known` knows for
    certain are held to it. Forward-backward (Rabiner, "A tutorial on hidden Markov models", 1989).
    """
    if not len(probabilities):
        return probabilities
    emissions = np.asarray(chains(probabilities, exclusive), np.float64).clip(UNLIKELY)
    if known is not None:
        emissions = np.where(_allowed(known, exclusive), emissions, IMPOSSIBLE)
    return from_chains(_forward_backward(emissions, switch), exclusive)


def runs(
    probabilities: Floats,
    labels: Sequence[str],
    exclusive: bool,
    *,
    min_frames: int | Mapping[str, int] = 1,
    fill_gaps: int | Mapping[str, int] = 0,
) -> tuple[PredictedRegion, ...]:
    """Regions in order of their first frame.

    Exclusive: every frame goes to its most probable label, or to none; a run shorter than `min_frames` takes the label
    before it (the dissertation's rule). Otherwise every label has its own runs of frames with probability 0.5 or more:
    gaps of up to `fill_gaps` frames are closed, then runs shorter than `min_frames` dropped. Both may be given per
    label. The score is the mean probability over the region.
    """
    if not len(probabilities):
        return ()
    shortest = [_of(min_frames, label, 1) for label in labels]
    longest_gap = [_of(fill_gaps, label, 0) for label in labels]
    found: list[PredictedRegion] = []
    if exclusive:
        state = _fill(with_none(probabilities).argmax(axis=1), longest_gap)
        state = _absorb(state, [*shortest, 1])
        spans = [(first, last, int(state[first])) for first, last in _spans(state) if state[first] < len(labels)]
    else:
        spans = []
        for column in range(len(labels)):
            on = _fill(np.where(probabilities[:, column] >= HOLDS, 0, 1), [longest_gap[column]])
            spans += [
                (first, last, column)
                for first, last in _spans(on)
                if on[first] == 0 and last - first + 1 >= shortest[column]
            ]
    for first, last, column in sorted(spans):
        score = float(probabilities[first : last + 1, column].mean().clip(0, 1))
        found.append(PredictedRegion(FrameIndex(first), FrameIndex(last), labels[column], score))
    return tuple(found)


def _allowed(known: FrameLabels, exclusive: bool) -> NDArray[np.bool_]:
    """(n, chains, states) whether what is known allows the state; rows of low trust allow everything."""
    values = np.where(known.weight[:, None] >= 0.5, known.values, UNKNOWN)
    if not exclusive:
        return np.asarray(np.stack([values != NO, values != YES], axis=2))
    yes = values == YES
    some = yes.any(axis=1, keepdims=True)
    label = np.where(some, yes, values != NO)
    return np.asarray(np.concatenate([label, ~some], axis=1)[:, None, :])


def _forward_backward(chains: NDArray[np.float64], switch: float) -> NDArray[np.float64]:
    """Exact posteriors of (n, chains, states) in about 4 sqrt(n) steps.

    The frames are cut into about sqrt(n) blocks. What a block does to any message is a matrix, found for all blocks at
    once; the messages between blocks then need one short loop, and those inside them one more, again for all at once.
    """
    frames, count, states = chains.shape
    step = np.full((states, states), switch / max(states - 1, 1))
    np.fill_diagonal(step, 1 - switch)
    length = max(int(np.sqrt(frames)), 1)
    blocks = -(-frames // length)
    padded = np.ones((blocks * length, count, states))
    padded[:frames] = chains
    cut = padded.reshape(blocks, length, count, states)
    forward = _messages(cut, step)
    backward = _messages(cut[::-1, ::-1], step)[::-1, ::-1]
    # Both messages hold the frame's own emission: take it out of one.
    posterior = (forward * backward / cut).reshape(-1, count, states)[:frames]
    return np.asarray(posterior / posterior.sum(axis=2, keepdims=True))


def _messages(cut: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised forward messages, emissions included, of (blocks, length, chains, states)."""
    blocks, length, count, states = cut.shape
    through: NDArray[np.float64] = np.tile(np.eye(states), (blocks, count, 1, 1))
    for offset in range(length):
        through = (through @ step) * cut[:, offset, :, None, :]
        through = through / through.sum(axis=(2, 3), keepdims=True)
    entering = np.empty((blocks, count, states))
    message = np.full((count, states), 1 / states)
    for block in range(blocks):
        entering[block] = message
        message = np.einsum("cs,cst->ct", message, through[block])
        message = message / message.sum(axis=1, keepdims=True)
    sent = np.empty_like(cut)
    inside: NDArray[np.float64] = entering
    for offset in range(length):
        inside = (inside @ step) * cut[:, offset]
        inside = inside / inside.sum(axis=2, keepdims=True)
        sent[:, offset] = inside
    return sent


def _spans(state: NDArray[np.intp]) -> list[tuple[int, int]]:
    """First and last position of each run of equal values."""
    edges = np.flatnonzero(np.diff(state)) + 1
    return list(zip([0, *edges.tolist()], [*(edges - 1).tolist(), len(state) - 1], strict=True))


def _fill(state: NDArray[np.intp], longest_gap: Sequence[int]) -> NDArray[np.intp]:
    """Close gaps of the last state ("none", "no") between two runs of the same label."""
    spans = _spans(state)
    filled = state.copy()
    for before, (first, last), after in zip(spans, spans[1:], spans[2:], strict=False):
        label = int(state[before[0]])
        if state[first] == len(longest_gap) and label == state[after[0]] and last - first + 1 <= longest_gap[label]:
            filled[first : last + 1] = label
    return filled


def _absorb(state: NDArray[np.intp], shortest: Sequence[int]) -> NDArray[np.intp]:
    """Give runs that are too short the state before them; at the start of the video, the state after them."""
    kept = state.copy()
    pending = 0
    settled = False
    for first, last in _spans(state):
        if last - first + 1 >= shortest[int(state[first])]:
            if not settled:
                kept[pending:first] = state[first]
            settled = True
        elif settled:
            kept[first : last + 1] = kept[first - 1]
    return kept


def _of(setting: int | Mapping[str, int], label: str, default: int) -> int:
    return setting if isinstance(setting, int) else setting.get(label, default)
