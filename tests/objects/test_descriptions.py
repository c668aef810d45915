"""What a track is like is told by pictures of the decode that found it, and by how it moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boxed_film import boxed_film

from benchmarks.objects.kinds import DISTINCT, FilmedKinds, film_kinds
from ml_backend.objects.boxes import in_shares, iou
from ml_backend.objects.crops import MOST, Crops, crop, decoded, encoded, spread
from ml_backend.objects.descriptions import FORM, LOOKS, NETWORK, TEXTURE, crops_along, describe, form, texture
from ml_backend.objects.finder import find_tracks, frame_rate
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.onebox import track_from_box
from ml_backend.video.timeline import read_timeline

RED, GREY = (200, 40, 30), (120, 120, 120)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> FilmedKinds:
    return film_kinds(DISTINCT.kinds[:2], tmp_path_factory.mktemp("pair") / "pair.mp4", 7, seconds=8)


def plain(color: tuple[int, int, int] = GREY, size: tuple[int, int] = (90, 160)) -> np.ndarray:
    return np.full((*size, 3), color, np.uint8)


def test_a_crop_is_a_square_around_its_box() -> None:
    picture = plain()
    picture[30:50, 60:100] = RED
    cut = crop(picture, np.array([60 / 160, 30 / 90, 40 / 160, 20 / 90]), 120)
    assert cut.shape == (120, 120, 3)
    red = np.abs(cut.astype(int) - RED).sum(axis=2) < 60
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    # As wide as its box but for the margin, in the middle, and not stretched.
    assert np.ptp(columns) + 1 == pytest.approx(100, abs=4)
    assert np.ptp(rows) + 1 == pytest.approx(50, abs=4)
    assert rows.mean() == pytest.approx(60, abs=2)
    assert columns.mean() == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0.1, 0.1),
        (0.95, 0.9, 0.05, 0.1),
        (0, 0, 1, 1),
        (0.5, 0.5, 0, 0),
        (1, 1, 0.1, 0.1),
        (-0.5, -0.5, 0.1, 0.1),
    ],
)
def test_at_the_rim_and_beyond_it_is_filled_up(box: tuple[float, ...]) -> None:
    cut = crop(plain(RED), np.array(box), 64)
    assert cut.shape == (64, 64, 3)
    assert (cut == RED).all()


def test_pictures_of_a_long_life_are_few_and_spread_over_it() -> None:
    crops = Crops()
    crops.offer(plain(RED), np.array([0, 0, 0.5, 0.5]), coarse=True)
    assert len(crops) == 1
    for level in range(200):
        crops.offer(plain((level, level, level)), np.array([0.2, 0.2, 0.5, 0.5]))
        crops.offer(plain(RED), np.array([0, 0, 0.5, 0.5]), coarse=True)
        assert 1 <= len(crops) <= MOST
    levels = decoded(crops.kept, 32)[:, 16, 16].mean(axis=1)
    assert levels[0] < 5
    assert levels[-1] > 170
    assert np.diff(levels).std() < 2


def test_those_of_several_pieces_are_few_as_well() -> None:
    every = [encoded(plain((level, level, level))) for level in range(100)]
    kept = spread(every)
    assert len(kept) == MOST
    assert kept[0] == every[0]
    assert kept[-1] == every[-1]
    assert spread(every[:3]) == tuple(every[:3])
    assert decoded(()).shape == (0, 160, 160, 3)


def test_tracks_come_with_pictures_of_their_own_subject(pair: FilmedKinds) -> None:
    timeline = read_timeline(pair.path)
    found = find_tracks(pair.path, timeline, MotionDetector(), pictured=True)
    assert len(found) == 2
    for track in found:
        assert 4 <= len(track.crops) <= MOST
        middle = decoded(track.crops)[:, 70:90, 70:90].reshape(-1, 3).mean(axis=0)
        truth = max(pair.truth, key=lambda each: _overlap(track, each))
        # A vole's coat is redder than a mouse's.
        assert (middle[0] - middle[2] > 60) == (truth.label == "vole")
    assert all(not each.crops for each in find_tracks(pair.path, timeline, MotionDetector()))
    one = pair.truth[0]
    box = one.box(100)
    assert box is not None
    assert track_from_box(pair.path, timeline, 100, box, moving=found).crops


def _overlap(track: object, truth: object) -> float:
    _, a, b = np.intersect1d(track.frames, truth.frames, return_indices=True)  # type: ignore[attr-defined]
    return float(iou(track.boxes[a], truth.boxes[b]).mean()) if len(a) else 0.0  # type: ignore[attr-defined]


def test_pictures_that_were_not_kept_are_sought_out(pair: FilmedKinds) -> None:
    timeline = read_timeline(pair.path)
    both = [(each.frames, each.boxes) for each in pair.truth]
    short = pair.truth[0].frames[:3], pair.truth[0].boxes[:3]
    mouse, vole, first = crops_along(pair.path, timeline, [*both, short])
    assert (len(mouse), len(vole), len(first)) == (MOST, MOST, 3)
    middles = [decoded(each)[:, 70:90, 70:90].reshape(-1, 3).mean(axis=0) for each in (mouse, vole)]
    assert middles[0][0] - middles[0][2] < 60 < middles[1][0] - middles[1][2]
    assert crops_along(pair.path, timeline, []) == []


def test_a_track_is_described_with_and_without_a_network(pair: FilmedKinds) -> None:
    timeline = read_timeline(pair.path)
    [track, _] = find_tracks(pair.path, timeline, MotionDetector(), pictured=True)
    fps = frame_rate(timeline)
    bare = describe(track.frames, track.boxes, fps, 16 / 9, looks=track.looks, crops=track.crops)
    assert bare.keys() == {FORM, LOOKS, TEXTURE}
    shown = []

    def embed(pictures: np.ndarray) -> dict[str, np.ndarray]:
        shown.append(pictures.shape)
        return {NETWORK: np.ones((len(pictures), 8), np.float32) * 3, "early": np.ones((len(pictures), 4), np.float32)}

    seen = describe(track.frames, track.boxes, fps, 16 / 9, looks=track.looks, crops=track.crops, embed=embed, side=96)
    assert shown == [(len(track.crops), 96, 96, 3)]
    assert seen.keys() == {FORM, LOOKS, TEXTURE, NETWORK}
    assert seen[NETWORK] == pytest.approx(np.full(8, 8**-0.5))
    assert all(np.isfinite(row).all() and row.dtype == np.float32 for row in seen.values())
    assert describe(track.frames, track.boxes, fps, 16 / 9).keys() == {FORM}


def test_form_is_about_the_object_and_not_about_the_picture(tmp_path: Path) -> None:
    film = boxed_film(tmp_path / "ball.mp4")
    frames = np.arange(len(film.boxes))
    boxes = in_shares(film.boxes, *film.size)
    told = form(frames, boxes, 25, film.size[0] / film.size[1])
    assert told.shape == (12,)
    # A ball is as wide as it is high.
    assert told[6] == pytest.approx(0, abs=0.02)
    # The same film, counted twice as fast, moves twice as fast.
    fast = form(frames, boxes, 50, film.size[0] / film.size[1])
    assert fast[8] > told[8] + 0.4
    assert fast[:7] == pytest.approx(told[:7])


@pytest.mark.parametrize("frames", [[5], [5, 6], [5, 500], list(range(40))])
def test_the_shortest_track_and_one_that_stands_still_have_a_form(frames: list[int]) -> None:
    boxes = np.tile(np.array([0.2, 0.2, 0.1, 0.1]), (len(frames), 1))
    assert np.isfinite(form(np.array(frames), boxes, 25, 1.5)).all()
    assert np.isfinite(form(np.array(frames), boxes * 0, 25, 1.5)).all()


def test_texture_does_not_depend_on_which_way_it_is_turned() -> None:
    rng = np.random.default_rng(2)
    picture = np.full((160, 160, 3), 128, np.uint8)
    for row in range(20, 140, 12):
        picture[row : row + 6, 20:140] = rng.integers(0, 60, 3)
    striped, turned = texture(picture[None]), texture(np.rot90(picture)[None].copy())
    dotted = texture(rng.integers(0, 255, (1, 160, 160, 3)).astype(np.uint8))
    assert np.abs(striped - turned).max() < 0.1 * np.abs(striped - dotted).max()
