"""What Label Studio holds of a task's annotations: how many regions of which control, and which of them nothing reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.regions import parse_regions, parse_whole

Apart = Literal["skipped", "another control", "review", "no frames"]


@dataclass(frozen=True)
class Held:
    """Of one task: annotations that were submitted and `skipped` (cancelled) ones, and all regions in them.

    A region is one range of a timeline, or one item of another kind. `apart`: those that are not read as an answer to a
    question, by control and reason.
    """

    submitted: int = 0
    skipped: int = 0
    regions: int = 0
    apart: Counter[tuple[str, Apart]] = field(default_factory=Counter)


def held(items: Sequence[Mapping[str, Any]], config: LabelConfig) -> Held:
    """What is held in the annotations of one task, as Label Studio gives them."""
    apart: Counter[tuple[str, Apart]] = Counter()
    skipped = regions = 0
    asked = {question.from_name: question for question in config.questions}
    reviewed = config.main.reviewed_control
    for item in items:
        result = item.get("result")
        entries = result if isinstance(result, list) else []
        sizes = [(_control(entry), _size(entry)) for entry in entries]
        regions += sum(size for _, size in sizes)
        if item.get("was_cancelled"):
            skipped += 1
            for control, size in sizes:
                apart[control, "skipped"] += size
            continue
        own: Counter[str] = Counter()
        for control, size in sizes:
            if control in asked:
                own[control] += size
            else:
                apart[control, "review" if control == reviewed else "another control"] += size
        read = [entry for entry in entries if isinstance(entry, Mapping)]
        for control, size in own.items():
            question = asked[control]
            whole = parse_whole(read, question) is not None
            if rest := size - (len(parse_regions(read, question)) or whole):
                apart[control, "no frames"] += rest
    return Held(len(items) - skipped, skipped, regions, apart)


def _control(entry: object) -> str:
    return str(entry.get("from_name") or "") if isinstance(entry, Mapping) else ""


def _size(entry: object) -> int:
    """One, or as many as a timeline's item has ranges."""
    value = entry.get("value") if isinstance(entry, Mapping) and entry.get("type") == "timelinelabels" else None
    ranges = value.get("ranges") if isinstance(value, Mapping) else None
    return max(1, len(ranges)) if isinstance(ranges, list) else 1
