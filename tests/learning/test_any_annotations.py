"""Whatever people submit, what it means for frames is sound and does not depend on the order in which it came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from handmade import annotation, grid, region
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Annotation
from ml_backend.learning.frame_labels import frame_labels
from ml_backend.video.timeline import StudioGrid

LABELS = ("cat", "dog")


@st.composite
def annotations(draw: st.DrawFn) -> list[Annotation]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        regions = [
            region(
                draw(st.integers(-2, 34)),
                draw(st.integers(-2, 34)),
                *draw(st.sets(st.sampled_from(["cat", "dog", "cow"]), max_size=2)),
                name=draw(st.sampled_from(["kf-1", "cold-v1-2", "x"])),
                origin=draw(st.sampled_from(["manual", "prediction", "prediction-changed"])),
            )
            for _ in range(draw(st.integers(0, 4)))
        ]
        made.append(
            annotation(
                *regions,
                number=number,
                ground_truth=draw(st.booleans()),
                reviewed=draw(st.sampled_from([None, True, False])),
            )
        )
    return made


@st.composite
def grids(draw: st.DrawFn) -> StudioGrid:
    frames = draw(st.integers(1, 30))
    shown: Sequence[int] = sorted(draw(st.lists(st.integers(0, frames - 1), min_size=1, max_size=40)))
    return grid(frames, shown)


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
