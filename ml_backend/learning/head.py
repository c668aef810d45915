"""What is trained on embeddings and answers for every frame of a video: the form that Cold and Blitz share, what label names alone say as
its prior, and its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.prompts import Prompts
from ml_backend.learning.calibration import Doubt
from ml_backend.learning.ensemble import (
    Ensemble,
    Lesson,
    Member,
    Neighbours,
    Recipe,
    Weighed,
    blend,
    fit_ensemble,
    normalised,
)
from ml_backend.learning.examples import Examples, LabelledVideo, classes_of, examples, rows_at
from ml_backend.learning.families import Family, Floats, Part, Reference, Views
from ml_backend.learning.frame_labels import UNKNOWN, FrameLabels
from ml_backend.learning.linear import EXACT, ROUGH, Linear
from ml_backend.learning.probabilities import of_question, with_none
from ml_backend.learning.smoothing import DEFAULT_SWITCH_RATE, smooth

# With less than this the names have no say any more, and no video needs to be looked at for them.
LEAST_WEIGHT = 0.02


@dataclass(frozen=True, eq=False)
class Prior:
    """`weight`: 0..1, how much the names' log-probabilities count beside the head's, which count 1."""

    prompts: Prompts
    weight: float

    def added(self, logs: Floats, features: VideoFeatures, position: int, exclusive: bool) -> Floats:
        """`logs` (n, K) of every frame, of question `position`, with the prior; unchanged for a video that this text model has not seen."""
        seen = features.text
        if seen is None or seen.model != self.prompts.model:
            return logs
        scores = self.prompts.log_scores(seen.rows)
        # Yes is the label, no is none of them; normalising makes an answer of the two.
        columns = scores if exclusive else scores[:, [position, -1]]
        every = np.arange(len(features))
        at = [np.interp(every, seen.frames, column) for column in columns.T]
        return normalised(np.asarray(logs + self.weight * np.stack(at, axis=1), np.float32))


def prior_for(videos: Sequence[LabelledVideo], labels: Sequence[str], prompts: Prompts | None) -> Prior | None:
    """A prior of weight 1 / (1 + n), n being the labelled frames of `videos` per label; None when it has no say."""
    if prompts is None or prompts.labels != tuple(labels):
        return None
    labelled = sum(int(video.labels.known.sum()) for video in videos)
    weight = 1 / (1 + labelled / len(labels))
    return Prior(prompts, weight) if weight >= LEAST_WEIGHT else None


Kind = Literal["cold", "blitz"]

# What the labelled frames of the very video say counts as much as everything learnt from all videos.
LOCAL_WEIGHT = 0.5
# To see how far a head is to be believed, it is fitted to so many of a video's labelled frames: with more it takes seconds.
_ROUGH_ROWS = 300
NOTHING = "none of the labels"
# A class no member has seen has this for a bias.
_SEEN = -49.0
_SURE = Doubt()


@dataclass(frozen=True, eq=False)
class Ready:
    """What is there already of a video that a head is asked about many times over, to see how far it is to be believed: `views`
    of its features; ascending `frames` (k,), and by family their `rows` (k, d), the directions in `spans` (d, r), None where the
    rows are in them already, and the rows in these, `spanned` (k, r).
    """

    views: Views
    frames: NDArray[np.int64]
    rows: Mapping[str, Floats]
    spans: Mapping[str, Floats | None]
    spanned: Mapping[str, Floats]

    def lesson(self, own: Examples, families: Sequence[Family], exclusive: bool, position: int) -> Lesson | None:
        """As `lesson_of`, of examples that are among `frames`; None where one is not."""
        at = np.searchsorted(self.frames, own.frames).clip(0, max(len(self.frames) - 1, 0))
        if not len(self.frames) or (self.frames[at] != own.frames).any():
            return None
        classes = classes_of(own.values, exclusive, position)
        asked = classes >= 0
        rows, spanned = ({f.name: of[f.name][at[asked]] for f in families} for of in (self.rows, self.spanned))
        return Lesson(rows, classes[asked], own.weight[asked], spanned)


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head.

    `questions`: exclusive: one, whose classes are the labels and then "none of them"; otherwise one per label with the
    classes yes and no, None for a label that lacks examples of either (it is then never predicted).
    `switch`: how often a label changes per frame. `temperature` flattens what is shown, above 1, or sharpens it. `prior`:
    what the labels' names say, while few frames are labelled and where there is a text model. `reference`: what the frames
    of the project's videos look like on average. `doubts`: for each question how far it is believed of a video that has no
    labels; `own_doubts` of one that has; empty for heads from before there were any.
    """

    kind: Kind
    labels: tuple[str, ...]
    exclusive: bool
    questions: tuple[Ensemble | None, ...]
    switch: float = DEFAULT_SWITCH_RATE
    temperature: float = 1.0
    prior: Prior | None = None
    reference: Reference | None = None
    doubts: tuple[Doubt, ...] = ()
    own_doubts: tuple[Doubt, ...] = ()

    @property
    def lacking(self) -> tuple[str, ...]:
        """Labels that are never predicted because there were no examples of them, or none without them."""
        if not self.exclusive:
            return tuple(label for label, asked in zip(self.labels, self.questions, strict=True) if asked is None)
        question = self.questions[0]
        if question is None:
            return self.labels
        seen = possible(question)
        return tuple(label for label, is_seen in zip(self.labels, seen[:-1], strict=True) if not is_seen)

    @property
    def told_apart(self) -> bool:
        """Whether held-out answers to any question were better than always giving the commonest one."""
        asked = [
            max(pair, key=lambda doubt: doubt.frames)
            for pair in zip(self.doubts, self.own_doubts, strict=True)
            if any(doubt.frames for doubt in pair)
        ]
        return not asked or any(doubt.told_apart for doubt in asked)

    @property
    def confused(self) -> tuple[tuple[str, str], ...]:
        """Of each question that is not told apart the label that was taken for another most often, and the other."""
        found = []
        for position, doubt in enumerate(
            max(self.doubts, self.own_doubts, key=lambda each: sum(d.frames for d in each))
        ):
            if doubt.told_apart or doubt.confused is None:
                continue
            names = (
                (*self.labels, NOTHING) if self.exclusive else (self.labels[position], f"not {self.labels[position]}")
            )
            found.append((names[doubt.confused[0]], names[doubt.confused[1]]))
        return tuple(found)

    def probabilities(
        self,
        features: VideoFeatures,
        known: FrameLabels | None = None,
        *,
        smoothed: bool = True,
        ready: Ready | None = None,
    ) -> Floats:
        """(n, L) float32 in 0..1 for every frame of the video, interpolated between embedded frames.

        `known` are the frame labels of this very video: they sharpen the head for it and are held fixed. With
        `smoothed` a hidden Markov model lets neighbouring frames agree. `ready`: what there is of this video; the
        fit to `known` is a rough one then.
        """
        held = None if known is None else known.select(self.labels).resized(len(features.timeline))
        views = Views(features, self.reference) if ready is None else ready.views
        columns: list[Floats] = []
        for position, question in enumerate(self.questions):
            if question is None:
                columns.append(np.zeros((len(features), len(self.labels) if self.exclusive else 1), np.float32))
                continue
            # Between embedded frames it is the log-probabilities that run straight: a change is put where they cross.
            logs = question.log_probabilities(views)
            if self.prior is not None:
                logs = self.prior.added(logs, features, position, self.exclusive)
            if held is not None:
                logs = self._sharpened(logs, question, features, views, held, position, ready)
            columns.append(np.exp(normalised(logs)[:, :-1]))
        found = np.concatenate(columns, axis=1).clip(0, 1)
        found = smooth(found, self.exclusive, held, self.switch) if smoothed else found
        own = held is not None and bool(held.known.any())
        return self._doubted(found, self.own_doubts if own else self.doubts, held if smoothed else None)

    def calibrated(self, temperature: float) -> Head:
        return replace(self, temperature=temperature)

    def _doubted(self, found: Floats, doubts: Sequence[Doubt], held: FrameLabels | None) -> Floats:
        """What is shown of it: no surer than answers have been right."""
        steps = [doubts or (_SURE,) * len(self.questions)]
        if self.temperature != 1:
            steps.append((Doubt(self.temperature),) * len(self.questions))
        shown = found
        for step in steps:
            columns = []
            for position, (question, doubt) in enumerate(zip(self.questions, step, strict=True)):
                own = of_question(shown, self.exclusive, position)
                answers = with_none(own).clip(0, 1)
                columns.append(own if question is None else doubt.shown(answers, possible(question))[:, :-1])
            shown = np.concatenate(columns, axis=1)
        if held is None:
            return shown
        # What a person said is not doubted.
        said = (held.values != UNKNOWN) & (held.weight[:, None] >= 0.5)
        if self.exclusive:
            said = np.broadcast_to(
                ((held.values == 1).any(axis=1) | said.all(axis=1))[:, None] & (held.weight[:, None] >= 0.5), said.shape
            )
        return np.where(said, found, shown)

    def _sharpened(
        self,
        logs: Floats,
        question: Ensemble,
        features: VideoFeatures,
        views: Views,
        known: FrameLabels,
        position: int,
        ready: Ready | None,
    ) -> Floats:
        """Blend with a head fitted on the video's own labelled frames, if those show two classes."""
        own = examples(known, features.frames)
        families = tuple(member.family for member in question.members)
        there = None if ready is None else ready.lesson(own, families, self.exclusive, position)
        lesson = lesson_of(own, views, families, self.exclusive, position) if there is None else there
        seen = np.unique(lesson.classes)
        if len(seen) < 2:
            return logs
        weights = np.array([member.weight for member in question.members])
        alone = tuple(member.family.name for member in question.members if member.neighbours is None)
        recipe = Recipe(families, alone=alone)
        known_weights = Weighed(weights, (100.0,) * len(weights))
        most, steps = (None, EXACT) if ready is None else (_ROUGH_ROWS, ROUGH)
        spans = None if ready is None or there is None else ready.spans
        fitted = fit_ensemble([lesson], logs.shape[1], recipe, known_weights, most, spans, steps)
        local = fitted.log_probabilities(views)
        # A class that this video's labels do not show keeps the probability it has elsewhere.
        unseen = np.setdiff1d(np.arange(logs.shape[1]), seen)
        among = normalised(logs[:, seen])
        mixed = blend([(1 - LOCAL_WEIGHT, among), (LOCAL_WEIGHT, local[:, seen])])
        joined = logs.copy()
        joined[:, seen] = mixed + np.log1p(-np.exp(logs[:, unseen]).sum(axis=1).clip(0, 1 - 1e-6))[:, None]
        return normalised(joined)


def possible(question: Ensemble) -> NDArray[np.bool_]:
    """(K,) classes of which there were examples."""
    return np.asarray(np.max([member.linear.bias for member in question.members], axis=0) > _SEEN)


def lesson_of(chosen: Examples, views: Views, families: Sequence[Family], exclusive: bool, position: int) -> Lesson:
    """The rows of one video that can answer question `position`."""
    classes = classes_of(chosen.values, exclusive, position)
    asked = classes >= 0
    rows = {f.name: rows_at(views, f, chosen.frames[asked]) for f in families}
    return Lesson(rows, classes[asked], chosen.weight[asked])


def arrays_of(head: Head) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays by name, and the JSON structure that says how they belong together."""
    arrays: dict[str, NDArray[Any]] = {}
    questions: list[list[dict[str, Any]] | None] = []
    for position, question in enumerate(head.questions):
        if question is None:
            questions.append(None)
            continue
        described = []
        for member in question.members:
            key = f"{position}.{member.family.name}"
            arrays[f"{key}.weights"] = np.ascontiguousarray(member.linear.weights)
            arrays[f"{key}.bias"] = member.linear.bias
            if member.neighbours is not None:
                arrays[f"{key}.neighbours"] = np.ascontiguousarray(member.neighbours.rows).astype(np.float16)
                arrays[f"{key}.classes"] = member.neighbours.classes.astype(np.int64)
            parts = [[list(part.blocks), part.view, part.scale] for part in member.family.parts]
            described.append({"family": member.family.name, "parts": parts, "weight": member.weight})
        questions.append(described)
    structure: dict[str, Any] = {"questions": questions, "switch": head.switch}
    for name, (mean, spread) in (head.reference or {}).items():
        arrays[f"reference.{name}.mean"], arrays[f"reference.{name}.spread"] = mean, spread
    structure["doubts"] = [doubt_as_json(doubt) for doubt in head.doubts]
    structure["own_doubts"] = [doubt_as_json(doubt) for doubt in head.own_doubts]
    if (prior := head.prior) is not None:
        arrays["prior.rows"] = np.ascontiguousarray(prior.prompts.rows, np.float32)
        structure["prior"] = {"model": prior.prompts.model, "scale": prior.prompts.scale, "weight": prior.weight}
    return arrays, structure


def head_from(
    arrays: Mapping[str, NDArray[Any]],
    structure: Mapping[str, Any],
    kind: str,
    labels: tuple[str, ...],
    exclusive: bool,
) -> Head:
    """The head that `arrays_of` took apart; raises KeyError, TypeError or ValueError when the parts do not fit."""
    if kind not in get_args(Kind):
        raise ValueError(f"unknown kind {kind}")
    questions: list[Ensemble | None] = []
    for position, described in enumerate(structure["questions"]):
        if described is None:
            questions.append(None)
            continue
        members = []
        for member in described:
            key = f"{position}.{member['family']}"
            near = None
            if f"{key}.neighbours" in arrays:
                rows = arrays[f"{key}.neighbours"].astype(np.float32)
                near = Neighbours(rows, arrays[f"{key}.classes"].astype(np.intp))
            linear = Linear(arrays[f"{key}.weights"], arrays[f"{key}.bias"])
            parts = tuple(Part(tuple(blocks), view, float(scale)) for blocks, view, scale in member["parts"])
            members.append(Member(Family(member["family"], parts), linear, near, float(member["weight"])))
        questions.append(Ensemble(tuple(members)))
    if len(questions) != (1 if exclusive else len(labels)):
        raise ValueError("the questions do not fit the labels")
    means = {name.split(".")[1]: array for name, array in arrays.items() if name.endswith(".mean")}
    head = Head(
        "cold" if kind == "cold" else "blitz",
        labels,
        exclusive,
        tuple(questions),
        float(structure["switch"]),
        reference={name: (mean, arrays[f"reference.{name}.spread"]) for name, mean in means.items()},
        # None in versions from before there were any.
        doubts=tuple(doubt_from(doubt) for doubt in structure.get("doubts", ())),
        own_doubts=tuple(doubt_from(doubt) for doubt in structure.get("own_doubts", ())),
    )
    if (said := structure.get("prior")) is None:
        return head
    prompts = Prompts(str(said["model"]), labels, arrays["prior.rows"], float(said["scale"]))
    return replace(head, prior=Prior(prompts, float(said["weight"])))


def doubt_as_json(doubt: Doubt) -> dict[str, Any]:
    return {**asdict(doubt), "confused": list(doubt.confused) if doubt.confused else None}


def doubt_from(said: Mapping[str, Any]) -> Doubt:
    confused = said.get("confused")
    # Of what versions before this one wrote, some is not known any more.
    known = {each.name: said[each.name] for each in fields(Doubt) if each.name in said}
    return Doubt(**{**known, "confused": (int(confused[0]), int(confused[1])) if confused else None})
