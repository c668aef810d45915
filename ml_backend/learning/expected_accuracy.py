"""How often answers will be right, from held-out ones, from how sure a head is of itself, and from what labels are like elsewhere.

Of frames between labelled ones of the same video, held-out answers are a poor measure: what is held out takes its stretch of
video with it, while the answers that are shown have it, and of a few labels of each class every one is missed. There a head is
about as often right as it says, *unless the labels have nothing to do with what it sees*; and that is what held-out answers
tell: three explanations of them are weighed against each other (Bayes). Of other videos, videos that were left out are the
measure itself. The constants were fitted to many kinds of drawn scenes and labels, labels drawn by lot among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

Floats = NDArray[np.float32]

# What is held out, and what is asked: parts of videos, and other frames of these; whole videos, and other ones; parts of
# videos, and other ones, since there are too few to leave out any; and as "videos", but of each a single answer.
Way = Literal["parts", "videos", "parts for others", "clips"]

# Before anything is known: that labels are chosen by lot as far as a head can see, and that they are hard to see.
_BY_LOT, _HARD = 0.45, 0.05
# Each further label makes it less likely that none of them is seen, by this power of their number.
_EACH = 3.5
# How sure a head is on average of labels that it sees, as a log-odds; each unit less is as good as so many for the lot.
_USUALLY_SURE, _SURER = 3.0, 1.0
# With as many other examples of its class half of what is held out is right; and at best so much.
_FEW, _BEST = 1.5, 0.97
# How alike situations are in that, in answers; those that are guessed are all alike.
_ALIKE, _ALL_ALIKE = 30.0, 200.0
# How far being right counts, the rest being the probability that was given to what is true.
_RIGHT = 0.8
# Of a class that was seen once so much is not known.
_ONCE = 0.2
# A video is worth so many answers that know nothing of each other.
_PER_VIDEO = 5.0
# Errors fall as videos become more, to this power.
_CURVE = 0.65
_LUCK = 1.64
# Of clips each gives one answer. Beforehand so many speak for guessing; with fewer than so many nobody knows that it is that, and
# up to so many the less must be explained by luck.
_NOTHING_YET, _ENOUGH_CLIPS, _MANY_CLIPS = 3.0, 6, 12


class Answers(NamedTuple):
    """Held-out answers to a question: (k, K) log-probabilities as they are shown, true classes (k,), what each counts (k,)."""

    logs: Floats
    truth: NDArray[np.intp]
    weight: Floats

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.logs.argmax(axis=1) == self.truth)

    @property
    def sure(self) -> float:
        """How sure they are on average, 0..1."""
        return float(np.average(np.exp(self.logs.max(axis=1)), weights=self.weight))

    @property
    def hits(self) -> float:
        """The share that is right, 0..1, in part by the probability that was given to the truth."""
        given = np.exp(self.logs[np.arange(len(self.truth)), self.truth])
        return float(np.average(_RIGHT * self.right + (1 - _RIGHT) * given, weights=self.weight))

    @property
    def others(self) -> float:
        """How many examples of its class there are beside each, on average."""
        return max(len(self.truth) / len(np.unique(self.truth)) - 1, 0.5)

    @property
    def balanced(self) -> float:
        """The mean over classes of the share that is right."""
        right = self.right
        each = [
            np.average(right[self.truth == one], weights=self.weight[self.truth == one])
            for one in np.unique(self.truth)
        ]
        return float(np.mean(each))


@dataclass(frozen=True)
class Belief:
    """`right`: how often answers will be right, 0..1; `by_lot`: how probable it is that they are guesses, 0..1."""

    right: float
    by_lot: float


def unseen(classes: NDArray[np.intp], labels: int) -> float:
    """The share of frames, 0..1, that show one of the `labels` which is not among the labelled `classes` (k,).

    That of classes seen once (Good, "The population frequencies of species", 1953), or of the labels that were not seen where
    that is less: frames to label are chosen to differ. What a class that was seen once looks like is not known well.
    """
    if not len(classes):
        return 0.0
    seen, counts = np.unique(classes, return_counts=True)
    missing = max(labels - int((seen < labels).sum()), 0)
    once = float((counts == 1).sum() / len(classes))
    share = min(once, missing / max(labels, 1))
    return share + (1 - share) * _ONCE * once


def believed(
    answers: Answers | None,
    way: Way,
    possible: int,
    sure: float,
    taught: int,
    videos: int,
    elsewhere: Answers | None = None,
) -> Belief:
    """What to believe of a question with `possible` classes of which a head is `sure`, 0..1 on average, where it is asked.

    `taught`: labelled frames, in `videos` videos. No `answers`: none could be held out. `elsewhere`: answers of heads that were
    taught one of two videos about the other, which say that something carries over, but not that nothing does.
    """
    level = 1 / max(possible, 1)
    if way == "videos" and answers is not None:
        return _of_left_out(answers, level, videos)
    if way == "clips" and answers is not None:
        return _of_left_out(answers, level, videos, True)
    own = level + (sure - level) * (1 - 0.1 / max(taught, 1))
    odds = np.log(min(max(sure, 0.01), 0.998)) - np.log1p(-min(max(sure, 0.01), 0.998))
    surer = _SURER * (odds - _USUALLY_SURE)
    by_lot = _BY_LOT * (2 * level) ** _EACH
    if answers is None:
        seen, hard, lot = (1 - by_lot - _HARD) * np.exp(surer), 0.0, by_lot
        hits = level
    else:
        count, hits = len(answers.truth), answers.hits
        typical = level + (1 - level) * _BEST * answers.others / (answers.others + _FEW)
        seen = (1 - by_lot - _HARD) * _chance_of(hits, count, typical, _ALIKE) * np.exp(surer)
        hard = _HARD / (count + 1)
        lot = by_lot * _chance_of(hits, count, level, _ALL_ALIKE)
    if way == "parts for others":
        # Nothing says how much carries over.
        own = level + (own - level) / 2
    right = (seen * own + hard * max(hits, level) + lot * level) / (seen + hard + lot)
    if elsewhere is not None:
        right = max(right, _of_left_out(elsewhere, level, videos).right)
    return Belief(float(right), float(lot / (seen + hard + lot)))


def _of_left_out(answers: Answers, level: float, videos: int, clips: bool = False) -> Belief:
    """Whole videos were left out: the answers are what others will be, taught by one video less. `clips`: each is one answer."""
    count = min(len(answers.truth), _PER_VIDEO * videos)
    hits = max(answers.hits, level)
    more = ((videos - 1) / videos) ** _CURVE if videos > 1 else 1.0
    expected = 1 - (1 - hits) * more
    usual = level + (answers.sure - level) * _BEST
    nothing = _NOTHING_YET if clips else 0.0
    expected = (count * expected + usual + nothing * level) / (count + 1 + nothing)
    classes = np.unique(answers.truth)
    each = np.array([(answers.truth == one).sum() for one in classes])
    share = 1 / len(classes)
    error = share * float(np.sqrt((share * (1 - share) / each).sum()))
    luck = _LUCK * min(1.0, len(answers.truth) / _MANY_CLIPS) if clips else _LUCK
    few = clips and len(answers.truth) < _ENOUGH_CLIPS
    if len(classes) > 1 and not few and answers.balanced <= share + luck * error:
        return Belief(level, 1.0)
    return Belief(max(expected, level), 0.0)


def _chance_of(hits: float, count: int, mean: float, alike: float) -> float:
    """How probable so many hits of `count` are where the share of hits varies about `mean` (beta-binomial), up to a factor that
    depends on hits and count alone: compare with 1 / (count + 1) for "any share"."""
    a, b = alike * mean, alike * (1 - mean)
    shares = betaln(hits * count + a, (1 - hits) * count + b) - betaln(a, b)
    return float(np.exp(shares - betaln(hits * count + 1, (1 - hits) * count + 1)) / (count + 1))
