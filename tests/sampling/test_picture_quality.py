"""The quality filter: what is not worth showing to a person, told by how it differs from the rest of its video."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.candidates import Candidates
from sampling.quality import entropy_of, good, quality

DARK, BRIGHT = 0.25, 2.2


def film(length: int = 60, seed: int = 0) -> np.ndarray:
    """(n, 64, 64): a textured picture under a slow pan, with the noise of a camera."""
    rng = np.random.default_rng(seed)
    scene = cv2.GaussianBlur(rng.normal(0, 1, (64, 64 + length)), (0, 0), 2)
    scene = 110 + 35 * scene / scene.std()
    frames = np.stack([scene[:, start : start + 64] for start in range(length)])
    return np.clip(frames + rng.normal(0, 2, frames.shape), 0, 255).astype(np.uint8)


def measured(grey: np.ndarray) -> Candidates:
    return Candidates(
        np.arange(len(grey)),
        hashes=np.arange(len(grey), dtype=np.uint64),
        sharpness=np.array([cv2.Laplacian(each, cv2.CV_32F).var() for each in grey]),
        brightness=grey.mean(axis=(1, 2)),
        entropy=np.array([entropy_of(each) for each in grey]),
    )


def reasons(grey: np.ndarray) -> dict[int, str]:
    found = quality(measured(grey)).reasons
    return {frame: reason for frame, reason in enumerate(found) if reason is not None}


@pytest.mark.parametrize("seed", range(5))
def test_of_a_video_without_flaws_everything_stays(seed: int) -> None:
    assert reasons(film(seed=seed)) == {}


@pytest.mark.parametrize("seed", range(5))
def test_every_flaw_is_told_by_its_name(seed: int) -> None:
    grey = film(seed=seed)
    rng = np.random.default_rng(seed)
    grey[10] = cv2.GaussianBlur(grey[10], (0, 0), 3)
    grey[20] = rng.integers(0, 2, (64, 64)).astype(np.uint8)
    grey[30] = (grey[30] * DARK).astype(np.uint8)
    grey[40] = np.clip(grey[40] * BRIGHT, 0, 255).astype(np.uint8)
    grey[50] = rng.integers(0, 256, (64, 64))
    expected = {10: "blurred", 20: "black", 30: "under-exposed", 40: "over-exposed", 50: "noisy"}
    assert reasons(grey) == expected
    assert quality(measured(grey)).dropped == dict.fromkeys(expected.values(), 1)


@pytest.mark.parametrize("spoil", [lambda grey: cv2.GaussianBlur(grey, (0, 0), 3), lambda grey: grey * DARK])
def test_a_scene_that_is_dark_or_out_of_focus_throughout_is_what_the_video_shows(spoil) -> None:
    grey = film()
    grey[20:40] = [spoil(each) for each in grey[20:40]]
    assert reasons(grey) == {}


def test_whether_a_video_is_dark_or_bright_on_the_whole_does_not_matter() -> None:
    grey = film()
    grey[30] = cv2.GaussianBlur(grey[30], (0, 0), 3)
    assert reasons((grey * 0.3).astype(np.uint8)) == reasons(grey) == {30: "blurred"}


def test_black_throughout_the_beginning_goes_however_long_it_is() -> None:
    grey = film()
    grey[:15] = 0
    assert set(reasons(grey)) == set(range(15))


def test_black_frames_do_not_decide_what_is_usual_among_the_others() -> None:
    grey = film()
    grey[10:28] = 0
    grey[[40, 50]] = [cv2.GaussianBlur(grey[frame], (0, 0), 3) for frame in (40, 50)]
    found = reasons(grey)
    assert {frame: reason for frame, reason in found.items() if reason != "black"} == {40: "blurred", 50: "blurred"}


def test_a_bad_picture_that_stands_still_is_bad_each_time() -> None:
    candidates = measured(np.concatenate([film(30), np.zeros((5, 64, 64), np.uint8), film(30, seed=1)]))
    assert candidates.hashes is not None
    candidates.hashes[30:35] = 30
    assert quality(candidates).dropped == {"black": 5}


def test_of_a_picture_that_stands_still_one_frame_stays() -> None:
    grey = film()
    grey[20:30] = grey[20]
    candidates = measured(grey)
    assert candidates.hashes is not None
    candidates.hashes[20:30] = 20
    found = quality(candidates).reasons
    assert [frame for frame, reason in enumerate(found) if reason == "frozen"] == list(range(21, 30))


@pytest.mark.parametrize("shade", [0, 255])
def test_something_always_stays(shade: int) -> None:
    candidates = measured(np.full((30, 64, 64), shade, np.uint8))
    assert quality(candidates).kept.sum() >= 1
    same = Candidates(
        candidates.frames,
        hashes=np.zeros(30, np.uint64),
        sharpness=candidates.sharpness,
        brightness=candidates.brightness,
        entropy=candidates.entropy,
    )
    assert quality(same).kept.tolist() == [True, *[False] * 29]


def test_what_is_not_known_is_not_held_against_a_frame() -> None:
    assert quality(Candidates(np.arange(30))).kept.all()
    blurred = film()
    blurred[30] = cv2.GaussianBlur(blurred[30], (0, 0), 3)
    only_sharpness = Candidates(np.arange(60), sharpness=measured(blurred).sharpness)
    assert quality(only_sharpness).dropped == {"blurred": 1}


def test_too_few_frames_do_not_tell_what_is_usual() -> None:
    grey = film()[:11]
    grey[3] = cv2.GaussianBlur(grey[3], (0, 0), 3)
    assert reasons(grey) == {}


def test_as_a_filter_it_leaves_the_good_ones_with_all_that_is_known_of_them() -> None:
    grey = film()
    grey[10] = 0
    left = good(measured(grey))
    assert left.frames.tolist() == [frame for frame in range(60) if frame != 10]
    assert left.hashes is not None
    assert left.hashes.tolist() == left.frames.tolist()


def test_entropy_is_none_for_one_value_and_eight_bits_for_all_equally_often() -> None:
    assert entropy_of(np.full((8, 8), 7, np.uint8)) == 0
    assert entropy_of(np.arange(256, dtype=np.uint8).reshape(16, 16)) == pytest.approx(8)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e5), st.floats(0, 255), st.floats(0, 8), st.integers(0, 3)), min_size=1, max_size=40
    )
)
def test_whatever_the_figures_something_stays_and_each_reason_is_counted(rows: list[tuple]) -> None:
    sharpness, brightness, entropy, hashes = map(np.array, zip(*rows, strict=True))
    found = quality(Candidates(np.arange(len(rows)), hashes.astype(np.uint64), sharpness, brightness, entropy))
    assert found.kept.any()
    assert found.kept.sum() + sum(found.dropped.values()) == len(rows)
