"""When more labels will hardly help, and how many errors are left.

Three things are looked at: whether successive versions still change their answers, whether the held-out score still
rises, and how many errors the model expects of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml_backend.cards.measurements import Metrics
from ml_backend.wording import some

Verdict = Literal["go on", "little more to gain", "not known yet"]

# Mean kappa of the last versions from which on answers count as stable. Bloodgood and Vijay-Shanker, "A method for stopping
# active learning based on stabilizing predictions", 2009, take .99 for texts and three models; a boundary in a video
# wanders by a frame or two between versions, which alone costs some hundredths.
STABLE, WINDOW = 0.97, 3
# The score of now is compared with that of the last version that had at most this share of its labelled frames.
_EARLIER = 2 / 3
# A held-out interval that is wider than this hides gains that are worth some labels.
_WIDEST = 0.1
# Held-out errors weigh as much as so many errors that were expected and made: a few held-out frames prove little.
_PRIOR_ERRORS = 5.0
# Frames that are wrong at each change of label for nothing but where exactly it lies. Answered frames hardly ever lie there,
# so a head that learnt from a few of them does not know; chosen on videos with 5 to 20 of them (docs/stopping.md).
_AT_A_CHANGE = 1.0


def expected_errors(doubt: float, changes: int, frames: int, measured: Metrics) -> float:
    """How many of a video's `frames` are answered wrong, by the share that the model doubts and how often its answer changes.

    `measured`: held-out metrics of the version's model card, empty ones for none. The doubt is corrected by them. Where whole videos
    were held out, errors at changes of the label are among what it is corrected by; elsewhere one frame is added for each.
    """
    at_changes = 0.0 if measured.boundary_error_frames is not None else _AT_A_CHANGE * changes
    return min(correction(measured) * doubt * frames + at_changes, float(frames))


def correction(measured: Metrics) -> float:
    """By what to multiply the errors that a model expects of itself: errors made per error expected on held-out videos.

    `measured`: held-out metrics of a model card, whose `reliability` tells how often each confidence was right. Drawn
    towards 1 as by five errors that were expected and made. 1 when nothing was held out.
    """
    made = sum(row.decisions * (1 - row.right) for row in measured.reliability)
    expected = sum(row.decisions * (1 - row.confidence) for row in measured.reliability)
    return float((made + _PRIOR_ERRORS) / (expected + _PRIOR_ERRORS))


@dataclass(frozen=True)
class Score:
    """Held-out macro-F1 of a version that learnt from so many frames; `interval` in which 95 of 100 such scores lie.

    `interval` is None where fewer than three recordings were held out.
    """

    labelled_frames: int
    macro_f1: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Evidence:
    """What is known of a version. `scores`: of it (the last) and of earlier versions of its kind, in order of training.

    `trained`: whether the backbone is. `lacking`: labels without examples. `kappas`: agreement of each version with the
    one before it on the same frames, the newest last. `scores` is empty when the version has not been measured.
    """

    trained: bool
    lacking: tuple[str, ...]
    scores: tuple[Score, ...]
    kappas: tuple[float, ...]


@dataclass(frozen=True)
class Advice:
    """`why`: one or two sentences. `kappa`: mean of the last versions'. `gain`: of macro-F1 since `since_frames` labelled frames."""

    verdict: Verdict
    why: str
    kappa: float | None = None
    gain: float | None = None
    since_frames: int | None = None


def advise(evidence: Evidence) -> Advice:
    """Whether more labels will help. Says that they hardly will only when answers and held-out score are both at rest."""
    if not evidence.trained:
        return Advice("not known yet", "The backbone is untrained; set its weights before you judge its answers.")
    if evidence.lacking:
        return Advice("go on", f"There are no examples yet of {some(evidence.lacking)}.")
    now = evidence.scores[-1] if evidence.scores else None
    if now is None:
        return Advice("not known yet", "The model has not been measured on held-out videos.")
    last = evidence.kappas[-WINDOW:]
    kappa = float(np.mean(last)) if last else None
    earlier = _earlier(evidence.scores)
    gain = None if earlier is None else now.macro_f1 - earlier.macro_f1
    since = earlier.labelled_frames if earlier else None

    def told(verdict: Verdict, why: str) -> Advice:
        return Advice(verdict, why, kappa, gain, since)

    if kappa is not None and kappa < STABLE:
        why = f"Each version still answers differently from the one before it (kappa {kappa:.3f}; {STABLE} is stable)."
        return told("go on", why)
    if now.interval is None:
        why = "Fewer than three recordings are labeled, so the accuracy on other videos is unknown."
        return told("not known yet", why)
    if earlier is not None and earlier.macro_f1 < now.interval[0]:
        why = (
            f"The held-out macro-F1 rose from {earlier.macro_f1:.3f} at {earlier.labelled_frames:,} labeled frames "
            f"to {now.macro_f1:.3f} at {now.labelled_frames:,}."
        )
        return told("go on", why)
    if earlier is None or kappa is None or len(last) < WINDOW:
        why = "There are too few versions to compare: it takes four, and 50 % more labels than one of them had."
        return told("not known yet", why)
    low, high = now.interval
    if high - low > _WIDEST:
        why = f"The held-out macro-F1 is only known to lie between {low:.3f} and {high:.3f}; label other videos."
        return told("not known yet", why)
    why = (
        f"The last versions give the same answers (kappa {kappa:.3f}), and the held-out macro-F1 has moved by {gain:+.3f} "
        f"since {earlier.labelled_frames:,} labeled frames, which is within its noise. Correct the remaining errors instead."
    )
    return told("little more to gain", why)


def _earlier(scores: Sequence[Score]) -> Score | None:
    """The last score from clearly fewer labels than the newest one's."""
    most = scores[-1].labelled_frames * _EARLIER
    return next((score for score in reversed(scores[:-1]) if score.labelled_frames <= most), None)
