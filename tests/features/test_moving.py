"""The features of individuals: one decode for all of them, kept by their ways, and joined to one video without the time they are away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.objects.kinds import DISTINCT, FilmedKinds, film_kinds
from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH
from ml_backend.errors import VideoUnreadable
from ml_backend.features import moving
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.flow import COLUMNS
from ml_backend.features.moving import joined, moving_features
from ml_backend.features.store import FeatureStore
from ml_backend.roi import RegionOfInterest
from ml_backend.video.moving_view import MovingView, moving_view
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.video.whole_frames import Coded, decode_whole


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> FilmedKinds:
    return film_kinds(DISTINCT.kinds[:2], tmp_path_factory.mktemp("film") / "two.mp4", 5, seconds=3)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone("mobilenet_v2", "none", "cpu", tmp_path_factory.mktemp("weights"))


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", 10**9)


def views_of(film: FilmedKinds) -> list[MovingView]:
    return [moving_view(each.frames, each.boxes, WIDTH / HEIGHT, RATE) for each in film.truth]


def test_all_individuals_are_embedded_in_one_decode_and_found_again(
    film: FilmedKinds, backbone: Backbone, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    decodes = []

    def counted(path: Path, timeline: Timeline) -> Iterator[tuple[FrameIndex, Coded]]:
        decodes.append(path)
        return decode_whole(path, timeline)

    monkeypatch.setattr(moving, "decode_whole", counted)
    views = views_of(film)
    first = moving_features(film.path, views, backbone, store, "content")
    again = moving_features(film.path, views, backbone.at(RegionOfInterest(10, 10, 50, 50)), store, "content")
    assert len(decodes) == 1
    for one, other in zip(first, again, strict=True):
        assert one is not None
        assert other is not None
        assert np.array_equal(one.blocks["appearance"], other.blocks["appearance"])
        assert one.frames[[0, -1]].tolist() == [0, film.frames - 1]
    # They do not look alike.
    assert not np.allclose(first[0].blocks["appearance"][0], first[1].blocks["appearance"][0], atol=1e-2)  # type: ignore[union-attr]


def test_a_way_that_was_corrected_is_looked_at_anew_and_the_others_are_not(
    film: FilmedKinds, backbone: Backbone, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = views_of(film)
    moving_features(film.path, views, backbone, store, "content")
    looked_at = []
    look = moving._look

    def counted(path, timeline, some, *rest):  # type: ignore[no-untyped-def]
        looked_at.extend(some)
        return look(path, timeline, some, *rest)

    monkeypatch.setattr(moving, "_look", counted)
    moved = moving_view(film.truth[1].frames, film.truth[1].boxes + np.array([0.02, 0, 0, 0]), WIDTH / HEIGHT, RATE)
    moving_features(film.path, [views[0], moved], backbone, store, "content")
    assert looked_at == [moved]


def test_joined_they_are_a_video_of_the_frames_in_which_each_is_there(
    film: FilmedKinds, backbone: Backbone, store: FeatureStore
) -> None:
    one, other = film.truth
    late = np.arange(30, film.frames)
    views = [
        moving_view(one.frames, one.boxes, WIDTH / HEIGHT, RATE),
        moving_view(late, other.boxes[late], WIDTH / HEIGHT, RATE),
    ]
    parts = moving_features(film.path, views, backbone, store, "content")
    found = joined(parts, views)
    assert len(found) == film.frames + len(late)
    assert float(found.timeline.duration) == pytest.approx(len(found) / RATE)
    assert (np.diff(found.frames) > 0).all()
    assert found.frames[-1] == len(found) - 1
    second = found.frames >= film.frames
    assert parts[1] is not None
    assert np.array_equal(found.frames[second] - film.frames + 30, parts[1].frames)
    assert np.array_equal(found.blocks["middle"][second], parts[1].blocks["middle"])
    assert found.flow is not None
    # What stands for the camera is the way of the view, in pixels of the small picture.
    at = np.searchsorted(found.flow.frames, 40)
    assert found.flow.rows[at, :2] == pytest.approx(-64 * views[0].moved(1)[found.flow.frames[at]], abs=0.02)
    assert found.flow.rows[at, COLUMNS : COLUMNS + 2] == pytest.approx(
        -64 * views[0].moved(4)[found.flow.frames[at]], abs=0.02
    )


def test_without_anybody_there_is_nothing_to_join() -> None:
    with pytest.raises(VideoUnreadable, match="Nobody is in this video"):
        joined([], [])
