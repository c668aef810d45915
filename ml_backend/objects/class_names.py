"""What a detector's classes are called in a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Of a detector none of whose classes is meant by a label: one object is one track, whatever it looked like in each frame.
_ANY = "object"


@dataclass(frozen=True)
class ClassNames:
    """`labels`: what each class that counts is called; None takes all as they are. `meant`: whether these are labels of the
    project. `unknown`: classes that are asked for and that the detector does not have."""

    labels: Mapping[str, str] | None
    meant: bool
    unknown: tuple[str, ...] = ()


def class_names(
    names: Sequence[str], labels: Sequence[str], predicted_values: Mapping[str, str] | None = None
) -> ClassNames:
    """How a detector's class `names` become `labels` of the project: by `predicted_values`, which maps names (a comma between
    several) to a label, else by an equal name. Case does not count. Classes that no label means are left out, unless no label
    means any."""
    asked = {
        word.strip().casefold(): (word.strip(), label)
        for words, label in (predicted_values or {}).items()
        for word in words.split(",")
        if word.strip()
    }
    equal = {label.casefold(): label for label in labels}
    found = {}
    for name in names:
        key = name.casefold()
        label = asked[key][1] if key in asked else equal.get(key)
        if label is not None:
            found[name] = label
    known = {name.casefold() for name in names}
    unknown = tuple(word for key, (word, _) in asked.items() if key not in known)
    if found:
        return ClassNames(found, True, unknown)
    return ClassNames(dict.fromkeys(names, _ANY) if len(names) > 1 else None, False, unknown)


def words_of(labels: Sequence[str], predicted_values: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """What a network that reads text is to look for: of each label the names that its `predicted_values` has, else its own."""
    by_label: dict[str, list[str]] = {}
    for words, label in (predicted_values or {}).items():
        by_label.setdefault(label, []).extend(word.strip() for word in words.split(",") if word.strip())
    return tuple(dict.fromkeys(word for label in labels for word in by_label.get(label) or [label]))
