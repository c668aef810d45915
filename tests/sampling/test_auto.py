"""Auto: the strategy that suits what is known; candidates, filters and strategies compose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.auto import auto
from sampling.candidates import Candidates
from sampling.quality import good
from sampling.shots import per_shot
from sampling.telling import telling
from sampling.uncertain import rare, uncertain
from sampling.uniform import thin, uniform
from sampling.unique import unique, unique_stream

RNG = np.random.default_rng(0)
FRAMES = np.arange(0, 400, 10)
HASHES = np.repeat(RNG.integers(0, 2**63, 10).astype(np.uint64), 4)
EMBEDDINGS = RNG.normal(size=(40, 8))
PROBABILITIES = RNG.dirichlet(np.ones(4), 40)[:, :-1]


def test_nothing_known_spreads_them_evenly() -> None:
    assert auto(Candidates(FRAMES), 4).tolist() == FRAMES[uniform(40, 4)].tolist()


def test_with_hashes_every_picture_once() -> None:
    expected = thin(unique(FRAMES, HASHES, 4), 5)
    assert auto(Candidates(FRAMES, hashes=HASHES), 5).tolist() == expected.tolist()


def test_with_embeddings_the_most_telling_of_each_stretch_of_time() -> None:
    candidates = Candidates(FRAMES, hashes=HASHES, embeddings=EMBEDDINGS)
    assert auto(candidates, 5, seed=3).tolist() == telling(EMBEDDINGS, 5, frames=FRAMES).tolist()


def test_with_a_model_what_it_is_unsure_of_far_from_what_was_answered() -> None:
    candidates = Candidates(FRAMES, embeddings=EMBEDDINGS, probabilities=PROBABILITIES)
    expected = uncertain(PROBABILITIES, 5, exclusive=True, frames=FRAMES, labelled=[0, 200])
    assert auto(candidates, 5, labelled=[0, 200]).tolist() == expected.tolist()
    assert auto(candidates, 5, labelled=[0, 200], examples=[9, 9, 9]).tolist() == expected.tolist()


def test_a_label_with_few_examples_gets_half_of_the_frames() -> None:
    candidates = Candidates(FRAMES, probabilities=PROBABILITIES)
    found = auto(candidates, 6, examples=[9, 1, 9])
    wanted = rare(PROBABILITIES[:, [1]], 3, examples=[1], exclusive=True, frames=FRAMES)
    assert len(found) == 6
    assert set(wanted) <= set(found)


def test_filter_then_spread_then_pick() -> None:
    dark = np.full(40, 100.0)
    dark[[3, 17]] = 1
    candidates = Candidates(FRAMES, hashes=HASHES, brightness=dark, embeddings=EMBEDDINGS)
    found = per_shot(auto)(good(candidates), 10)
    assert len(found) == 10
    assert not set(found) & set(FRAMES[[3, 17]])
    shown = np.searchsorted(FRAMES, found)
    # A picture of its own for each of the shots, which the embeddings set apart: all are as far from each other.
    assert len(np.unique(shown)) == 10


def test_streaming_gives_what_the_batch_gives() -> None:
    assert (
        list(unique_stream(zip(FRAMES.tolist(), HASHES.tolist(), strict=True), 4)) == unique(FRAMES, HASHES, 4).tolist()
    )


def test_what_does_not_belong_together_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 hashes do not belong to 40 frames"):
        Candidates(FRAMES, hashes=HASHES[:3])
    with pytest.raises(ValueError, match="must ascend"):
        Candidates(FRAMES[::-1])


def test_some_of_the_candidates_keep_what_is_known_of_them() -> None:
    some = Candidates(FRAMES, hashes=HASHES).only(np.array([1, 5]))
    assert (some.frames.tolist(), some.hashes.tolist(), some.embeddings) == ([10, 50], HASHES[[1, 5]].tolist(), None)  # type: ignore[union-attr]
    assert len(Candidates(FRAMES).only(FRAMES < 50)) == 5


KNOWN: dict[str, Any] = {"hashes": HASHES, "embeddings": EMBEDDINGS, "probabilities": PROBABILITIES}


@given(
    known=st.sets(st.sampled_from(sorted(KNOWN))),
    count=st.integers(-1, 50),
    gap=st.integers(0, 60),
    labelled=st.lists(st.integers(0, 400), max_size=4),
    few=st.booleans(),
    seed=st.integers(0, 100),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    known: set[str], count: int, gap: int, labelled: list[int], few: bool, seed: int
) -> None:
    candidates = Candidates(FRAMES, **{name: KNOWN[name] for name in known})
    examples = [0, 1, 20] if few else None

    def chosen() -> np.ndarray:
        return auto(candidates, count, examples=examples, labelled=labelled, gap=gap, seed=seed)

    assert well_formed(chosen, FRAMES, count, gap, labelled)
