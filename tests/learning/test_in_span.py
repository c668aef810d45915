"""Heads that are fitted and asked within the span of the labelled rows, to be doubted, say what they say of whole rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.cold import FAMILIES, LabelledVideo, fit_cold
from ml_backend.learning.examples import examples, rows_at
from ml_backend.learning.families import InSpan, Views
from ml_backend.learning.linear import span

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1, 0], 40)


def test_a_head_says_the_same_within_the_span_of_its_rows() -> None:
    features, known = video(TRUTH), labelled(TRUTH, [10, 30, 50, 90, 130, 150, 170], LABELS)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS, exclusive=True)
    views = Views(features, head.reference)
    frames = examples(known, features.frames).frames
    spans = {f.name: span(rows_at(views, f, frames)) for f in FAMILIES if not f.moving}
    (question,) = head.questions
    assert question is not None
    members = tuple(member.within(spans[member.family.name]) for member in question.members)
    assert {member.linear.weights.shape[0] for member in members} == {basis.shape[1] for basis in spans.values()}
    said = replace(question, members=members).log_probabilities(InSpan(features, head.reference, spans, kept=True))
    assert said == pytest.approx(question.log_probabilities(views), abs=0.02)
