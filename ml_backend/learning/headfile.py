"""A head as plain arrays and JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.prompts import Prompts
from ml_backend.learning.calibration import Doubt
from ml_backend.learning.ensemble import Ensemble, Member, Neighbours
from ml_backend.learning.families import Family, Part
from ml_backend.learning.head import Head, Kind
from ml_backend.learning.linear import Linear
from ml_backend.learning.prior import Prior


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
    structure["doubts"] = [_as_json(doubt) for doubt in head.doubts]
    structure["own_doubts"] = [_as_json(doubt) for doubt in head.own_doubts]
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
        doubts=tuple(_doubt(doubt) for doubt in structure.get("doubts", ())),
        own_doubts=tuple(_doubt(doubt) for doubt in structure.get("own_doubts", ())),
    )
    if (said := structure.get("prior")) is None:
        return head
    prompts = Prompts(str(said["model"]), labels, arrays["prior.rows"], float(said["scale"]))
    return replace(head, prior=Prior(prompts, float(said["weight"])))


def _as_json(doubt: Doubt) -> dict[str, Any]:
    return {**asdict(doubt), "confused": list(doubt.confused) if doubt.confused else None}


def _doubt(said: Mapping[str, Any]) -> Doubt:
    confused = said.get("confused")
    # Of what versions before this one wrote, some is not known any more.
    known = {each.name: said[each.name] for each in fields(Doubt) if each.name in said}
    return Doubt(**{**known, "confused": (int(confused[0]), int(confused[1])) if confused else None})
