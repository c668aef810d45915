"""Which of a task's annotations says where its objects are, and its tracks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tracks import ReadTracks, read_tracks


@dataclass(frozen=True)
class SubmittedTracks:
    """What one annotation says of boxes. `author`: the number of the user who submitted it, None where Label Studio does not
    know."""

    read: ReadTracks
    author: int | None


def submitted_tracks(annotations: Iterable[Mapping[str, Any]], question: Question) -> SubmittedTracks | None:
    """The tracks of the annotation that counts, of those of one task as Label Studio gives them: a ground truth before others,
    then the one that changed last. Skipped ones say nothing. None when nobody has submitted one."""
    submitted = [each for each in annotations if not each.get("was_cancelled")]
    if not submitted:
        return None
    said = max(
        submitted, key=lambda each: (bool(each.get("ground_truth")), str(each.get("updated_at")), each.get("id", 0))
    )
    result, author = said.get("result"), said.get("completed_by")
    found = read_tracks(result if isinstance(result, list) else [], question)
    return SubmittedTracks(found, author if isinstance(author, int) else None)


def submittable(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same items of tracks as a person's own: nothing says that a model has predicted them."""
    return [
        {**{key: value for key, value in item.items() if key not in ("score", "meta")}, "origin": "manual"}
        for item in items
    ]
