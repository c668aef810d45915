"""From labelled videos to a head: every question fitted, its families weighed, and its doubt measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import NotEnoughLabels, NothingLabelled
from ml_backend.learning.calibration import Doubt, fit_doubt
from ml_backend.learning.ensemble import Ensemble, Fold, Lesson, Recipe, Weighed, fit_ensemble, weigh
from ml_backend.learning.examples import Examples, LabelledVideo, classes_of, rows_at, training_examples
from ml_backend.learning.expected_accuracy import Answers, Way, unseen
from ml_backend.learning.families import Floats, InSpan, Reference, Views, reference_of
from ml_backend.learning.frame_labels import NO, UNKNOWN, YES
from ml_backend.learning.head import Head, Kind, Ready, possible
from ml_backend.learning.linear import EXACT, ROUGH, span
from ml_backend.learning.probabilities import of_question, with_none
from ml_backend.learning.smoothing import switch_rate
from ml_backend.wording import some

# From the teaching videos and the classes of their rows to positions of videos to hold out together.
Folds = Callable[[Sequence[LabelledVideo], Sequence[NDArray[np.intp]]], Sequence[NDArray[np.intp]]]

# Labelled frames of one video are dealt to so many folds, runs of one label together.
_PARTS = 8
# Doubt is measured on so many folds, and of each on so many of its videos.
_DOUBT_FOLDS, _DOUBT_VIDEOS = 8, 6
# Of these the rows of so many frames are kept, 150 MB.
_KEPT_ROWS = 6000
# Directions that hold all but this share of the rows say as much as these.
_LITTLE = 0.05
# How sure a head is of itself is looked up in so many.
_SURE_VIDEOS = 4
# From so many labelled frames on a part of that says as much, and nobody waits for it.
_PLENTY, _PLENTY_FOLDS, _PLENTY_VIDEOS = 300, 3, 2
# With more questions than this each is measured on fewer folds and fitted to fewer rows, of which it needs no more: two classes.
_MANY = 4
_FEW_FOLDS, _ROWS_OF_MANY, _HELD_ROWS = 3, 2000, 500


def fit_head(
    kind: Kind,
    videos: Sequence[LabelledVideo],
    labels: Sequence[str],
    exclusive: bool,
    recipe: Recipe,
    folds: Folds,
    *,
    doubted: bool = True,
) -> Head:
    """Fit one ensemble for each question; raises NotEnoughLabels when no question has two classes.

    `doubted`: whether it is measured how far its answers are to be believed, which takes longer than all the rest.
    """
    names = tuple(labels)
    videos = [_aligned(video, names) for video in videos if video.labels.known.any()]
    if any(video.features.flow is None for video in videos):
        recipe = replace(recipe, families=tuple(f for f in recipe.families if not f.moving))
    chosen = training_examples(videos)
    seen = [Views(video.features) for video in videos]
    reference = reference_of(seen) if videos else {}
    views = [Views(video.features, reference) for video in videos]
    rows = [
        {f.name: rows_at(view, f, own.frames) for f in recipe.families} for view, own in zip(views, chosen, strict=True)
    ]
    switch = switch_rate([video.labels for video in videos])
    course = _Course(kind, names, exclusive, recipe, videos, chosen, rows, reference, switch)
    weighed: list[Weighed | None] = []
    apart: list[Sequence[NDArray[np.intp]]] = []
    for position in range(1 if exclusive else len(names)):
        lessons = course.lessons(position)
        taught = [lesson for lesson in lessons if len(lesson.classes)]
        if not taught or len(np.unique(np.concatenate([lesson.classes for lesson in taught]))) < 2:
            weighed.append(None)
            continue
        at = [v for v, lesson in enumerate(lessons) if len(lesson.classes)]
        groups = folds([videos[v] for v in at], [lesson.classes for lesson in taught])
        apart.append([np.asarray(at)[group] for group in groups])
        masks = [course.whole(group) for group in apart[-1]] if len(groups) >= 2 else course.parts(position)
        own = [
            [out[lesson_rows] for out, lesson_rows in zip(fold, course.asked(position), strict=True)] for fold in masks
        ]
        weighed.append(weigh(lessons, course.classes, recipe, own[:_FEW_FOLDS] if course.is_many else own))
    if not any(each is not None for each in weighed):
        raise _not_enough(videos, names, exclusive)
    head = course.head(weighed, None)
    if not doubted:
        return head
    doubts = own_doubts = tuple(Doubt() for _ in weighed)
    left_out = [course.whole(group) for group in _disjoint(apart[0])] if apart and len(apart[0]) >= 2 else []
    if kind == "cold" or len(videos) < 2 or not left_out:
        parts = course.held_out(weighed, course.parts(0), own=True)
        own_doubts = course.doubts(head, parts, "parts")
        doubts = own_doubts
        if not left_out:
            # Of two videos one is too little to weigh anything by, but not to see that it is enough.
            pair = [course.whole(np.array([v])) for v in (0, 1)] if len(videos) == 2 else []
            elsewhere = course.held_out(weighed, pair, own=False)
            doubts = course.doubts(head, parts, "parts for others", elsewhere)
    if left_out:
        doubts = course.doubts(head, course.held_out(weighed, left_out, own=False), "videos")
        if kind == "blitz":
            own_doubts = doubts
    return replace(head, doubts=doubts, own_doubts=own_doubts)


class _Course:
    """What a head is taught from; every row is made once and used for all questions and folds."""

    def __init__(
        self,
        kind: Kind,
        names: tuple[str, ...],
        exclusive: bool,
        recipe: Recipe,
        videos: Sequence[LabelledVideo],
        chosen: Sequence[Examples],
        rows: Sequence[dict[str, Floats]],
        reference: Reference,
        switch: float,
    ) -> None:
        self.kind, self.names, self.exclusive, self.recipe = kind, names, exclusive, recipe
        self.videos, self.chosen, self._rows = videos, chosen, rows
        self.reference, self.switch = reference, switch
        self.classes = len(names) + 1 if exclusive else 2
        self.is_many = not exclusive and len(names) > _MANY
        self._spans, self._spanned, lost = _spans(rows)
        # Whether heads that are only to be doubted are fitted and asked within the span, which is much faster.
        self._within = lost <= _LITTLE
        self._ready: dict[int, Ready] = {}

    def asked(self, position: int) -> list[NDArray[np.bool_]]:
        """For each video (k,) the rows that can answer the question."""
        return [classes_of(own.values, self.exclusive, position) >= 0 for own in self.chosen]

    def lessons(self, position: int, left_out: Fold | None = None) -> list[Lesson]:
        found = []
        for v, own in enumerate(self.chosen):
            classes = classes_of(own.values, self.exclusive, position)
            kept = classes >= 0 if left_out is None else (classes >= 0) & ~left_out[v]
            rows = self._rows[v] if left_out is None or not self._within else self._spanned[v]
            found.append(Lesson(rows, classes, own.weight, self._spanned[v]).only(kept))
        return found

    def head(self, weighed: Sequence[Weighed | None], left_out: Fold | None) -> Head:
        questions: list[Ensemble | None] = []
        for position, known in enumerate(weighed):
            lessons = [lesson for lesson in self.lessons(position, left_out) if len(lesson.classes)]
            enough = (
                known is not None and lessons and len(np.unique(np.concatenate([one.classes for one in lessons]))) > 1
            )
            if not enough:
                questions.append(None)
                continue
            most: int | None = _HELD_ROWS
            steps, spans = ROUGH, self._directions
            if left_out is None:
                most, steps, spans = _ROWS_OF_MANY if self.is_many else None, EXACT, self._spans
            questions.append(fit_ensemble(lessons, self.classes, self.recipe, known, most, spans, steps))
        return Head(self.kind, self.names, self.exclusive, tuple(questions), self.switch, reference=self.reference)

    @property
    def _directions(self) -> Mapping[str, Floats | None]:
        """Of the rows of what is held out, the directions that these are to be brought into."""
        return dict.fromkeys(self._spans) if self._within else self._spans

    def _of(self, v: int) -> Ready:
        """What is there of a video; that of a few is kept, as each is asked about in many folds."""
        if v not in self._ready:
            if len(self._ready) >= _DOUBT_VIDEOS:
                self._ready.pop(next(iter(self._ready)))
            room = _KEPT_ROWS - sum(len(each.views) for each in self._ready.values() if each.views.kept)
            features, chosen = self.videos[v].features, self.chosen[v].frames
            kept = len(features.frames) <= room
            if self._within:
                views: Views = InSpan(features, self.reference, self._spans, kept=kept)
                self._ready[v] = Ready(views, chosen, self._spanned[v], self._directions, self._spanned[v])
            else:
                # What one of several videos shows may be little among what all show.
                spans, (spanned,), _ = _spans([self._rows[v]])
                views = Views(features, self.reference, kept=kept)
                self._ready[v] = Ready(views, chosen, self._rows[v], spans, spanned)
        return self._ready[v]

    def whole(self, group: NDArray[np.intp]) -> Fold:
        """The fold that holds out these videos."""
        return [np.full(len(own), v in group) for v, own in enumerate(self.chosen)]

    def parts(self, position: int) -> list[Fold]:
        """Folds of the labelled frames of each video: runs of one label together, each label dealt to all folds in turn."""
        runs: list[tuple[int, NDArray[np.intp], bytes]] = []
        for v, own in enumerate(self.chosen):
            if not len(own):
                continue
            changed = (own.values[1:] != own.values[:-1]).any(axis=1)
            far = np.diff(own.frames) > _FAR
            edges = np.flatnonzero(changed | far) + 1
            for at in np.split(np.arange(len(own)), edges):
                runs.append((v, at, own.values[at[0]].tobytes()))
        count = min(_PARTS, len(runs))
        folds = [[np.zeros(len(own), bool) for own in self.chosen] for _ in range(count)]
        turn = 0
        for way in sorted({way for _, _, way in runs}):
            for v, at, own_way in runs:
                if own_way == way:
                    folds[turn % count][v][at] = True
                    turn += 1
        return [fold for fold in folds if any(out.any() for out in fold)]

    def held_out(self, weighed: Sequence[Weighed | None], folds: Sequence[Fold], own: bool) -> list[Answers | None]:
        """Answers to each question about what is held out, None for none; `own`: of videos whose other labels are known."""
        found: list[list[Answers]] = [[] for _ in weighed]
        has_plenty = sum(len(each) for each in self.chosen) > _PLENTY
        most, videos = (_PLENTY_FOLDS, _PLENTY_VIDEOS) if has_plenty else (_DOUBT_FOLDS, _DOUBT_VIDEOS)
        for fold in folds[: _FEW_FOLDS if self.is_many else most]:
            head = self.head(weighed, fold)
            asked = [v for v, out in enumerate(fold) if out.any()]
            for v in asked[:: -(-len(asked) // videos)]:
                self._predict(head, v, fold[v], own, found)
        return [
            Answers(*(np.concatenate(side) for side in zip(*each, strict=True))) if each else None for each in found
        ]

    def doubts(
        self,
        head: Head,
        held: Sequence[Answers | None],
        way: Way,
        elsewhere: Sequence[Answers | None] | None = None,
    ) -> tuple[Doubt, ...]:
        """How far each question of the head is to be believed."""
        sure = self._sure(head) if way == "parts" else [None] * len(held)
        doubts = []
        for position, (question, answers) in enumerate(zip(head.questions, held, strict=True)):
            if question is None:
                doubts.append(Doubt())
                continue
            classes = np.concatenate([lesson.classes for lesson in self.lessons(position)])
            unknown = unseen(classes, len(self.names)) if self.exclusive else 0.0
            doubts.append(
                fit_doubt(
                    answers,
                    way,
                    possible(question),
                    taught=len(classes),
                    videos=sum(len(own) > 0 for own in self.chosen),
                    sure=sure[position],
                    unseen=unknown,
                    elsewhere=None if elsewhere is None else elsewhere[position],
                )
            )
        return tuple(doubts)

    def _sure(self, head: Head) -> list[float | None]:
        """How sure the head is on average of frames that nobody labelled, of the videos whose others were."""
        found: list[list[Floats]] = [[] for _ in head.questions]
        if self._within:
            within = [
                each and Ensemble(tuple(m.within(self._spans[m.family.name]) for m in each.members))
                for each in head.questions
            ]
            head = replace(head, questions=tuple(within))
        for v in np.linspace(0, len(self.videos) - 1, min(len(self.videos), _SURE_VIDEOS)).round().astype(int):
            video = self.videos[v]
            open_ = ~video.labels.known
            if not open_.any():
                continue
            p = head.probabilities(video.features, video.labels, ready=self._of(v))[open_]
            for position, each in enumerate(found):
                each.append(with_none(of_question(p, self.exclusive, position)).max(axis=1))
        return [float(np.concatenate(each).mean()) if each else None for each in found]

    def _predict(
        self,
        head: Head,
        v: int,
        out: NDArray[np.bool_],
        own: bool,
        found: Sequence[list[Answers]],
    ) -> None:
        video, chosen = self.videos[v], self.chosen[v]
        known = None
        if own:
            values = np.full_like(video.labels.values, UNKNOWN)
            values[chosen.frames[~out]] = chosen.values[~out]
            known = replace(video.labels, values=values)
        p = head.probabilities(video.features, known, ready=self._of(v))[chosen.frames[out]]
        for position, question in enumerate(head.questions):
            truth = classes_of(chosen.values[out], self.exclusive, position)
            if question is None:
                continue
            # What nothing else is like cannot be known by the others; that says nothing of the head, which knows it.
            at = (truth >= 0) & possible(question)[truth]
            if not at.any():
                continue
            answers = with_none(of_question(p, self.exclusive, position))[at].clip(1e-6, 1)
            found[position].append(Answers(np.log(answers), truth[at], chosen.weight[out][at]))


def _spans(rows: Sequence[dict[str, Floats]]) -> tuple[dict[str, Floats], list[dict[str, Floats]], float]:
    """By family what the rows of all videos span, and for each video its rows in these directions: what is fitted to some of
    them lies in it, whatever the question. And the share of them that is in no direction, 0..1, of the family that loses most."""
    spans: dict[str, Floats] = {}
    spanned: list[dict[str, Floats]] = [{} for _ in rows]
    edges = np.cumsum([len(next(iter(own.values()), ())) for own in rows])[:-1]
    lost = 0.0
    for name in rows[0] if rows else ():
        every = np.concatenate([own[name] for own in rows]) if len(rows) > 1 else rows[0][name]
        spans[name] = span(every)
        places = every @ spans[name]
        whole, held = float(np.vdot(every, every)), float(np.vdot(places, places))
        lost = max(lost, (whole - held) / max(whole, 1e-12))
        for own, part in zip(spanned, np.split(places, edges), strict=True):
            own[name] = part
    return spans, spanned, lost


# Labelled frames further apart than this were looked at each for itself, even if their label is the same.
_FAR = 2


def _disjoint(groups: Sequence[NDArray[np.intp]]) -> list[NDArray[np.intp]]:
    """Of groups that may hold one another the smallest of each."""
    kept: list[NDArray[np.intp]] = []
    for group in sorted(groups, key=len):
        if not any(np.isin(group, other).any() for other in kept):
            kept.append(group)
    return kept


def _aligned(video: LabelledVideo, labels: tuple[str, ...]) -> LabelledVideo:
    """The video with its frame labels in the order of `labels`, one row for each frame that decodes."""
    return replace(video, labels=video.labels.select(labels).resized(len(video.features.timeline)))


def _not_enough(videos: Sequence[LabelledVideo], labels: tuple[str, ...], exclusive: bool) -> NotEnoughLabels:
    values = (
        np.concatenate([video.labels.values for video in videos]) if videos else np.empty((0, len(labels)), np.int8)
    )
    seen = [label for column, label in enumerate(labels) if (values[:, column] == YES).any()]
    lacking = [label for label in labels if label not in seen]
    if not seen:
        empty = int((values == NO).all(axis=1).sum())
        if empty:
            return NotEnoughLabels(
                f"None of the {empty} labeled frames shows any of the labels.", "Label a frame that shows one."
            )
        return NothingLabelled("No frame has been labeled yet.", "Answer some of the suggested frames and submit.")
    if exclusive and len(labels) > 1:
        return NotEnoughLabels(
            f"Every labeled frame so far is “{seen[0]}”.",
            f"Label at least one frame as {some(lacking, 'or')} as well.",
        )
    without = next((label for column, label in enumerate(labels) if not (values[:, column] == NO).any()), seen[0])
    return NotEnoughLabels(
        f"No frame is known to be without “{without}”.",
        "Submit one whole timeline: where it has no region, the label is absent.",
    )
