"""Copies are known again however they are encoded; other videos, and still scenes, are not taken for copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from footage import Film

from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.hashing import (
    SAMPLES_PER_SECOND,
    Signature,
    alike,
    copies,
    copy_among,
    signature,
    signature_of_features,
    video_samples,
)
from ml_backend.video.timeline import read_timeline


def of(path: Path) -> Signature:
    return signature(path, read_timeline(path))


@pytest.mark.parametrize("size", [48, 192])
def test_a_copy_of_another_size_codec_and_quality(film: Film, size: int) -> None:
    first = of(film("a.mp4"))
    copy = of(film("b.webm", codec="libvpx", size=size, options={"crf": "40", "b:v": "100k"}))
    assert alike(first, copy)
    assert alike(copy, first)


def test_few_and_many_key_frames_look_the_same(film: Film) -> None:
    assert alike(of(film("a.mp4", options={"g": "1"})), of(film("b.mp4", options={"g": "1000"})))


def test_another_film_a_longer_one_and_another_stretch_are_no_copies(film: Film) -> None:
    first = of(film("a.mp4"))
    assert not alike(first, of(film("b.mp4", seed=2)))
    assert not alike(first, of(film("c.mp4", seconds=6)))
    later = of(film("d.mp4", times=[2000 + 40 * n for n in range(100)]))
    assert not alike(first, later)


def test_a_still_scene_is_never_a_copy(film: Film) -> None:
    """Two recordings of an empty street look the same."""
    still = [of(film(f"{name}.mp4", times=[0, 4000], options={"crf": name})) for name in ("20", "30")]
    assert not alike(*still)


def test_it_survives_being_written_down(film: Film) -> None:
    seen = of(film("a.mp4"))
    assert (Signature.parse(seen.text(), seen.seconds).hashes == seen.hashes).all()
    with pytest.raises(ValueError, match="not a signature"):
        Signature.parse("abc", 1)


def test_what_embedding_left_behind_serves_as_well(film: Film) -> None:
    path = film("a.mp4")
    timeline, samples = video_samples(path, SAMPLES_PER_SECOND)
    features = VideoFeatures(timeline, samples.frames, {}, len(timeline), samples)
    seen = signature_of_features(features)
    assert seen is not None
    assert alike(seen, of(film("b.mp4", options={"crf": "30"})))
    assert not alike(seen, of(film("c.mp4", seed=2)))


def test_copies_among_many_are_named_by_the_first(film: Film) -> None:
    first, other = of(film("a.mp4")), of(film("b.mp4", seed=2))
    smaller = of(film("c.mp4", size=48, options={"crf": "40"}))
    assert copies([None, other, first, None, smaller, first]).tolist() == [0, 1, 2, 3, 2, 2]
    assert copies([None]).tolist() == [0]
    known = [other, first]
    hashes, seconds = np.stack([each.hashes for each in known]), np.array([each.seconds for each in known])
    assert copy_among(smaller, hashes, seconds) == 1
    assert copy_among(smaller, hashes[:1], seconds[:1]) is None
