"""Perceptual hashes are ImageHash's, and come from one pass."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from drawn import Encode, street
from PIL import Image

from ml_backend.errors import VideoUnreadable
from ml_backend.features.backbones import Backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.hashing import (
    HASH_INPUT,
    Sampling,
    hash_inputs,
    phash,
    sampled_frames,
    sharpness,
    stored_samples,
    video_samples,
)
from ml_backend.features.store import FeatureStore
from ml_backend.video.decode import Picture, decode
from ml_backend.video.timeline import Timeline, read_timeline


def reference(grey: np.ndarray) -> int:
    return int(str(imagehash.phash(Image.fromarray(grey))), 16)


def test_bits_are_those_of_imagehash_on_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(HASH_INPUT), np.arange(HASH_INPUT))
    noise = rng.integers(0, 256, (200, HASH_INPUT, HASH_INPUT))
    waves = [127 + 120 * np.sin(x / a + y / b) for a, b in rng.uniform(1, 9, (100, 2))]
    flat = [np.full((HASH_INPUT, HASH_INPUT), shade) for shade in (0, 7, 255)]
    pictures = np.concatenate([noise, waves, [x * 8], [y * 8], flat]).astype(np.uint8)
    assert phash(pictures).tolist() == [reference(picture) for picture in pictures]


def test_bits_are_those_of_imagehash_on_real_frames(real_data: Path) -> None:
    path = real_data / "videos" / "scene" / "car-detection.mp4"
    grey = np.stack([picture.grey for picture in decode(path, read_timeline(path), wanted=lambda i: i % 9 == 0)])
    inputs = [cv2.resize(each, (32, 32), interpolation=cv2.INTER_AREA) for each in grey]
    np.testing.assert_array_equal(hash_inputs(grey), inputs)
    assert phash(hash_inputs(grey)).tolist() == [reference(np.asarray(each, np.uint8)) for each in inputs]


@pytest.mark.parametrize("sample_fps", [0.3, 2.0, 4.0, 25.0, 90.0])
def test_a_frame_is_sampled_when_it_is_shown_at_a_multiple_of_the_distance(sample_fps: float) -> None:
    rng = np.random.default_rng(7)
    for steps in (rng.integers(0, 90, 400), np.full(100, 40), np.zeros(0, np.int64), np.zeros(5, np.int64)):
        pts = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
        moments = np.arange(0, pts[-1] / 1000 + 1e-9, 1 / sample_fps)
        shown = np.unique(np.searchsorted(pts / 1000, moments + 1e-6, side="right") - 1)
        frames = sampled_frames(Timeline(pts + 5, Fraction(1, 1000), Fraction(1)), sample_fps)
        assert frames.tolist() == shown.tolist()


def test_time_stamps_that_jump_ten_years_take_no_longer_than_the_frames_there_are() -> None:
    pts = np.arange(40, dtype=np.int64) * 40
    pts[20:] += 10 * 365 * 24 * 3600 * 1000
    tracemalloc.start()
    frames = sampled_frames(Timeline(pts, Fraction(1, 1000), Fraction(int(pts[-1]), 1000)), 4.0)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert frames.tolist() == [0, 6, 12, 18, 19, 25, 31, 37]


def test_frames_are_as_far_apart_as_asked(encode: Encode) -> None:
    timeline, samples = video_samples(encode(street(100), rate=25, gop=250), 2)
    assert len(timeline) == 100
    assert len(samples.frames) == len(samples.hashes) == len(samples.sharpness)
    assert samples.frames[0] == 0
    # A frame that no other needs is passed over, so a sample may come a few frames late.
    np.testing.assert_allclose(samples.frames, np.arange(0, 100, 12.5), atol=5)


def test_two_looks_of_a_scene_have_two_hashes(encode: Encode) -> None:
    _, samples = video_samples(encode(street(100, visit=range(50, 100))), 2)
    late = samples.frames >= 50
    empty, visited = set(samples.hashes[~late].tolist()), set(samples.hashes[late].tolist())
    assert not empty & visited
    assert min((a ^ b).bit_count() for a in empty for b in visited) >= 8


def test_key_frames_serve_where_they_are_close_enough(encode: Encode) -> None:
    path = encode(street(100), rate=25, gop=10)
    _, samples = video_samples(path, 2)
    assert set(samples.frames.tolist()) <= set(range(0, 100, 10))
    assert len(samples.frames) >= 7


def test_a_single_frame_is_hashed(encode: Encode) -> None:
    _, samples = video_samples(encode(street(1)), 2)
    assert (samples.frames.tolist(), len(samples.hashes), len(samples.sharpness)) == ([0], 1, 1)


def test_a_blurred_frame_is_less_sharp(encode: Encode) -> None:
    pictures = street(100)
    for index in range(50, 100):
        pictures[index] = np.asarray(cv2.GaussianBlur(pictures[index], (0, 0), 8), np.uint8)
    _, samples = video_samples(encode(pictures), 2)
    clear, blurred = samples.sharpness[samples.frames < 50], samples.sharpness[samples.frames >= 50]
    assert clear.min() > 5 * blurred.max()


def test_brightness_and_entropy_of_the_same_pictures_are_kept(encode: Encode) -> None:
    pictures = street(100)
    for index in range(50, 100):
        pictures[index] = np.zeros_like(pictures[index])
    _, samples = video_samples(encode(pictures), 2)
    assert samples.brightness is not None
    assert samples.entropy is not None
    black = samples.frames >= 50
    assert samples.brightness[~black].min() > 40
    assert samples.entropy[~black].min() > 4
    assert samples.brightness[black].max() < 5
    assert samples.entropy[black].max() < 1


def test_a_picture_without_detail_has_no_sharpness() -> None:
    assert sharpness(np.full((1, 64, 64), 90, np.uint8)).tolist() == [0]


@pytest.mark.parametrize("height", [1, 2, 48])
def test_sharpness_of_many_pictures_is_that_of_each(height: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, height, 64), dtype=np.uint8)
    alone = [cv2.Laplacian(picture, cv2.CV_32F).var() for picture in pictures]
    np.testing.assert_array_equal(sharpness(pictures), np.array(alone, np.float32))


def test_a_decoder_that_hangs_fails_the_video(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(path: Path, timeline: Timeline, **options: object) -> Iterator[Picture]:
        yield from itertools.islice(decode(path, timeline), 3)
        time.sleep(5)

    monkeypatch.setattr("ml_backend.features.hashing.decode", hanging)
    monkeypatch.setattr("ml_backend.video.decode.in_background.__defaults__", (0.2, None))
    with pytest.raises(VideoUnreadable, match=r"gave nothing for 0\.2 seconds"):
        video_samples(encode(street(30)), 25)


def test_what_embedding_kept_is_thinned_to_what_is_asked(
    encode: Encode, backbone: Backbone, store: FeatureStore
) -> None:
    features = video_features(encode(street(100, visit=range(50, 100))), backbone, store, "video")
    every = stored_samples(features, 4)
    assert every is not None
    np.testing.assert_array_equal(every.frames, features.samples.frames)
    some = stored_samples(features, 1)
    assert some is not None
    assert some.frames.tolist() == [0, 25, 50, 75]
    where = np.searchsorted(every.frames, some.frames)
    np.testing.assert_array_equal(some.hashes, every.hashes[where])
    for name in ("sharpness", "brightness", "entropy"):
        np.testing.assert_array_equal(getattr(some, name), getattr(every, name)[where])
    assert stored_samples(features, 5) is None


def test_of_a_view_that_shows_no_frame_that_is_due_there_are_no_samples() -> None:
    found = Sampling(np.array([1])).finish()
    assert [len(each) for each in vars(found).values() if each is not None] == [0] * 5
