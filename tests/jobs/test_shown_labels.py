"""Which label a track is shown with: a person's, a detector's, or what was learned."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.jobs.box_tracks import as_shown
from ml_backend.jobs.track_labels import is_open
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.projects.tracks import StoredTrack

QUESTION = parse_label_config(
    '<View><Labels name="who" toName="film"><Label value="mouse"/><Label value="vole"/></Labels>'
    '<VideoRectangle name="box" toName="film"/><Video name="film" value="$video"/></View>'
).tracks[0]


@pytest.mark.parametrize(
    ("said", "labels", "score", "is_asked"),
    [
        ({"label": "mouse", "detected": "vole", "predicted": "vole", "sure": 0.5}, ("mouse",), 0.8, False),
        ({"detected": "mouse", "predicted": "vole", "sure": 0.5}, ("mouse",), 0.8, False),
        ({"label": "rat", "predicted": "vole", "sure": 0.5}, ("vole",), 0.4, True),
        ({"predicted": "rat", "sure": 0.5}, (), 0.8, True),
        ({}, (), 0.8, True),
    ],
)
def test_a_person_is_heard_before_a_detector_and_both_before_what_was_learned(
    said: dict[str, Any], labels: tuple[str, ...], score: float, is_asked: bool
) -> None:
    track = StoredTrack(1, "box", ((1, 0.0, 0.0, 10.0, 10.0, True),), 0.8, **said)
    shown = as_shown(track, ("mouse", "vole"))
    assert (shown.labels, shown.score) == (labels, score)
    assert is_open(track, QUESTION) == is_asked
