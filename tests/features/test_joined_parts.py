"""A long video that is embedded in parts, by whomever and in whatever order, has the bytes of one that is embedded in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from embedded import redis, redis_settings
from numpy.typing import NDArray
from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import EMBEDDED
from ml_backend.features.embedding import video_features
from ml_backend.features.parts import embed_part, join, keep_table, long_video_features, part_key, read_table
from ml_backend.features.selection import DEFAULT
from ml_backend.features.store import FeatureStore
from ml_backend.settings import Settings
from ml_backend.store import files
from ml_backend.store.connect import connect
from ml_backend.video.decode import NothingDecodes, decode
from ml_backend.video.parts import Part, parts_of
from ml_backend.video.timeline import FrameIndex, read_timeline

__all__ = ["redis", "redis_settings"]

Machine = Callable[[str], tuple[FeatureStore, FeatureStore]]

# Seconds of video; 256 frames at least.
PART = 17.0
FRAMES, RATE = 800, 15


def moving(frames: int) -> Iterator[NDArray[np.uint8]]:
    """A textured scene that pans all the time, so that every cut is in motion, with a flash now and then."""
    rng = np.random.default_rng(3)
    scene = rng.integers(0, 200, (48, 640, 3), np.uint8)
    for at in range(frames):
        picture = np.roll(scene, -at // 2, axis=1)[:, :64].copy()
        picture[10:20, at * 3 % 54 : at * 3 % 54 + 10] = 250
        yield picture if at % 97 else 255 - picture


def encoded(
    path: Path, options: Mapping[str, str], codec: str = "libx264", frames: int = FRAMES, uneven: bool = False
) -> Path:
    """`uneven`: frames last from 40 to 93 milliseconds, as phones record them."""
    rng, now = np.random.default_rng(4), 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 20
        base = Fraction(1, 1000) if uneven else Fraction(1, RATE)
        if uneven:
            stream.codec_context.time_base = base
        for picture in moving(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = now, base
            now += int(rng.integers(40, 94)) if uneven else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


Kind = tuple[str, Mapping[str, str], bool]
KINDS: dict[str, Kind] = {
    "reordered.mp4": ("libx264", {"bf": "3", "preset": "veryfast"}, False),
    "open.mp4": ("libx264", {"bf": "3", "preset": "veryfast", "x264-params": "open-gop=1"}, False),
    "uneven.mp4": ("libx264", {"bf": "3", "preset": "veryfast"}, True),
    "reordered.mkv": ("libx264", {"bf": "2", "preset": "veryfast"}, False),
    "video.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, False),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("long")

    def clip(name: str) -> Path:
        codec, options, uneven = KINDS[name]
        path = folder / name
        return path if path.exists() else encoded(path, options, codec, uneven=uneven)

    return clip


@pytest.fixture
def parts(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "parts", 10**9)


@pytest.fixture
def quick(backbone: Backbone) -> Backbone:
    """One that sees coarse colors, where it is not about the network."""

    def embed(pictures: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        rows = pictures[:, ::40, ::40].reshape(len(pictures), -1).astype(np.float32) + 1
        return dict.fromkeys(EMBEDDED, rows)

    return replace(backbone, embed=embed)


def entry(store: FeatureStore) -> bytes:
    (path,) = store.root.glob("*.safetensors")
    return path.read_bytes()


@pytest.mark.parametrize("name", ["open.mp4", "uneven.mp4"])
def test_parts_made_by_others_in_another_order_join_to_the_bytes_of_one_pass(
    name: str,
    clips: Callable[[str], Path],
    backbone: Backbone,
    store: FeatureStore,
    parts: FeatureStore,
    tmp_path: Path,
) -> None:
    path = clips(name)
    table = read_table(path, parts, "video")
    cut = parts_of(table, PART)
    assert len(cut) == 3
    assert {part.first for part in cut} <= set(table.keys.tolist())
    one_pass = FeatureStore(tmp_path / "one pass", 10**9)
    features = long_video_features(path, backbone, one_pass, parts, "video", PART)
    assert not list(parts.root.iterdir())
    for number in (2, 0, 1):
        # Batches of another size, filled in another order.
        smaller = replace(backbone, batch=1 + 2 * number)
        embed_part(path, table.timeline, cut[number], smaller, parts, "video")
    assert join(table.timeline, cut, backbone.key, store, parts, "video") is not None
    assert entry(store) == entry(one_pass)
    assert len(features.timeline) == FRAMES
    # Where a part ends and the next one begins nothing is left to be interpolated.
    assert {part.first for part in cut} | {part.last for part in cut} <= set(features.frames.tolist())


@pytest.mark.parametrize("name", KINDS)
def test_a_part_shows_the_pictures_of_one_pass(name: str, clips: Callable[[str], Path], parts: FeatureStore) -> None:
    path = clips(name)
    table = read_table(path, parts, "video")
    whole = {picture.index: picture.rgb for picture in decode(path, table.timeline)}
    seen = {}
    for part in parts_of(table, PART):
        for picture in decode(path, table.timeline, first=part.first, last=part.last):
            np.testing.assert_array_equal(picture.rgb, whole[picture.index])
            seen[picture.index] = True
    assert list(seen) == list(whole) == list(range(FRAMES))


def test_a_video_of_one_part_is_embedded_as_it_always_was(
    clips: Callable[[str], Path], quick: Backbone, store: FeatureStore, parts: FeatureStore, tmp_path: Path
) -> None:
    path, before = clips("reordered.mp4"), FeatureStore(tmp_path / "before", 10**9)
    video_features(path, quick, before, "video")
    for never in (0.0, 3600.0):
        store.drop("video", quick.key)
        long_video_features(path, quick, store, parts, "video", never)
        assert entry(store) == entry(before)


def test_what_an_older_release_has_stored_is_kept(
    clips: Callable[[str], Path], quick: Backbone, store: FeatureStore, parts: FeatureStore
) -> None:
    path = clips("reordered.mp4")
    video_features(path, quick, store, "video")
    before = entry(store)
    long_video_features(path, quick, store, parts, "video", PART)
    assert entry(store) == before


def test_only_what_is_missing_is_made(
    clips: Callable[[str], Path], quick: Backbone, store: FeatureStore, parts: FeatureStore, tmp_path: Path
) -> None:
    path = clips("reordered.mp4")
    table = read_table(path, parts, "video")
    cut = parts_of(table, PART)
    for part in cut:
        embed_part(path, table.timeline, part, quick, parts, "video")
    damaged = next(parts.root.glob(f"*{part_key(quick.key, cut[1])}*"))
    damaged.write_bytes(damaged.read_bytes()[:-10])
    assert join(table.timeline, cut, quick.key, store, parts, "video") is None
    assert not list(store.root.iterdir())
    made: list[int] = []

    def embed(pictures: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        made.append(len(pictures))
        return quick.embed(pictures)

    features = long_video_features(path, replace(quick, embed=embed), store, parts, "video", PART)
    assert 0 < sum(made) < len(features.frames) / 2
    one_pass = FeatureStore(tmp_path / "one pass", 10**9)
    long_video_features(path, quick, one_pass, parts, "video", PART)
    assert entry(store) == entry(one_pass)


def test_a_video_whose_end_does_not_decode_is_cut_off_where_it_does(
    clips: Callable[[str], Path], quick: Backbone, store: FeatureStore, parts: FeatureStore, tmp_path: Path
) -> None:
    content = bytearray(clips("reordered.mkv").read_bytes())
    length = len(content)
    content[int(length * 0.55) : int(length * 0.97)] = bytes(int(length * 0.97) - int(length * 0.55))
    path = tmp_path / "damaged.mkv"
    path.write_bytes(content)
    features = long_video_features(path, quick, store, parts, "video", PART)
    assert features.frames[-1] == len(features.timeline) - 1
    assert len(features.timeline) <= features.promised == len(read_timeline(path))


def test_parts_in_which_nothing_decodes_are_empty(
    quick: Backbone, store: FeatureStore, parts: FeatureStore, tmp_path: Path
) -> None:
    path = encoded(tmp_path / "clip.mp4", {"preset": "veryfast"}, frames=600)
    timeline = read_timeline(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start : content.index(b"moov") - 4] = bytes(content.index(b"moov") - 4 - start)
    path.write_bytes(content)
    cut = [Part(FrameIndex(first), first + 300) for first in (0, 300)]
    for part in cut:
        assert not len(embed_part(path, timeline, part, quick, parts, "video").frames)
    with pytest.raises(NothingDecodes):
        join(timeline, cut, quick.key, store, parts, "video")


def test_a_store_without_room_for_the_parts_is_reported(
    clips: Callable[[str], Path], quick: Backbone, store: FeatureStore, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="CACHE_MAX_BYTES"):
        long_video_features(clips("reordered.mp4"), quick, store, FeatureStore(tmp_path / "parts", 1000), "video", PART)


@pytest.fixture
def machine(redis: Redis, redis_settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    """A machine of this name that has just started: what it stores of whole videos, and of parts. It shares Redis and a store
    with others, and no disk."""
    used = set()

    def start(name: str) -> tuple[FeatureStore, FeatureStore]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        connect(replace(redis_settings, data_dir=folder, store_url=f"file://{tmp_path}/store"), redis)
        used.add(folder)
        return FeatureStore(folder / "features", 10**9), FeatureStore(folder / "features" / "parts", 10**9)

    yield start
    for folder in used:
        files.attach(folder, None)


def test_parts_made_on_machines_that_share_no_disk_join_to_the_bytes_of_one_pass(
    clips: Callable[[str], Path], quick: Backbone, parts: FeatureStore, tmp_path: Path, machine: Machine, redis: Redis
) -> None:
    path = clips("reordered.mp4")
    alone = FeatureStore(tmp_path / "alone", 10**9)
    long_video_features(path, quick, alone, parts, "video", PART)
    (_, ours), (_, theirs), (third, of_third) = machine("a"), machine("b"), machine("c")
    table = read_table(path, ours, "video")
    keep_table(table, ours, "video")
    # The table comes from the store: there is no such video.
    known = read_table(tmp_path / "nothing.mp4", theirs, "video")
    cut = parts_of(known, PART)
    assert len(cut) > 2
    for number, part in enumerate(cut):
        embed_part(path, known.timeline, part, quick, (ours, theirs)[number % 2], "video")
    assert join(known.timeline, cut, quick.key + DEFAULT.key, third, of_third, "video") is not None
    assert entry(third) == entry(alone)
    elsewhere, _ = machine("d")
    assert elsewhere.load("video", quick.key + DEFAULT.key) is not None
    assert entry(elsewhere) == entry(alone)

    # The parts are gone for all, also for those who have them on disk, and for one that begins after Redis has lost all.
    assert list(ours.root.glob("*.safetensors"))
    for _ in range(2):
        for one in (ours, theirs, of_third):
            assert files.names(one.root) == []
            for part in cut:
                assert not one.has("video", part_key(quick.key + DEFAULT.key, part))
                assert one.load("video", part_key(quick.key + DEFAULT.key, part)) is None
        redis.flushall()
        for name in "abc":
            machine(name)
    assert not list(ours.root.glob("*-part-*.safetensors"))
