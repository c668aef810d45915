"""One sequential decode: every frame once, in order, small and the right way up, whatever the file is like."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.video.decode import Picture, Pulse, decode, in_background
from ml_backend.video.timeline import FrameIndex, Timeline, read_timeline
from ml_backend.video.view import GREY, PICTURE


def shades(count: int, width: int = 192, height: int = 128) -> list[NDArray[np.uint8]]:
    """Frame i is grey, of shade 20 + 4 i, with a white corner at the top left."""
    pictures = []
    for index in range(count):
        picture = np.full((height, width, 3), 20 + 4 * index, np.uint8)
        picture[: height // 3, : width // 3] = 255
        pictures.append(picture)
    return pictures


def write(
    path: Path,
    pictures: list[NDArray[np.uint8]],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    gop: int = 12,
    full_range: bool = False,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.gop_size = gop
        if full_range:
            stream.codec_context.color_range = 2
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if full_range:
                frame = frame.reformat(format=pixels, dst_color_range=2)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shade(picture: Picture) -> float:
    return float(picture.grey[GREY // 2 :, GREY // 2 :].mean())


def test_gives_every_frame_once_and_in_the_order_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(40))  # x264 reorders frames by default
    pictures = list(decode(path, read_timeline(path)))
    assert [picture.index for picture in pictures] == list(range(40))
    np.testing.assert_allclose([shade(picture) for picture in pictures], 20 + 4 * np.arange(40), atol=4)


def test_pictures_are_small_squares_in_grey_and_rgb(tmp_path: Path) -> None:
    colour = np.full((128, 192, 3), (200, 60, 20), np.uint8)
    path = write(tmp_path / "clip.mp4", [colour] * 3)
    picture = next(decode(path, read_timeline(path)))
    assert picture.grey.shape == (GREY, GREY)
    assert picture.rgb.shape == (PICTURE, PICTURE, 3)
    np.testing.assert_allclose(picture.rgb.reshape(-1, 3).mean(0), (200, 60, 20), atol=6)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "full_range"),
    [
        ("full.mp4", "libx264", "yuvj420p", True),
        ("ten-bit.mp4", "libx265", "yuv420p10le", False),
        ("vp9.mkv", "libvpx-vp9", "yuv420p", False),
        ("rgb.mkv", "ffv1", "bgr0", False),
        ("motion-jpeg.mkv", "mjpeg", "yuvj420p", True),
    ],
)
def test_grey_is_the_same_whatever_the_pixel_format(
    tmp_path: Path, name: str, codec: str, pixels: str, full_range: bool
) -> None:
    path = write(tmp_path / name, shades(12), codec, pixels, full_range=full_range)
    pictures = list(decode(path, read_timeline(path)))
    np.testing.assert_allclose([shade(picture) for picture in pictures], 20 + 4 * np.arange(12), atol=5)
    assert pictures[0].grey[:10, :10].min() > 235


def test_a_video_filmed_upright_is_turned_as_a_browser_turns_it(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(3))
    data = bytearray(path.read_bytes())
    # The track header's matrix, as a phone writes it: show after a quarter turn clockwise.
    matrix = data.index(b"tkhd") + 4 + 40
    quarter = [0, 0x10000, 0, 0xFFFF0000, 0, 0, 128 << 16, 0, 0x40000000]
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big") for value in quarter)
    path.write_bytes(data)
    picture = next(decode(path, read_timeline(path)))
    corners = [picture.grey[:10, :10], picture.grey[:10, -10:], picture.grey[-10:, :10], picture.grey[-10:, -10:]]
    assert [corner.mean() > 200 for corner in corners] == [False, True, False, False]
    assert picture.rgb[:20, -20:].mean() > 200


def test_a_truncated_file_is_used_up_to_its_last_good_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", shades(50))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    indices = [picture.index for picture in decode(path, read_timeline(path))]
    assert indices == list(range(len(indices)))
    assert 10 < len(indices) < 50


def test_damage_in_the_middle_does_not_move_the_frames_behind_it(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(50), gop=5)
    data = bytearray(path.read_bytes())
    middle = (data.index(b"mdat") + data.index(b"moov")) // 2
    data[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(data)
    last = list(decode(path, read_timeline(path)))[-1]
    assert last.index == 49
    assert abs(shade(last) - (20 + 4 * 49)) < 5


def test_a_file_whose_frames_do_not_decode_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(5))
    timeline = read_timeline(path)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(VideoUnreadable, match=r"No frame of clip\.mp4 can be decoded"):
        list(decode(path, timeline))


def test_a_part_in_the_middle_is_the_same_as_in_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(50))
    timeline = read_timeline(path)
    whole = list(decode(path, timeline))
    part = list(decode(path, timeline, first=FrameIndex(30), last=FrameIndex(41)))
    assert [picture.index for picture in part] == list(range(30, 42))
    for picture in part:
        np.testing.assert_array_equal(picture.grey, whole[picture.index].grey)


def test_only_wanted_frames_are_given(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(20))
    pictures = list(decode(path, read_timeline(path), wanted=lambda index: index % 7 == 3))
    assert [picture.index for picture in pictures] == [3, 10, 17]
    np.testing.assert_allclose([shade(picture) for picture in pictures], [32, 60, 88], atol=4)


def test_key_frames_alone_keep_their_places(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(40), gop=10)
    pictures = list(decode(path, read_timeline(path), skip="nonkey"))
    assert [picture.index for picture in pictures] == [0, 10, 20, 30]
    np.testing.assert_allclose([shade(picture) for picture in pictures], [20, 60, 100, 140], atol=4)


def test_large_frames_are_scaled_at_once_and_not_held(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", shades(3, 3840, 2160), "mjpeg", "yuvj420p", full_range=True)
    pictures = list(decode(path, read_timeline(path)))
    assert [picture.nbytes for picture in pictures] == [0, 0, 0]
    assert pictures[2].rgb.shape == (PICTURE, PICTURE, 3)


def test_a_released_picture_keeps_its_grey(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(1))
    picture = next(decode(path, read_timeline(path)))
    assert picture.nbytes > 0
    picture.release()
    assert (picture.nbytes, picture.grey.shape) == (0, (GREY, GREY))
    with pytest.raises(ValueError, match="released"):
        _ = picture.rgb


def test_frames_without_a_known_time_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(10))
    timeline = read_timeline(path)
    shifted = Timeline(timeline.pts + 1, timeline.time_base, timeline.duration)
    assert [picture.index for picture in decode(path, shifted)] == list(range(10))
    # From the middle they cannot be: then there is none rather than a wrong one.
    with pytest.raises(VideoUnreadable):
        list(decode(path, shifted, first=FrameIndex(5)))


def test_a_background_iterator_runs_ahead_only_so_far() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            made.append(number)
            yield number

    ahead = in_background(numbers, 3)
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    time.sleep(0.3)
    assert len(made) <= 5 + 3 + 1
    ahead.close()
    time.sleep(0.5)
    stopped = len(made)
    time.sleep(0.3)
    assert len(made) == stopped


def test_an_error_in_the_background_is_raised_here() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise VideoUnreadable("It broke.", "Mend it.")

    items = in_background(failing, 2)
    assert next(items) == 1
    with pytest.raises(VideoUnreadable, match="It broke"):
        next(items)


def test_a_decoder_that_hangs_fails_after_the_time_limit() -> None:
    def hanging() -> Iterator[int]:
        yield 1
        time.sleep(5)

    items = in_background(hanging, 2, stall_seconds=0.2)
    assert next(items) == 1
    began = time.monotonic()
    with pytest.raises(VideoUnreadable, match=r"gave nothing for 0\.2 seconds"):
        next(items)
    assert time.monotonic() - began < 2


def test_a_decoder_that_gives_frames_nobody_wants_does_not_hang() -> None:
    pulse = Pulse()

    def rarely() -> Iterator[int]:
        for _ in range(5):
            time.sleep(0.1)
            pulse.beat()
        yield 1
        time.sleep(5)

    items = in_background(rarely, 2, stall_seconds=0.25, pulse=pulse)
    assert next(items) == 1
    with pytest.raises(VideoUnreadable, match="gave nothing"):
        next(items)


def test_each_decoded_frame_is_a_beat(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", shades(20))
    pulse = Pulse()
    pulse.last = 0
    assert list(decode(path, read_timeline(path), wanted=lambda index: False, pulse=pulse)) == []
    assert pulse.last > 0


def test_the_real_clips_decode(real_data: Path) -> None:
    for path in sorted((real_data / "videos" / "codec").glob("*.m*")):
        timeline = read_timeline(path)
        assert [p.index for p in decode(path, timeline)] == list(range(len(timeline))), path.name
