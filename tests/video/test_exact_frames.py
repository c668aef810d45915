"""Single frames of a video as they are, read in one pass that leaps from key frame to key frame."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
import pytest
from numbered import numbered_video

from benchmarks.alignment.barcode import read_picture
from ml_backend.errors import VideoUnreadable
from ml_backend.video.decode import decode
from ml_backend.video.demux import demux
from ml_backend.video.timeline import FrameIndex, Timeline, read_timeline
from ml_backend.video.whole_frames import decode_exactly, decode_whole, upright

FRAMES = 120


def numbers(path: Path, frames: Collection[int], timeline: Timeline | None = None) -> list[tuple[int, int | None]]:
    """The index of each frame that was given, and the number that its picture shows."""
    packets = demux(path).packets
    keys = np.sort(packets.pts[packets.key])
    found = decode_exactly(path, timeline or read_timeline(path), frames, keys)
    return [(index, read_picture(np.asarray(upright(frame)[..., 0]))) for index, frame in found]


@pytest.mark.parametrize("options", [{"g": "12"}, {"g": "250"}, {"g": "12", "x264-params": "open-gop=1"}], ids=str)
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "film.avi", "film.flv"])
def test_each_is_the_very_frame_wherever_the_key_frames_are(tmp_path: Path, options: dict[str, str], name: str) -> None:
    path = numbered_video(tmp_path / name, FRAMES, **options)
    random = np.random.default_rng(0)
    for wanted in ([0], [119], [11, 12, 13], range(FRAMES), *(random.choice(FRAMES, 8, False) for _ in range(6))):
        frames = sorted(map(int, wanted))
        assert numbers(path, frames) == [(frame, frame) for frame in frames]


@pytest.mark.parametrize("name", ["film.mp4", "film.ts", "film.m2ts", "film.avi", "film.flv"])
def test_no_frame_is_lost_or_moved_wherever_a_container_lands(tmp_path: Path, name: str) -> None:
    """MPEG-TS has no index of key frames, and AVI says only when a frame is decoded."""
    path = numbered_video(tmp_path / name, FRAMES, g="25")
    timeline = read_timeline(path)
    whole = [
        (int(index), read_picture(np.asarray(upright(one)[..., 0]))) for index, one in decode_whole(path, timeline)
    ]
    assert whole == [(frame, frame) for frame in range(FRAMES)]
    for first in map(FrameIndex, (0, 1, 20, 60, 99, 117)):
        last = FrameIndex(first + 2)
        assert [one.index for one in decode(path, timeline, first=first, last=last)] == [*range(first, last + 1)]


def test_only_what_is_needed_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = numbered_video(tmp_path / "film.mp4", FRAMES, g="12", sc_threshold="0")
    counted: list[int] = []
    from ml_backend.video import decode

    whole = decode._place
    monkeypatch.setattr(decode, "_place", lambda *of: counted.append(1) or whole(*of))
    assert numbers(path, [2, 100]) == [(2, 2), (100, 100)]
    # Frame 100 lies in the group of pictures that begins at 96.
    assert len(counted) <= 3 + 5 + 2


def test_frames_that_do_not_decode_are_left_out(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "film.mkv", FRAMES, g="12")
    timeline = read_timeline(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = numbers(path, [1, 20, 118, 119], timeline)
    assert found == [(1, 1), (20, 20)]


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    timeline = read_timeline(numbered_video(tmp_path / "film.mp4", 5))
    (tmp_path / "page.mp4").write_text("<html>no video</html>")
    with pytest.raises(VideoUnreadable):
        list(decode_exactly(tmp_path / "page.mp4", timeline, [1], np.array([0], np.int64)))


@pytest.mark.parametrize("frames", ["", ":bframes=8:b-pyramid=normal"])
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_a_stretch_may_begin_with_frames_that_a_later_key_frame_is_needed_for(
    tmp_path: Path, name: str, frames: str
) -> None:
    path = numbered_video(tmp_path / name, FRAMES, g="12", **{"x264-params": f"open-gop=1{frames}"})
    timeline = read_timeline(path)
    for first in map(FrameIndex, range(FRAMES - 2)):
        last = FrameIndex(first + 2)
        assert [picture.index for picture in decode(path, timeline, first=first, last=last)] == [
            *range(first, last + 1)
        ]


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), "ITU709"), ((640, 360), "ITU601")])
def test_where_a_file_does_not_say_so_colors_are_those_that_browsers_show(
    tmp_path: Path, size: tuple[int, int], matrix: str
) -> None:
    red = np.full((size[1], size[0], 3), (200, 60, 30), np.uint8)
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1", "preset": "ultrafast"})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(format="yuv420p", dst_colorspace=matrix)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    [(_, shown)] = decode_whole(tmp_path / "film.mp4", read_timeline(tmp_path / "film.mp4"))
    assert int(shown.frame.colorspace) == 2
    assert np.abs(upright(shown).astype(int) - red).max() <= 4
