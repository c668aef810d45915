"""What a network is shown of a video: all of each picture or a part of it, and how large."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.roi import RegionOfInterest
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline
from ml_backend.video.view import GREY, PICTURE, WHOLE, View, part_in, view_in, with_view
from ml_backend.video.whole_frames import decode_sized

KEY = "mobilenet_v2-7ebf99e0-160-fastbilinear-rgb-bf16-v3"
# By column: left and right; by row: above and below.
SHADES = np.array([[40, 90], [140, 220]], np.uint8)
CORNERS = {
    "left above": (RegionOfInterest(0, 0, 50, 50), 40),
    "right above": (RegionOfInterest(50, 0, 50, 50), 90),
    "left below": (RegionOfInterest(0, 50, 50, 50), 140),
    "right below": (RegionOfInterest(50, 50, 50, 50), 220),
}


def write(path: Path, codec: str = "libx264", pixels: str = "yuv420p") -> Path:
    """Three pictures of four shades, one in each corner."""
    picture = np.kron(SHADES, np.ones((64, 96), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "10"})
        stream.height, stream.width = picture.shape
        stream.pix_fmt = pixels
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.repeat(picture[:, :, None], 3, 2), "rgb24")))
        container.mux(stream.encode(None))
    return path


def turned(path: Path, quarters: int) -> Path:
    """The same, but shown after so many quarter turns clockwise."""
    a, b, c, d = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][quarters]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 0x40000000]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = b"".join((value & 0xFFFFFFFF).to_bytes(4, "big") for value in matrix)
    path.write_bytes(data)
    return path


def shades(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """The darkest and the brightest, without the rim."""
    inner = picture[picture.shape[0] // 10 : -picture.shape[0] // 10, picture.shape[1] // 10 : -picture.shape[1] // 10]
    return int(inner.min()), int(inner.max())


@pytest.mark.parametrize("where", CORNERS)
@pytest.mark.parametrize(("codec", "pixels"), [("libx264", "yuv420p"), ("libx265", "yuv420p10le")])
def test_a_region_is_all_that_is_seen(tmp_path: Path, where: str, codec: str, pixels: str) -> None:
    path = write(tmp_path / "clip.mp4", codec, pixels)
    roi, shade = CORNERS[where]
    picture = next(decode(path, read_timeline(path), view=View(roi=roi)))
    assert picture.rgb.shape == (PICTURE, PICTURE, 3)
    assert picture.grey.shape == picture.soft.shape == (GREY, GREY)
    (_, sized) = next(decode_sized(path, read_timeline(path), (48, 80), roi=roi))
    assert sized.shape == (48, 80, 3)
    for seen in (picture.rgb, picture.grey, picture.soft, sized):
        np.testing.assert_allclose(shades(seen), shade, atol=4)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("where", CORNERS)
def test_it_is_of_the_picture_as_a_browser_shows_it(tmp_path: Path, where: str, quarters: int) -> None:
    path = turned(write(tmp_path / "clip.mp4"), quarters)
    (row, column) = ("below" in where, "right" in where)
    shade = np.rot90(SHADES, -quarters)[int(row), int(column)]
    picture = next(decode(path, read_timeline(path), view=View(roi=CORNERS[where][0])))
    np.testing.assert_allclose([*shades(picture.rgb), *shades(picture.grey)], shade, atol=4)


def test_the_smallest_at_the_rim_still_has_something_to_show(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4")
    picture = next(decode(path, read_timeline(path), view=View(320, RegionOfInterest(98, 98, 2, 2))))
    assert picture.rgb.shape == (320, 320, 3)
    np.testing.assert_allclose(shades(picture.rgb), 220, atol=4)


def test_all_of_the_picture_is_the_usual_view() -> None:
    assert WHOLE.at(RegionOfInterest(0, 0, 100, 100)) == WHOLE
    assert WHOLE.key == str(PICTURE)


def test_a_view_is_part_of_a_backbones_key_and_can_be_read_from_it() -> None:
    view = View(320, RegionOfInterest(12.5, 0, 33.3333, 40))
    key = with_view(KEY, view)
    assert key == "mobilenet_v2-7ebf99e0-320+12.5+0+33.33+40-fastbilinear-rgb-bf16-v3"
    assert (view_in(key), part_in(key)) == (view.key, "+12.5+0+33.33+40")
    assert with_view(key, WHOLE) == KEY
    assert (view_in(KEY), part_in(KEY)) == ("160", "")
    assert (view_in("some-network"), part_in("some-network")) == (None, "")
