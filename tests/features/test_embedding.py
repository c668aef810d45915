"""A video is embedded where it changes, in one pass, and what is stored is what embedding everything would give."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import Encode, street

from ml_backend.errors import VideoUnreadable
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import BLOCKS
from ml_backend.features.embedding import refine, video_features
from ml_backend.features.hashing import hash_inputs, phash, sharpness
from ml_backend.features.selection import Density
from ml_backend.features.store import FeatureStore
from ml_backend.video.decode import Picture, decode
from ml_backend.video.timeline import Timeline, read_timeline

# As in a long video.
SPARSE = Density(least=1)


@pytest.mark.parametrize(("frames", "apart"), [(40, 1), (127, 1), (128, 2), (200, 3), (700, 10), (1100, 16)])
def test_a_short_video_is_embedded_more_densely(
    encode: Encode, backbone: Backbone, store: FeatureStore, frames: int, apart: int
) -> None:
    features = video_features(encode(street(frames, width=64, height=64)), backbone, store, "video")
    assert np.diff(features.frames).max() == apart
    assert len(features.frames) >= min(frames, 64)


def test_a_still_video_is_embedded_at_the_stride(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    features = video_features(encode(street(100)), backbone, store, "video", density=SPARSE)
    # A block of sixteen ends with a frame that the next one begins with.
    assert features.frames[0] == 0
    assert features.frames[-1] == 99
    assert np.diff(features.frames).max() <= 16
    assert len(features.frames) <= 8
    assert tuple(features.blocks) == BLOCKS
    assert features.promised == len(features) == 100


@pytest.mark.parametrize("at", [5, 15, 16, 17, 60, 97])
def test_an_event_of_two_frames_is_embedded_exactly(
    encode: Encode, backbone: Backbone, store: FeatureStore, at: int
) -> None:
    features = video_features(encode(street(100, visit=range(at, at + 2))), backbone, store, "video", density=SPARSE)
    assert {at - 1, at, at + 1, at + 2} & set(features.frames.tolist()) >= {at, at + 1} - {100} or (
        {at, at + 1} & set(features.frames.tolist())
    )


def test_a_lasting_change_is_located_to_the_frame(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    path = encode(street(100, visit=range(41, 100)))
    features = video_features(path, backbone, store, "video", density=Density(cosine=0.01, least=1))
    assert {40, 41} <= set(features.frames.tolist())


def test_rows_are_those_of_embedding_every_frame(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    rng = np.random.default_rng(5)
    pictures = [np.roll(picture, int(rng.integers(9)), axis=1) for picture in street(700, visit=range(300, 320))]
    path = encode(pictures)
    some = video_features(path, backbone, store, "video", density=Density(cosine=0.02, least=1))
    every = video_features(path, backbone, store, "video", density=Density(stride=1))
    assert every.frames.tolist() == list(range(700))
    assert 0 < len(some.frames) < 700
    for name in ("appearance", "middle", "early"):
        np.testing.assert_array_equal(some.blocks[name], every.blocks[name][some.frames])
    # What moves in the picture is measured on all frames; the displacement of embeddings is interpolated.
    pixels = np.arange(some.blocks["motion"].shape[1]) % 17 != 16
    np.testing.assert_allclose(
        some.blocks["motion"][:, pixels], every.blocks["motion"][some.frames][:, pixels], rtol=2e-3, atol=2e-3
    )


def test_the_same_video_gives_the_same_bits(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    path = encode(street(200, visit=range(70, 130)))
    first, second = (video_features(path, backbone, store, name, density=SPARSE) for name in ("one", "two"))
    np.testing.assert_array_equal(first.frames, second.frames)
    for name, values in vars(first.samples).items():
        np.testing.assert_array_equal(values, getattr(second.samples, name))
    for name in BLOCKS:
        np.testing.assert_array_equal(first.blocks[name], second.blocks[name])


def test_it_is_made_once(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    path = encode(street(40))
    made = video_features(path, backbone, store, "video")
    path.unlink()
    again = video_features(path, backbone, store, "video")
    np.testing.assert_array_equal(again.blocks["appearance"], made.blocks["appearance"])


def test_progress_rises_to_one(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    shares: list[float] = []
    video_features(encode(street(120)), backbone, store, "video", shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_samples_come_with_it(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    path = encode(street(100, visit=range(50, 100)), rate=25)
    features = video_features(path, backbone, store, "video")
    samples = features.samples
    assert 15 <= len(samples.frames) <= 17  # four a second
    wanted = set(samples.frames.tolist())
    pictures = list(decode(path, read_timeline(path), wanted=lambda i: i in wanted))
    grey = np.stack([picture.grey for picture in pictures])
    np.testing.assert_array_equal(samples.hashes, phash(hash_inputs(grey)))
    np.testing.assert_array_equal(samples.sharpness, sharpness(grey))


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 18, 33])
def test_short_videos_have_their_first_and_last_frame(
    encode: Encode, backbone: Backbone, store: FeatureStore, frames: int
) -> None:
    features = video_features(encode(street(frames)), backbone, store, "video", density=SPARSE)
    assert features.frames[0] == 0
    assert features.frames[-1] == frames - 1
    assert features.interpolate(features.blocks["motion"].astype(np.float32)).shape == (frames, 102)


def test_a_truncated_video_says_how_much_was_promised(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    rng = np.random.default_rng(0)
    path = encode([np.roll(p, int(rng.integers(200)), axis=0) for p in street(100)], "clip.mp4")
    data = bytearray(path.read_bytes())
    # The index promises all frames, but the last third of the pictures is gone.
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start + 2 * (end - start) // 3 : end] = bytes(end - start - 2 * (end - start) // 3)
    path.write_bytes(data)
    features = video_features(path, backbone, store, "video")
    assert features.promised == 100
    assert 30 < len(features) < 100
    assert features.frames[-1] == len(features) - 1


def test_a_file_without_frames_leaves_nothing_in_the_store(
    tmp_path: Path, backbone: Backbone, store: FeatureStore
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(VideoUnreadable):
        video_features(path, backbone, store, "video")
    assert not store.has("video", backbone.key)


def test_more_frames_can_be_embedded_later(encode: Encode, backbone: Backbone, store: FeatureStore) -> None:
    rng = np.random.default_rng(6)
    path = encode([np.roll(picture, int(rng.integers(9)), axis=1) for picture in street(500)], gop=25)
    before = video_features(path, backbone, store, "video")
    every = video_features(path, backbone, store, "video", density=Density(stride=1))
    asked = [3, 4, 5, 77, 460, 461, 499, 10_000]
    after = refine(path, before, asked, backbone, store, "video")
    assert set(after.frames.tolist()) == set(before.frames.tolist()) | set(asked[:-1])
    assert after.frames.tolist() == sorted(after.frames.tolist())
    np.testing.assert_array_equal(after.blocks["appearance"], every.blocks["appearance"][after.frames])
    pixels = np.arange(102) % 17 != 16
    np.testing.assert_allclose(
        after.blocks["motion"][:, pixels], every.blocks["motion"][after.frames][:, pixels], rtol=2e-3, atol=2e-3
    )
    stored = store.load("video", backbone.key)
    assert stored is not None
    np.testing.assert_array_equal(stored.frames, after.frames)


def test_an_entry_of_an_older_version_with_more_blocks_can_be_looked_at_more_closely(
    encode: Encode, backbone: Backbone, store: FeatureStore
) -> None:
    path = encode(street(100))
    made = video_features(path, backbone, store, "video", density=SPARSE)
    old = replace(made, blocks={**made.blocks, "early_grid": made.blocks["early"]})
    after = refine(path, old, [5], backbone, store, "video")
    assert 5 in after.frames
    assert set(after.blocks) == set(BLOCKS)


def test_a_decoder_that_hangs_while_more_frames_are_embedded_fails_the_video(
    encode: Encode, backbone: Backbone, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hanging(path: Path, timeline: Timeline, **options: object) -> Iterator[Picture]:
        yield from itertools.islice(decode(path, timeline), 3)
        time.sleep(5)

    path = encode(street(100))
    before = video_features(path, backbone, store, "video", density=SPARSE)
    monkeypatch.setattr("ml_backend.features.embedding.decode", hanging)
    monkeypatch.setattr("ml_backend.video.decode.in_background.__defaults__", (0.2, None))
    with pytest.raises(VideoUnreadable, match=r"gave nothing for 0\.2 seconds"):
        refine(path, before, [5], backbone, store, "video")
