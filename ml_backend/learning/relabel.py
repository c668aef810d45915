"""A model version's card in the words of another project: its labels and controls by the names that they have there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ml_backend.cards.measurements import Measurements
from ml_backend.cards.model_card import ModelCard, QuestionCard
from ml_backend.errors import SettingsError
from ml_backend.wording import cut, some

Card = TypeVar("Card", ModelCard, QuestionCard)


def relabeled(card: Card, names: Mapping[str, str], known: Sequence[str], where: str) -> Card:
    """`names`: the new name of each label that gets another one. `known`: labels of the control `where`. What was measured
    elsewhere is gone from it.

    Raises SettingsError when two labels would become one, or one is not known there.
    """
    labels = tuple(names.get(label, label) for label in card.labels)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise SettingsError(f"Two labels of the model would become “{cut(twice)}”.", "Map each of them to another one.")
    if unknown := [label for label in labels if label not in known]:
        raise SettingsError(
            f"The model knows {some(unknown)}, which “{where}” of this project does not have.",
            f"Say which label it is with --map '{unknown[0]}=…'; the project has {some(known)}.",
        )
    renamed = dict(zip(card.labels, labels, strict=True))
    structure: dict[str, Any] = dict(card.structure)
    if isinstance(structure.get("seen"), list):
        structure["seen"] = [renamed.get(label, label) for label in structure["seen"]]
    confused = card.calibration.confused
    pairs = tuple((renamed.get(a, a), renamed.get(b, b)) for a, b in confused) if confused is not None else None
    return replace(
        card,
        labels=labels,
        lacking=tuple(renamed.get(label, label) for label in card.lacking),
        structure=structure,
        metrics=Measurements(),
        calibration=replace(card.calibration, confused=pairs) if pairs is not None else card.calibration,
    )


def unused(names: Mapping[str, str], card: ModelCard) -> list[str]:
    """Those of `names` that no label of the model has."""
    every = {label for one in card.each() for label in one.labels}
    return [name for name in names if name not in every]
