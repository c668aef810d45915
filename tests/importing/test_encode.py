"""What is made plays everywhere and shows at each moment what the original shows then."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import Film

from ml_backend.errors import StorageError
from ml_backend.importing.encode import encode
from ml_backend.importing.recipe import Part
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import read_timeline

_UNEVEN = [0, 30, 60, 200, 240, 280, 700, 740, 780, 820, 1100, 1140, 1180, 1400, 1440, 1480, 1900, 1960]


def made(path: Path, parts: list[Part], rate: int, folder: Path) -> list[Path]:
    targets = [folder / f"{part.start}.mp4" for part in parts]
    return list(encode(path, read_timeline(path), parts, Fraction(rate), targets))


def grey(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).mean() < 4)


def test_an_uneven_video_becomes_even_and_nothing_moves(film: Film, tmp_path: Path) -> None:
    path = film("uneven.mp4", times=_UNEVEN, options={"crf": "10"})
    [out] = made(path, [Part(0, 2)], 50, tmp_path / "out")
    assert inspect(out, thorough=True) == ()
    before, after = grey(path), grey(out)
    assert len(after) == 100
    for number, shown in enumerate(after):
        moment = 20 * number
        assert same(shown, before[np.searchsorted(_UNEVEN, moment + 9, side="right") - 1])


def test_parts_follow_each_other_without_a_gap(film: Film, tmp_path: Path) -> None:
    path = film("long.mp4", options={"crf": "10"})
    first, second = made(path, [Part(0, 2), Part(2, 4)], 25, tmp_path)
    before, after = grey(path), grey(first) + grey(second)
    assert len(after) == len(before) == 100
    assert all(same(*pair) for pair in zip(before, after, strict=True))


def test_fewer_frames_a_second(film: Film, tmp_path: Path) -> None:
    path = film("fast.mp4", options={"crf": "10"})
    [out] = made(path, [Part(1, 3)], 5, tmp_path)
    before, after = grey(path), grey(out)
    assert len(after) == 10
    assert all(same(shown, before[25 + 5 * number]) for number, shown in enumerate(after))


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_what_browsers_cannot_play_becomes_what_they_can(film: Film, tmp_path: Path, codec: str) -> None:
    path = film("old.mp4", seconds=1, codec=codec)
    assert inspect(path)[0].kind == "not-playable"
    [out] = made(path, [Part(0, 1)], 25, tmp_path / "out")
    assert inspect(out, thorough=True) == ()
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_sound_stays_with_its_pictures(film: Film, tmp_path: Path) -> None:
    path = film("loud.mp4", sound=True)
    [out] = made(path, [Part(1, 3)], 25, tmp_path / "out")
    with av.open(str(out)) as container:
        sound = container.streams.audio[0]
        assert sound.duration is not None
        assert sound.time_base is not None
        assert float(sound.duration * sound.time_base) == pytest.approx(2, abs=0.1)
    assert inspect(out) == ()


def test_odd_sides_lose_a_line(film: Film, tmp_path: Path) -> None:
    path = film("odd.webm", seconds=0.4, size=97, codec="libvpx")
    [out] = made(path, [Part(0, 0.4)], 25, tmp_path)
    assert grey(out)[0].shape == (96, 96)


def test_where_nothing_can_be_written_it_says_so(film: Film, tmp_path: Path) -> None:
    path = film("a.mp4", seconds=1)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        made(path, [Part(0, 1)], 25, tmp_path / "file")


def test_a_full_disk_is_named_and_nothing_half_stays(film: Film, tmp_path: Path) -> None:
    path, out = film("a.mp4", seconds=1), tmp_path / "out"
    out.mkdir()
    (out / "0.mp4.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left"):
        made(path, [Part(0, 1)], 25, out)
    assert list(out.iterdir()) == []


def test_an_interruption_leaves_nothing_half(film: Film, tmp_path: Path) -> None:
    path, out = film("a.mp4"), tmp_path / "out"

    def stop(share: float) -> None:
        if share == 60 / 100:
            raise KeyboardInterrupt

    parts, targets = [Part(0, 2), Part(2, 4)], [out / "0.mp4", out / "1.mp4"]
    with pytest.raises(KeyboardInterrupt):
        list(encode(path, read_timeline(path), parts, Fraction(25), targets, stop))
    assert [each.name for each in out.iterdir()] == ["0.mp4"]
    assert inspect(out / "0.mp4", thorough=True) == ()
    shutil.rmtree(out)
