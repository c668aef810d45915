"""What a whole video is: a head on one row a video, pooled from its embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, WholeVideo
from ml_backend.cards.measurements import EvaluationScheme
from ml_backend.errors import NotEnoughLabels, NothingLabelled
from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.calibration import Held
from ml_backend.learning.evaluation import CrossValidation, leaving_out
from ml_backend.learning.examples import rows_at
from ml_backend.learning.families import Family, Floats, Part, Views
from ml_backend.learning.frame_labels import NO, UNKNOWN, UNTOUCHED_WEIGHT, YES
from ml_backend.learning.groups import Groups, deal, duplicates
from ml_backend.learning.linear import Linear, fit_softmax
from ml_backend.learning.probabilities import decided
from ml_backend.wording import some
from sampling.candidates import unit

# A video is seen at so many times, evenly spread: however its frames were embedded, long and short ones are alike.
_LOOKS = 64
# Beside the mean: how far what is seen for a tenth of the time, and for nearly all of it, is from it. That does not tell one
# room from another, as the mean does.
_QUANTILES = (0.1, 0.9)
# A still picture has no such difference; its noise must not be made as large as others' movement.
_STILL = 0.2
_SEEN = Family("as seen", (Part(("appearance",), "raw"),))
_INVERSE_PENALTY = 10.0
# Nobody knows much from a few videos: the head's answer counts like so many videos less for each class.
_DOUBT = 1.0


@dataclass(frozen=True, eq=False)
class LabelledWhole:
    """One task's video and what people say that it is. `values`: (L,) int8 as in `FrameLabels`. `weight` in 0..1: trust.
    `judged`: by a person rather than by a blind Submit."""

    task: int
    features: VideoFeatures
    values: NDArray[np.int8]
    weight: float
    judged: bool


@dataclass(frozen=True, eq=False)
class WholeHead:
    """`questions`: exclusive: one, whose classes are the labels; otherwise one per label with the classes yes and no, None for
    a label that no video has. `centre` (d,): what all videos share. `videos`: how many each was learnt from."""

    labels: tuple[str, ...]
    exclusive: bool
    centre: Floats
    questions: tuple[Linear | None, ...]
    seen: tuple[str, ...]
    videos: float
    temperature: float = 1.0

    @property
    def kind(self) -> str:
        return "cold"

    @property
    def lacking(self) -> tuple[str, ...]:
        """Labels that are never predicted because there were no examples of them."""
        return tuple(label for label in self.labels if label not in self.seen)

    def probabilities(self, features: VideoFeatures) -> Floats:
        """(L,) float32 in 0..1, of a video."""
        row = unit((pooled(features) - self.centre)[None])
        found: Floats = np.zeros(len(self.labels), np.float32)
        for position, question in enumerate(self.questions):
            if question is None:
                continue
            asked = np.exp(question.log_probabilities(row)[0])
            classes = asked > 1e-12
            # With few videos it is drawn towards knowing nothing.
            share = _DOUBT * classes.sum() / (self.videos + _DOUBT * classes.sum())
            asked = np.where(classes, (1 - share) * asked + share / classes.sum(), 0)
            if self.exclusive:
                found = asked.astype(np.float32)
            else:
                found[position] = asked[0]
        return found

    def answer(self, probabilities: Floats, allowed: Collection[str]) -> tuple[str, ...]:
        """The labels that hold, of those that are allowed: of an exclusive question the most probable one, else all that are
        more probable than not."""
        ranked = sorted(zip(self.labels, probabilities.tolist(), strict=True), key=lambda pair: -pair[1])
        possible = [(label, p) for label, p in ranked if label in allowed and p > 0]
        if self.exclusive:
            return tuple(label for label, _ in possible[:1])
        return tuple(label for label, p in possible if p > 0.5)

    def certainty(self, probabilities: Floats) -> float:
        """How sure it is of the whole answer, in 0..1."""
        return float(probabilities.max() if self.exclusive else np.maximum(probabilities, 1 - probabilities).min())

    def arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The arrays by name, and the JSON structure that says how they belong together."""
        arrays: dict[str, NDArray[Any]] = {"centre": self.centre}
        for position, question in enumerate(self.questions):
            if question is not None:
                arrays[f"{position}.weights"] = np.ascontiguousarray(question.weights)
                arrays[f"{position}.bias"] = question.bias
        asked = [question is not None for question in self.questions]
        return arrays, {"whole": asked, "seen": list(self.seen), "videos": self.videos}

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        structure: Mapping[str, Any],
        labels: tuple[str, ...],
        exclusive: bool,
    ) -> WholeHead:
        """The head that `arrays` took apart; raises KeyError or ValueError when the parts do not fit."""
        questions = tuple(
            Linear(arrays[f"{position}.weights"], arrays[f"{position}.bias"]) if asked else None
            for position, asked in enumerate(structure["whole"])
        )
        if len(questions) != (1 if exclusive else len(labels)):
            raise ValueError("the questions do not fit the labels")
        return cls(labels, exclusive, arrays["centre"], questions, tuple(structure["seen"]), float(structure["videos"]))


def pooled(features: VideoFeatures) -> Floats:
    """(d,) float32: the mean of a video's embeddings over time, and how far two of their quantiles are from it."""
    times = np.linspace(0, max(len(features) - 1, 0), _LOOKS)
    rows = rows_at(Views(features), _SEEN, times)
    mean = rows.mean(axis=0)
    far = [quantile - mean for quantile in np.quantile(rows, _QUANTILES, axis=0)]
    parts = [unit(mean[None])[0], *(each / max(float(np.linalg.norm(each)), _STILL) for each in far)]
    return np.asarray(np.concatenate(parts), np.float32)


def whole_labels(
    annotations: Sequence[Annotation], labels: Sequence[str], exclusive: bool, untouched: Callable[[WholeVideo], bool]
) -> tuple[NDArray[np.int8], float, bool]:
    """What all annotations of one task say together: (L,) int8 values, the trust in them, and whether a person judged.

    Ground truth outranks the others, and a person's own answer one that was submitted as it was predicted. The majority wins
    and a tie is unknown. Several answers may hold unless `exclusive`; who gives none of them says nothing.
    """
    names, nothing = tuple(labels), np.full(len(labels), UNKNOWN, np.int8)
    ranks: dict[int, list[tuple[str, ...]]] = {}
    for annotation in annotations:
        said = annotation.whole
        if said is None or not (known := tuple(label for label in said.labels if label in names)):
            continue
        rank = 2 if annotation.ground_truth else 0 if untouched(said) else 1
        ranks.setdefault(rank, []).append(known)
    if not ranks:
        return nothing, 0.0, False
    rank = max(ranks)
    votes = ranks[rank]
    trust = UNTOUCHED_WEIGHT if rank == 0 else 1.0
    if exclusive:
        counts = Counter(said for vote in votes for said in vote[:1]).most_common(2)
        if len(counts) > 1 and counts[0][1] == counts[1][1]:
            return nothing, 0.0, False
        values: NDArray[np.int8] = np.full(len(names), NO, np.int8)
        values[names.index(counts[0][0])] = YES
        return values, trust * counts[0][1] / len(votes), rank > 0
    yes = np.array([sum(label in vote for vote in votes) for label in names])
    no = len(votes) - yes
    values = np.where(yes > no, YES, np.where(no > yes, NO, UNKNOWN)).astype(np.int8)
    return values, trust, rank > 0


def fit_whole(videos: Sequence[LabelledWhole], labels: Sequence[str], exclusive: bool) -> WholeHead:
    """Class-balanced, regularised logistic regression. Raises NotEnoughLabels when fewer than two classes were seen."""
    names = tuple(labels)
    taught = [video for video in videos if (video.values != UNKNOWN).any()]
    rows = np.stack([pooled(video.features) for video in taught]) if taught else np.zeros((0, 1), np.float32)
    values = np.stack([video.values for video in taught]) if taught else np.zeros((0, len(names)), np.int8)
    weight = np.array([video.weight for video in taught], np.float32)
    centre = rows.mean(axis=0) if taught else np.zeros(1, np.float32)
    rows = unit(rows - centre)
    questions: list[Linear | None] = []
    seen: list[str] = []
    tells_apart = False
    for position in range(1 if exclusive else len(names)):
        classes = values.argmax(axis=1) if exclusive else np.where(values[:, position] == YES, 0, 1)
        known = (values == YES).any(axis=1) if exclusive else values[:, position] != UNKNOWN
        classes = classes[known].astype(np.intp)
        if len(np.unique(classes)) < 2:
            always = not exclusive and len(classes) > 0 and not classes.any()
            questions.append(_always(rows.shape[1], float(weight[known].sum())) if always else None)
            seen += [names[position]] if always else []
            continue
        tells_apart = True
        count = len(names) if exclusive else 2
        questions.append(fit_softmax(rows[known], classes, count, weight[known], _INVERSE_PENALTY))
        seen += [names[each] for each in np.unique(classes)] if exclusive else [names[position]]
    if not tells_apart:
        raise _not_enough(values, names, exclusive)
    return WholeHead(names, exclusive, centre.astype(np.float32), tuple(questions), tuple(seen), float(weight.sum()))


def _always(features: int, videos: float) -> Linear:
    """Of an answer that every video has: the next one has it, too, with Laplace's (videos + 1) in (videos + 2)."""
    return Linear(np.zeros((features, 2), np.float32), np.array([np.log1p(videos), 0], np.float32))


def cross_validated_whole(
    videos: Sequence[LabelledWhole],
    labels: Sequence[str],
    exclusive: bool,
    most_folds: int = 5,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> CrossValidation:
    """Cross-validation grouped by video: near-duplicates are held out together.

    Only videos that a person judged are predicted; the others teach.
    """
    names = tuple(labels)
    usable = [video for video in videos if video.judged and (video.values != UNKNOWN).any()]
    others = [video for video in videos if not any(video is one for one in usable)]
    groups = duplicates([video.features for video in usable])
    folds = _folds(groups, [video.values for video in usable], most_folds, seed) if usable else groups
    numbers = np.unique(folds)
    held: list[Held] = []
    for done, fold in enumerate(numbers if len(numbers) > 1 else []):
        if progress is not None:
            progress(done / len(numbers))
        inside = [video for video, own in zip(usable, folds, strict=True) if own != fold] + others
        try:
            head = fit_whole(inside, names, exclusive)
        except NotEnoughLabels:
            continue
        for video in (video for video, own in zip(usable, folds, strict=True) if own == fold):
            found = head.probabilities(video.features)[None]
            held.append(Held(video.task, found, video.values[None], False, decided(found, exclusive)))
    recordings = int(groups.max(initial=-1)) + 1
    recording = {video.task: int(group) for video, group in zip(usable, groups, strict=True)}
    return CrossValidation(names, exclusive, tuple(held), leaving_out(len(numbers), recordings), recording)


def answered_by_whole(head: WholeHead, videos: Sequence[LabelledWhole]) -> CrossValidation:
    """What a head says of videos none of which it was trained on; only those that a person judged count."""
    usable = [video for video in videos if video.judged and (video.values != UNKNOWN).any()]
    groups = duplicates([video.features for video in usable]).tolist()
    recording = {video.task: group for video, group in zip(usable, groups, strict=True)}
    held: list[Held] = []
    for video in usable:
        found = head.probabilities(video.features)[None]
        held.append(Held(video.task, found, video.values[None], False, decided(found, head.exclusive)))
    return CrossValidation(head.labels, head.exclusive, tuple(held), EvaluationScheme.TRAINED_ELSEWHERE, recording)


def _folds(groups: Groups, values: Sequence[NDArray[np.int8]], most: int, seed: int) -> Groups:
    """(v,) folds of which each has the same mix of answers, no group cut apart.

    Leaving out one of two equally frequent answers would teach that the other one is more frequent: a head that knows nothing
    would always be wrong. Where an answer has one recording only, that cannot be helped.
    """
    first_of = {int(group): answer.tobytes() for group, answer in zip(groups, values, strict=True)}
    rarest = min(Counter(first_of.values()).values())
    if rarest < 2:
        return deal(groups, most, seed)
    order = np.random.default_rng(seed).permutation(sorted(first_of))
    dealt: Counter[bytes] = Counter()
    fold_of: dict[int, int] = {}
    for group in order.tolist():
        fold_of[group] = dealt[first_of[group]] % min(most, rarest)
        dealt[first_of[group]] += 1
    return np.array([fold_of[int(group)] for group in groups], np.intp)


def _not_enough(values: NDArray[np.int8], labels: tuple[str, ...], exclusive: bool) -> NotEnoughLabels:
    if not len(values) or not (values == YES).any():
        return NothingLabelled("No video has been answered yet.", "Choose an answer for some videos and submit.")
    seen = [label for column, label in enumerate(labels) if (values[:, column] == YES).any()]
    if exclusive or len(labels) == 1:
        others = some([label for label in labels if label not in seen], "or")
        remedy = f"Submit a video that is {others} as well." if others else "Submit a video that is something else."
        return NotEnoughLabels(f"Every video answered so far is “{seen[0]}”.", remedy)
    return NotEnoughLabels(
        f"No answered video is without “{seen[0]}”.", "Submit a video for which another answer holds as well."
    )
