"""Whatever people submit, what it means for frames is sound and does not depend on the order in which it came."""

from __future__ import annotations

import numpy as np
from handmade import annotations, grids
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Annotation
from ml_backend.learning.frame_labels import frame_labels
from ml_backend.video.timeline import StudioGrid

LABELS = ("cat", "dog")


@given(annotations(), grids(), st.sampled_from([None, True, False]), st.sampled_from([None, "dog"]))
def test_whatever_is_submitted_the_answer_is_sound(
    made: list[Annotation], on: StudioGrid, exclusive: bool | None, default: str | None
) -> None:
    known = frame_labels(made, on, LABELS, default, exclusive=exclusive)
    assert known.values.shape == (len(on.timeline), 2)
    assert set(np.unique(known.values)) <= {-1, 0, 1}
    assert ((known.weight > 0) == known.known).all()
    assert known.weight.max() <= 1
    if exclusive:
        assert (known.values == 1).sum(axis=1).max() <= 1
    if known.judged:
        assert known.dense


@given(annotations(), grids())
def test_the_order_of_annotations_does_not_matter(made: list[Annotation], on: StudioGrid) -> None:
    one, other = frame_labels(made, on, LABELS), frame_labels(made[::-1], on, LABELS)
    assert np.array_equal(one.values, other.values)
    assert np.allclose(one.weight, other.weight)
