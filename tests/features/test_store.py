"""The store never takes a broken file for a good one, and never outgrows its bound."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import StorageError
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.features.store import FeatureStore
from ml_backend.roi import RegionOfInterest
from ml_backend.video.timeline import Timeline


def features(frames: int = 50, seed: int = 0) -> VideoFeatures:
    rng = np.random.default_rng(seed)
    embedded = np.array([0, 16, 32, frames - 1], np.int64)
    return VideoFeatures(
        Timeline(np.arange(frames) * 512, Fraction(1, 12800), Fraction(frames, 25), np.array([[40_000, 3]], np.int64)),
        embedded,
        {name: rng.normal(size=(4, 6)).astype(np.float16) for name in ("appearance", "motion")},
        promised=frames + 2,
        samples=Samples(
            np.array([0, 25], np.int64),
            np.array([1, 2**63 + 5], np.uint64),
            np.array([0.5, 812.25], np.float32),
            np.array([17.5, 128], np.float32),
            np.array([0, 7.25], np.float32),
        ),
    )


def only_file(store: FeatureStore) -> Path:
    (path,) = store.root.iterdir()
    return path


def break_off(store: FeatureStore) -> None:
    with store.writer("video", "net") as writer:
        writer.append(np.array([0]), {"appearance": np.zeros((1, 4), np.float16)})
        raise ZeroDivisionError


def test_what_was_saved_is_loaded(store: FeatureStore) -> None:
    saved = features()
    assert not store.has("video", "net")
    store.save("video", "net", saved)
    loaded = store.load("video", "net")
    assert loaded is not None
    assert store.has("video", "net")
    np.testing.assert_array_equal(loaded.timeline.pts, saved.timeline.pts)
    np.testing.assert_array_equal(loaded.timeline.early, saved.timeline.early)
    assert (loaded.timeline.time_base, loaded.timeline.duration) == (saved.timeline.time_base, saved.timeline.duration)
    np.testing.assert_array_equal(loaded.frames, saved.frames)
    for name, values in vars(saved.samples).items():
        np.testing.assert_array_equal(getattr(loaded.samples, name), values)
        assert getattr(loaded.samples, name).dtype == values.dtype
    assert loaded.promised == saved.promised
    assert list(loaded.blocks) == list(saved.blocks)
    for name, rows in saved.blocks.items():
        np.testing.assert_array_equal(loaded.blocks[name], rows)
        assert loaded.blocks[name].dtype == np.float16


def test_an_entry_from_before_brightness_and_entropy_were_kept_is_loaded_without(store: FeatureStore) -> None:
    saved = features()
    older = Samples(saved.samples.frames, saved.samples.hashes, saved.samples.sharpness)
    store.save("video", "net", replace(saved, samples=older))
    loaded = store.load("video", "net")
    assert loaded is not None
    assert loaded.samples.hashes.tolist() == saved.samples.hashes.tolist()
    assert (loaded.samples.brightness, loaded.samples.entropy) == (None, None)


def test_another_video_or_another_backbone_is_another_entry(store: FeatureStore) -> None:
    store.save("video", "net", features())
    assert store.load("video", "other net") is None
    assert store.load("other video", "net") is None
    store.save("a b", "net", features(seed=1))
    assert store.load("a_b", "net") is None


def test_what_does_not_depend_on_the_backbone_is_found_under_any(store: FeatureStore) -> None:
    assert store.any_of("video") is None
    store.save("video-2", "net", features(seed=1))
    assert store.any_of("video") is None
    store.save("video", "net", features())
    found = store.any_of("video")
    assert found is not None
    np.testing.assert_array_equal(found.samples.hashes, features().samples.hashes)
    path = next(path for path in store.root.iterdir() if path.name.startswith("video."))
    path.write_bytes(path.read_bytes()[:-1])
    assert store.any_of("video") is None


def test_but_not_that_of_another_part_of_the_pictures(store: FeatureStore) -> None:
    roi, other = RegionOfInterest(25, 10, 50, 60), RegionOfInterest(25, 10, 50, 61)
    store.save("video", f"net-0123-160{roi.key}-fastbilinear-rgb-bf16-v3", features())
    assert store.any_of("video") is None
    assert store.any_of("video", other) is None
    assert store.any_of("video", roi) is not None
    store.save("video", "net-0123-320-fastbilinear-rgb-bf16-v3", features())
    assert store.any_of("video", RegionOfInterest(0, 0, 100, 100)) is not None


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_file_that_was_cut_off_is_not_taken_and_is_removed(store: FeatureStore, share: float) -> None:
    store.save("video", "net", features())
    path = only_file(store)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert store.load("video", "net") is None
    assert not store.has("video", "net")


def test_a_flipped_bit_anywhere_is_noticed(store: FeatureStore) -> None:
    store.save("video", "net", features())
    path = only_file(store)
    good = path.read_bytes()
    start = 8 + int.from_bytes(good[:8], "little")
    for at in range(start, len(good), 37):
        bad = bytearray(good)
        bad[at] ^= 4
        path.write_bytes(bad)
        assert store.load("video", "net") is None, f"byte {at}"


def test_it_can_be_opened_with_safetensors(store: FeatureStore) -> None:
    from safetensors.numpy import load_file

    saved = features()
    store.save("video", "net", saved)
    np.testing.assert_array_equal(load_file(only_file(store))["block.motion"], saved.blocks["motion"])


def test_an_entry_that_is_not_committed_leaves_nothing(store: FeatureStore) -> None:
    with pytest.raises(ZeroDivisionError):
        break_off(store)
    assert list(store.root.iterdir()) == []


def test_a_crash_while_writing_keeps_the_older_entry(store: FeatureStore) -> None:
    store.save("video", "net", features())
    with pytest.raises(ZeroDivisionError):
        break_off(store)
    assert store.load("video", "net") is not None


def test_what_a_killed_process_left_is_cleared_away_later(store: FeatureStore) -> None:
    for name in (".old.part", ".new.part"):
        (store.root / name).mkdir(parents=True)
        (store.root / name / "appearance").write_bytes(b"half")
    os.utime(store.root / ".old.part", (1000, 1000))
    store.save("video", "net", features())
    assert sorted(path.name for path in store.root.glob(".*")) == [".new.part"]


def test_the_entry_used_least_recently_goes_first(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**9)
    for position, name in enumerate(("first", "second", "third")):
        store.save(name, "net", features())
        path = next(path for path in tmp_path.iterdir() if path.name.startswith(name))
        os.utime(path, (1000 + position, 1000 + position))
    size = path.stat().st_size
    assert store.load("first", "net") is not None  # used again: now the latest
    bounded = FeatureStore(tmp_path, int(3.5 * size))
    bounded.save("fourth", "net", features())
    assert [bounded.has(name, "net") for name in ("first", "second", "third", "fourth")] == [True, False, True, True]


def test_a_lower_bound_makes_room_before_anything_is_written(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**9)
    for name in ("first", "second"):
        store.save(name, "net", features())
    with FeatureStore(tmp_path, 10).writer("third", "net"):
        assert not list(tmp_path.glob("*.safetensors"))


def test_what_was_just_made_stays_even_if_it_alone_is_too_large(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10)
    store.save("video", "net", features())
    assert store.load("video", "net") is not None


def test_a_disk_that_takes_nothing_is_reported_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FeatureStore(tmp_path / "file", 10**9)
    with pytest.raises(StorageError, match=r"cannot be written.*Free up disk space"):
        store.save("video", "net", features())


def test_a_full_disk_leaves_the_store_sound(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save("video", "net", features())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            store.save("other", "net", features())
    assert store.load("other", "net") is None
    assert store.load("video", "net") is not None
    assert len(list(store.root.iterdir())) == 1


def test_values_run_straight_between_embedded_frames() -> None:
    video = features()
    values = np.array([[0.0], [16.0], [0.0], [17.0]])
    between = video.interpolate(values)[:, 0]
    np.testing.assert_allclose(between[:17], np.arange(17))
    np.testing.assert_allclose(between[16:33], np.arange(16, -1, -1))
    np.testing.assert_allclose(between[32:], np.arange(18))
    np.testing.assert_allclose(video.interpolate(values[:, 0]), between)
