"""What is learnt of whole videos: an ensemble for each question on one row a video and family, and how far it is believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.calibration import Doubt
from ml_backend.learning.clip_families import AS_SEEN, BY_NAME, Norm, normed
from ml_backend.learning.ensemble import Ensemble, Member
from ml_backend.learning.families import Family, Floats, Part
from ml_backend.learning.head import doubt_as_json, doubt_from, possible
from ml_backend.learning.linear import Linear

# How a head is taken apart. 1, where it is not said: one family, how a video looks on average, and no measured doubt.
_FORMAT = 2
# Where nothing could be held out, the answer counts like so many videos less for each class.
_DOUBT = 1.0


@dataclass(frozen=True, eq=False)
class WholeHead:
    """`questions`: exclusive: one, whose classes are the labels; otherwise one per label with the classes yes and no, None for
    a label that no video has. `norms`: by family what all videos share. `videos`: how many it was learnt from. `doubts`: for each
    question how far it is believed, None where nothing could be held out; empty for heads from before there were any."""

    labels: tuple[str, ...]
    exclusive: bool
    norms: Mapping[str, Norm]
    questions: tuple[Ensemble | None, ...]
    seen: tuple[str, ...]
    videos: float
    doubts: tuple[Doubt | None, ...] = ()
    temperature: float = 1.0

    @property
    def kind(self) -> str:
        return "cold"

    @property
    def lacking(self) -> tuple[str, ...]:
        """Labels that are never predicted because there were no examples of them."""
        return tuple(label for label in self.labels if label not in self.seen)

    @property
    def told_apart(self) -> bool:
        """Whether held-out answers to any question were better than always giving the same one, as far as can be known."""
        asked = [doubt for doubt in self.doubts if doubt is not None]
        return not asked or any(doubt.told_apart for doubt in asked)

    @property
    def confused(self) -> tuple[tuple[str, str], ...]:
        """Of each question that is not told apart the answer that was taken for another most often, and the other."""
        found = []
        for position, doubt in enumerate(self.doubts):
            if doubt is not None and not doubt.told_apart and doubt.confused is not None:
                names = self.labels if self.exclusive else (self.labels[position], f"not {self.labels[position]}")
                found.append((names[doubt.confused[0]], names[doubt.confused[1]]))
        return tuple(found)

    def probabilities(self, features: VideoFeatures) -> Floats:
        """(L,) float32 in 0..1, of a video."""
        used = {
            member.family.name for question in self.questions if question is not None for member in question.members
        }
        families = [BY_NAME[name] for name in sorted(used)]
        rows = {
            family.name: family.pooled(features)[None]
            for family in families
            if features.flow is not None or not family.moving
        }
        return np.asarray(self.of_rows(rows)[0], np.float32)

    def of_rows(self, rows: Mapping[str, Floats]) -> Floats:
        """(v, L) float32 in 0..1, of videos with these rows (v, d) by family, as they are pooled."""
        columns: list[Floats] = []
        for position, question in enumerate(self.questions):
            if question is None:
                columns.append(np.zeros((_count(rows), len(self.labels) if self.exclusive else 1), np.float32))
                continue
            shown = self._doubted(self.undoubted(rows, position), position, possible(question))
            columns.append(shown if self.exclusive else shown[:, :1])
        return np.concatenate(columns, axis=1).astype(np.float32)

    def undoubted(self, rows: Mapping[str, Floats], position: int) -> Floats:
        """(v, K) what one question, which some video answers, makes of them, before anybody asks how far to believe it."""
        question = self.questions[position]
        if question is None:
            raise ValueError("nothing is known of this question")
        seen = possible(question)
        used = {member.family.name for member in question.members}.intersection(rows)
        if not used:
            # Of a video whose movement was never measured nothing is known by that.
            return np.tile(np.asarray(seen / seen.sum(), np.float32), (_count(rows), 1))
        alike = {name: normed(rows[name], self.norms[name]) for name in used}
        return np.where(seen, np.exp(question.of_rows(alike)), 0).astype(np.float32)

    def _doubted(self, asked: Floats, position: int, seen: NDArray[np.bool_]) -> Floats:
        doubt = self.doubts[position] if self.doubts else None
        if doubt is not None:
            return doubt.shown(asked, seen)
        # With few videos it is drawn towards knowing nothing.
        share = _DOUBT * seen.sum() / (self.videos + _DOUBT * seen.sum())
        return np.asarray(np.where(seen, (1 - share) * asked + share / seen.sum(), 0), np.float32)

    def answer(self, probabilities: Floats, allowed: Collection[str]) -> tuple[str, ...]:
        """The labels that hold, of those that are allowed: of an exclusive question the most probable one, else all that are
        more probable than not. None while they cannot be told apart: guesses would only have to be taken away."""
        ranked = sorted(zip(self.labels, probabilities.tolist(), strict=True), key=lambda pair: -pair[1])
        likely = [(label, p) for label, p in ranked if label in allowed and p > 0 and self._tells(label)]
        if self.exclusive:
            return tuple(label for label, _ in likely[:1])
        return tuple(label for label, p in likely if p > 0.5)

    def _tells(self, label: str) -> bool:
        doubt = self.doubts[0 if self.exclusive else self.labels.index(label)] if self.doubts else None
        return doubt is None or doubt.told_apart

    def certainty(self, probabilities: Floats) -> float:
        """How sure it is of the whole answer, in 0..1."""
        return float(probabilities.max() if self.exclusive else np.maximum(probabilities, 1 - probabilities).min())

    def arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The arrays by name, and the JSON structure that says how they belong together."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, (mean, spread) in self.norms.items():
            arrays[f"{name}.mean"] = np.ascontiguousarray(mean)
            if spread is not None:
                arrays[f"{name}.spread"] = np.ascontiguousarray(spread)
        families: list[dict[str, float] | None] = []
        for position, question in enumerate(self.questions):
            families.append(None if question is None else {m.family.name: m.weight for m in question.members})
            for member in question.members if question is not None else ():
                key = f"{position}.{member.family.name}"
                arrays[f"{key}.weights"] = np.ascontiguousarray(member.linear.weights)
                arrays[f"{key}.bias"] = member.linear.bias
        structure: dict[str, Any] = {
            "whole": [question is not None for question in self.questions],
            "format": _FORMAT,
            "families": families,
            "seen": list(self.seen),
            "videos": self.videos,
            "doubts": [None if doubt is None else doubt_as_json(doubt) for doubt in self.doubts],
        }
        return arrays, structure

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        structure: Mapping[str, Any],
        labels: tuple[str, ...],
        exclusive: bool,
    ) -> WholeHead:
        """The head that `arrays` took apart, in this release or in one before; raises KeyError or ValueError when the parts do not fit."""
        if int(structure.get("format", 1)) > _FORMAT:
            raise ValueError("it was written by a newer release")
        asked = structure["whole"]
        if len(asked) != (1 if exclusive else len(labels)):
            raise ValueError("the questions do not fit the labels")
        seen, videos = tuple(structure["seen"]), float(structure["videos"])
        if "format" not in structure:
            olds = tuple(
                Ensemble((_member(AS_SEEN.name, arrays, str(position), 1.0),)) if one else None
                for position, one in enumerate(asked)
            )
            return cls(labels, exclusive, {AS_SEEN.name: (arrays["centre"], None)}, olds, seen, videos)
        questions: list[Ensemble | None] = []
        used: dict[str, None] = {}
        for position, families in enumerate(structure["families"]):
            used.update(dict.fromkeys(families or ()))
            questions.append(
                None
                if families is None
                else Ensemble(
                    tuple(_member(name, arrays, f"{position}.{name}", float(w)) for name, w in families.items())
                )
            )
        norms: dict[str, Norm] = {
            name: (arrays[f"{name}.mean"], None if BY_NAME[name].alike else arrays[f"{name}.spread"]) for name in used
        }
        doubts = tuple(None if doubt is None else doubt_from(doubt) for doubt in structure["doubts"])
        return cls(labels, exclusive, norms, tuple(questions), seen, videos, doubts)


def named(name: str) -> Family:
    """A family of rows of whole videos, as an ensemble knows it."""
    return Family(name, (Part((name,), "raw"),))


def _count(rows: Mapping[str, Floats]) -> int:
    return len(next(iter(rows.values()))) if rows else 1


def _member(name: str, arrays: Mapping[str, NDArray[Any]], key: str, weight: float) -> Member:
    return Member(named(name), Linear(arrays[f"{key}.weights"], arrays[f"{key}.bias"]), None, weight)
