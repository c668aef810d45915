"""Perceptual hashes are ImageHash's, and come from one pass."""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
from drawn import Encode, street
from PIL import Image

from ml_backend.features.hashing import HASH_INPUT, hash_input, phash, video_hashes
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline


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
    inputs = [hash_input(picture) for picture in decode(path, read_timeline(path), wanted=lambda i: i % 9 == 0)]
    assert phash(np.stack(inputs)).tolist() == [reference(grey) for grey in inputs]


def test_frames_are_as_far_apart_as_asked(encode: Encode) -> None:
    timeline, frames, hashes = video_hashes(encode(street(100), rate=25, gop=250), 2)
    assert len(timeline) == 100
    assert len(frames) == len(hashes)
    assert frames[0] == 0
    # A frame that no other needs is passed over, so a sample may come a few frames late.
    np.testing.assert_allclose(frames, np.arange(0, 100, 12.5), atol=5)


def test_two_looks_of_a_scene_have_two_hashes(encode: Encode) -> None:
    _, frames, hashes = video_hashes(encode(street(100, visit=range(50, 100))), 2)
    empty, visited = set(hashes[frames < 50].tolist()), set(hashes[frames >= 50].tolist())
    assert not empty & visited
    assert min((a ^ b).bit_count() for a in empty for b in visited) >= 8


def test_key_frames_serve_where_they_are_close_enough(encode: Encode) -> None:
    path = encode(street(100), rate=25, gop=10)
    _, frames, _ = video_hashes(path, 2)
    assert set(frames.tolist()) <= set(range(0, 100, 10))
    assert len(frames) >= 7


def test_a_single_frame_is_hashed(encode: Encode) -> None:
    _, frames, hashes = video_hashes(encode(street(1)), 2)
    assert (frames.tolist(), len(hashes)) == ([0], 1)
