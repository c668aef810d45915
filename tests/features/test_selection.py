"""What waits for embeddings is bounded, and let go of as soon as possible."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from drawn import Encode, street

from ml_backend.features.selection import Density, Interval, Selection
from ml_backend.video.decode import Picture, decode
from ml_backend.video.timeline import read_timeline

STRIDE = 16


def pictures_of(path: Path) -> list[Picture]:
    return list(decode(path, read_timeline(path)))


def unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def answer(selection: Selection, angles: list[float]) -> list[int]:
    """Gives every wanted frame the embedding at its angle; the positions that were wanted."""
    asked = []
    while selection.wanted:
        position, _ = selection.wanted.popleft()
        asked.append(position)
        selection.put(position, {"appearance": unit(angles[position])}, unit(angles[position]))
    return asked


def feed(selection: Selection, pictures: list[Picture]) -> None:
    selection.begin(pictures[0])
    for first in range(0, len(pictures) - 1, STRIDE):
        selection.add(pictures[first : first + STRIDE + 1])


def positions(intervals: list[Interval]) -> list[int]:
    return sorted({position for interval in intervals for position in interval.rows})


def test_where_nothing_changes_only_the_ends_are_wanted(encode: Encode) -> None:
    selection = Selection(Density())
    feed(selection, pictures_of(encode(street(49))))
    assert answer(selection, [0.0] * 49) == [0, 16, 32, 48]
    assert positions(selection.done()) == [0, 16, 32, 48]
    assert selection.held == 0


def test_a_change_of_embedding_is_narrowed_down_to_two_neighbours(encode: Encode) -> None:
    selection = Selection(Density())
    feed(selection, pictures_of(encode(street(33))))
    asked = answer(selection, [0.0] * 21 + [1.5] * 12)
    assert {20, 21} <= set(asked)
    assert len(asked) <= 3 + 4  # the ends, and one for each halving of sixteen


def test_a_slow_change_is_followed_until_neighbours_are_alike(encode: Encode) -> None:
    selection = Selection(Density())
    angles = np.linspace(0, 3, 17).tolist()
    feed(selection, pictures_of(encode(street(17))))
    asked = sorted(answer(selection, angles))
    steps = [1 - float(unit(angles[a]) @ unit(angles[b])) for a, b in itertools.pairwise(asked)]
    assert max(steps) <= Density().cosine


def test_what_pixels_single_out_is_asked_for_once_unless_the_network_agrees(encode: Encode) -> None:
    pictures = pictures_of(encode(street(17, visit=range(6, 9))))
    alike, different = Selection(Density()), Selection(Density())
    for selection in (alike, different):
        feed(selection, pictures)
    asked = answer(alike, [0.0] * 17)
    assert len(asked) == 3
    assert 6 <= max(set(asked) - {0, 16}) <= 8
    asked = answer(different, [1.5 if 6 <= position <= 8 else 0.0 for position in range(17)])
    assert {5, 6, 8, 9} <= set(asked)


def test_intervals_come_in_order_and_only_when_complete(encode: Encode) -> None:
    selection = Selection(Density())
    feed(selection, pictures_of(encode(street(49))))
    wanted = [position for position, _ in selection.wanted]
    for position in reversed(wanted[1:]):
        selection.put(position, {}, unit(0))
        assert selection.done() == []
    assert selection.held == 48
    selection.put(wanted[0], {}, unit(0))
    assert [interval.first for interval in selection.done()] == [0, 16, 32]


def test_complete_intervals_let_go_of_their_frames(encode: Encode) -> None:
    pictures = pictures_of(encode(street(33)))
    selection = Selection(Density())
    feed(selection, pictures)
    assert all(picture.nbytes for picture in pictures)
    answer(selection, [0.0] * 33)
    assert not any(picture.nbytes for picture in pictures[:-1])


def test_frames_held_for_long_are_scaled(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = pictures_of(encode(street(49)))
    monkeypatch.setattr("ml_backend.features.selection._UNSCALED_BYTES", 20 * pictures[0].nbytes)
    selection = Selection(Density())
    feed(selection, pictures)
    assert sum(bool(picture.nbytes) for picture in pictures) <= 20 + 1
    assert pictures[5].rgb.shape == (160, 160, 3)


def test_large_frames_are_not_counted_among_the_held(tmp_path: Path) -> None:
    path = tmp_path / "large.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 2048, 1200, "yuvj420p"
        for picture in street(18, width=2048, height=1200):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    selection = Selection(Density())
    feed(selection, pictures_of(path))
    assert len(selection._unscaled) == 0
