"""What a whole video is: from videos that people have answered to a head, and how well it does on videos left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, WholeVideo
from ml_backend.cards.measurements import EvaluationScheme
from ml_backend.errors import NotEnoughLabels, NothingLabelled
from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.calibration import Doubt, Held, fit_doubt
from ml_backend.learning.clip_families import AS_SEEN, BY_NAME, able, norm_of, normed
from ml_backend.learning.ensemble import Ensemble, Lesson, Member, Recipe, fit_ensemble, weigh
from ml_backend.learning.evaluation import CrossValidation, leaving_out
from ml_backend.learning.expected_accuracy import Answers
from ml_backend.learning.families import Floats
from ml_backend.learning.frame_labels import NO, UNKNOWN, UNTOUCHED_WEIGHT, YES
from ml_backend.learning.groups import Groups, deal, duplicates
from ml_backend.learning.head import possible
from ml_backend.learning.linear import Linear
from ml_backend.learning.probabilities import decided
from ml_backend.learning.whole_head import WholeHead, named
from ml_backend.wording import some

_INVERSE_PENALTY = 30.0
# Families are weighed, and doubt is measured, on so many folds; of many videos fewer say as much.
_MOST_FOLDS = 5
_FEW_FOLDS, _PLENTY = 3, 300


@dataclass(frozen=True, eq=False)
class LabelledWhole:
    """One task's video and what people say that it is. `values`: (L,) int8 as in `FrameLabels`. `weight` in 0..1: trust.
    `judged`: by a person rather than by a blind Submit."""

    task: int
    features: VideoFeatures
    values: NDArray[np.int8]
    weight: float
    judged: bool


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


@dataclass(frozen=True, eq=False)
class _Clips:
    """What some videos are learnt by. `rows`: (v, d) by family, as they are pooled. `values`: (v, L). `weight`: (v,). `groups`: (v,)
    the same number for copies of one recording."""

    rows: Mapping[str, Floats]
    values: NDArray[np.int8]
    weight: Floats
    groups: Groups

    @classmethod
    def of(cls, videos: Sequence[LabelledWhole], labels: int) -> _Clips:
        features = [video.features for video in videos]
        pooled = {family.name: [family.pooled(each) for each in features] for family in able(features)}
        values = np.stack([video.values for video in videos]) if videos else np.zeros((0, labels), np.int8)
        weight = np.array([video.weight for video in videos], np.float32)
        rows = {name: np.stack(each) for name, each in pooled.items() if each}
        return cls(rows, values, weight, _recordings(duplicates(features), values))

    def __len__(self) -> int:
        return len(self.weight)

    def at(self, kept: NDArray[np.bool_]) -> _Clips:
        rows = {name: each[kept] for name, each in self.rows.items()}
        return _Clips(rows, self.values[kept], self.weight[kept], self.groups[kept])

    def classes(self, exclusive: bool, position: int) -> NDArray[np.intp]:
        """(v,) the class that is true for a question, -1 where nobody knows."""
        if exclusive:
            return np.where((self.values == YES).any(axis=1), self.values.argmax(axis=1), -1).astype(np.intp)
        return np.select([self.values[:, position] == YES, self.values[:, position] == NO], [0, 1], -1).astype(np.intp)


def fit_whole(
    videos: Sequence[LabelledWhole], labels: Sequence[str], exclusive: bool, *, doubted: bool = True
) -> WholeHead:
    """Fits one ensemble for each question. `doubted`: whether it is measured how far its answers are to be believed.

    Raises NotEnoughLabels when fewer than two classes were seen.
    """
    taught = [video for video in videos if (video.values != UNKNOWN).any()]
    return _fit(_Clips.of(taught, len(labels)), tuple(labels), exclusive, doubted, careful=True)


def _fit(clips: _Clips, names: tuple[str, ...], exclusive: bool, doubted: bool, *, careful: bool = False) -> WholeHead:
    """`careful`: where nothing tells the worth of a family, only how videos look is asked. A head that stands for a larger one, which
    is to be measured, takes all that the larger one takes."""
    norms = {name: norm_of(BY_NAME[name], rows) for name, rows in clips.rows.items()}
    alike = {name: normed(rows, norms[name]) for name, rows in clips.rows.items()}
    recipe = Recipe(tuple(named(name) for name in clips.rows), (_INVERSE_PENALTY,), neighbours=False)
    questions: list[Ensemble | None] = []
    seen: list[str] = []
    tells_apart = False
    for position in range(1 if exclusive else len(names)):
        classes = clips.classes(exclusive, position)
        known = classes >= 0
        classes = classes[known]
        if len(np.unique(classes)) < 2:
            always = not exclusive and len(classes) > 0 and not classes.any()
            questions.append(
                _always(alike[AS_SEEN.name].shape[1], float(clips.weight[known].sum())) if always else None
            )
            seen += [names[position]] if always else []
            continue
        tells_apart = True
        count = len(names) if exclusive else 2
        lesson = Lesson({name: rows[known] for name, rows in alike.items()}, classes, clips.weight[known])
        folds = [[out] for out in _left_out(clips.groups[known], classes)]
        # Of what else a pair of videos differs in, most is noise.
        own = recipe if len(folds) > 1 or not careful else replace(recipe, families=(named(AS_SEEN.name),))
        questions.append(fit_ensemble([lesson], count, own, weigh([lesson], count, own, folds)))
        seen += [names[each] for each in np.unique(classes)] if exclusive else [names[position]]
    if not tells_apart:
        raise _not_enough(clips.values, names, exclusive)
    head = WholeHead(names, exclusive, norms, tuple(questions), tuple(seen), float(clips.weight.sum()))
    if not doubted:
        return head
    return replace(head, doubts=tuple(_doubt(clips, head, position) for position in range(len(questions))))


def _doubt(clips: _Clips, head: WholeHead, position: int) -> Doubt | None:
    """How far a question is believed, by heads that are fitted, families weighed and all, without some of its videos; None where
    no video can be spared."""
    question = head.questions[position]
    classes = clips.classes(head.exclusive, position)
    every = clips.at(classes >= 0)
    classes = classes[classes >= 0]
    folds = _left_out(every.groups, classes)[: _FEW_FOLDS if len(every) > _PLENTY else _MOST_FOLDS]
    if question is None or len(folds) < 2:
        return None
    logs: list[Floats] = []
    truths: list[NDArray[np.intp]] = []
    weights: list[Floats] = []
    for out in folds:
        held = every.at(out)
        inside = every.at(~out)
        if not head.exclusive:
            held, inside = (replace(each, values=each.values[:, position : position + 1]) for each in (held, inside))
        names = head.labels if head.exclusive else head.labels[position : position + 1]
        try:
            found = _fit(inside, names, head.exclusive, False).undoubted(held.rows, 0)
        except NotEnoughLabels:
            continue
        told = found[np.arange(len(found)), classes[out]] > 0
        logs.append(np.log(found[told].clip(1e-6, 1)))
        truths.append(classes[out][told])
        weights.append(held.weight[told])
    truth = np.concatenate(truths) if truths else np.zeros(0, np.intp)
    if len(np.unique(truth)) < 2:
        return None
    answers = Answers(np.concatenate(logs), truth, np.concatenate(weights))
    # A fold takes more than one video with it, so that a whole head errs less than its parts.
    return fit_doubt(answers, "clips", possible(question), taught=len(every), videos=len(folds))


def _recordings(alike: Groups, values: NDArray[np.int8]) -> Groups:
    """(v,) a number for each recording, from those of videos that look alike: clips of one person who makes two signs look alike and
    are no copies. Those that are answered differently are apart, and so is every clip of an answer that would be left with one."""
    answers = [each.tobytes() for each in values]
    each_of: dict[bytes, set[int]] = {}
    for group, answer in zip(alike.tolist(), answers, strict=True):
        each_of.setdefault(answer, set()).add(group)
    keys = [
        (answer, group if len(each_of[answer]) > 1 else -1 - at)
        for at, (group, answer) in enumerate(zip(alike.tolist(), answers, strict=True))
    ]
    number = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], np.intp)


def _left_out(groups: Groups, classes: NDArray[np.intp]) -> list[NDArray[np.bool_]]:
    """(v,) masks of what is held out together: of every class about the same share, no group cut apart. What has one recording alone
    stays in, since nothing else tells of it. Fewer than two where that cannot be."""
    main = {int(group): int(one) for group, one in zip(groups, classes, strict=True)}
    counts = Counter(main.values())
    spared = {one: count for one, count in counts.items() if count > 1}
    if len(spared) < 2:
        return []
    folds = min(_MOST_FOLDS, *spared.values())
    order = np.random.default_rng(0).permutation(sorted(main))
    dealt: Counter[int] = Counter()
    fold_of: dict[int, int] = {}
    for group in order.tolist():
        one = main[group]
        fold_of[group] = dealt[one] % folds if one in spared else -1
        dealt[one] += 1
    own = np.array([fold_of[int(group)] for group in groups])
    return [own == fold for fold in range(folds)]


def _always(features: int, videos: float) -> Ensemble:
    """Of an answer that every video has: the next one has it, too, with Laplace's (videos + 1) in (videos + 2)."""
    linear = Linear(np.zeros((features, 2), np.float32), np.array([np.log1p(videos), 0], np.float32))
    return Ensemble((Member(named(AS_SEEN.name), linear, None, 1.0),))


def cross_validated_whole(
    videos: Sequence[LabelledWhole],
    labels: Sequence[str],
    exclusive: bool,
    most_folds: int = 5,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    *,
    doubted: bool = True,
) -> CrossValidation:
    """Cross-validation grouped by video: near-duplicates are held out together.

    Only videos that a person judged are predicted; the others teach. So does the only recording of an answer, since nothing would
    teach that answer to a head that is asked about it; where a single answer has several recordings, nothing is predicted.
    `doubted`: as for `fit_whole`.
    """
    names = tuple(labels)
    usable = [video for video in videos if video.judged and (video.values != UNKNOWN).any()]
    others = [video for video in videos if (video.values != UNKNOWN).any() and not any(video is one for one in usable)]
    clips = _Clips.of([*usable, *others], len(names))
    groups = clips.groups[: len(usable)]
    tested = _testable(groups, [video.values for video in usable]) if exclusive else np.ones(len(usable), bool)
    folds = np.full(len(usable), -1)
    if tested.any():
        of_tested = [video.values for video, asked in zip(usable, tested, strict=True) if asked]
        folds[tested] = _folds(groups[tested], of_tested, most_folds, seed)
    numbers = np.unique(folds[tested])
    held: list[Held] = []
    for done, fold in enumerate(numbers if len(numbers) > 1 else []):
        if progress is not None:
            progress(done / len(numbers))
        out = np.concatenate([folds == fold, np.zeros(len(others), bool)])
        try:
            head = _fit(clips.at(~out), names, exclusive, doubted)
        except NotEnoughLabels:
            continue
        for at, found in zip(np.flatnonzero(out).tolist(), head.of_rows(clips.at(out).rows), strict=True):
            answer = decided(found[None], exclusive)
            held.append(Held(usable[at].task, found[None], usable[at].values[None], False, answer))
    asked = zip(usable, groups, tested, strict=True)
    recording = {video.task: int(group) for video, group, predicted in asked if predicted}
    recordings = len(set(recording.values()))
    return CrossValidation(names, exclusive, tuple(held), leaving_out(len(numbers), recordings), recording)


def _testable(groups: Groups, values: Sequence[NDArray[np.int8]]) -> NDArray[np.bool_]:
    """(v,) of which videos it can be told whether a head that did not see them is right: their answer has several recordings, and so has
    another one."""
    answer_of = {int(group): answer.tobytes() for group, answer in zip(groups, values, strict=True)}
    recordings = Counter(answer_of.values())
    several = {answer for answer, number in recordings.items() if number > 1}
    return np.array([len(several) > 1 and answer_of[int(group)] in several for group in groups], bool)


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
    would always be wrong.
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
