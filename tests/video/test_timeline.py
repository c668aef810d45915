"""Frame identity: a timeline is what a decoder yields, and its conversions are those of Label Studio in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.alignment.barcode import read_picture
from benchmarks.alignment.clips import CLIPS, NTSC, Clip
from benchmarks.alignment.encode import Recipe, Sound, encode, steady
from ml_backend.errors import VideoUnreadable
from ml_backend.video.timeline import FrameIndex, StudioFrame, Timeline, read_timeline, studio_grid

Make = Callable[[Recipe], Path]
settings.register_profile("busy", deadline=None, max_examples=50)
settings.load_profile("busy")

RATES = st.one_of(
    st.sampled_from([1.0, 10.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 120.0]), st.floats(1, 240)
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Random tables: any gaps, a start anywhere, frames at the same time, sound that ends before or after."""
    gaps = draw(st.lists(st.integers(0, 40_000), min_size=0, max_size=80))
    start = draw(st.integers(-90_000, 180_000))
    pts = start + np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
    time_base = draw(
        st.sampled_from([Fraction(1, 90_000), Fraction(1, 1000), Fraction(1001, 30_000), Fraction(1, 12_800)])
    )
    end = max(int(pts[-1]) + draw(st.integers(1, 20_000)), 1) * time_base
    return Timeline(pts, time_base, min(end * draw(st.fractions(Fraction(1, 2), 2)), Fraction(600)))


@st.composite
def early_timelines(draw: st.DrawFn) -> Timeline:
    timeline = draw(timelines())
    indices = draw(st.lists(st.integers(0, len(timeline) - 1), max_size=5, unique=True))
    early = [(int(timeline.microseconds[i]) - draw(st.integers(0, 200_000)), i) for i in sorted(indices)]
    return Timeline(timeline.pts, timeline.time_base, timeline.duration, np.array(early, np.int64).reshape(-1, 2))


def shown_at(timeline: Timeline, seconds: float) -> int:
    return int(timeline.shown(np.array([seconds]))[0])


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make_clip(recipe: Recipe, suffix: str = ".mp4") -> Path:
        path = tmp_path / f"clip{suffix}"
        encode(path, recipe)
        return path

    return make_clip


class TestConversions:
    @given(timelines(), RATES)
    def test_a_frame_that_is_shown_leads_back_to_itself(self, timeline: Timeline, framerate: float) -> None:
        grid = studio_grid(timeline, framerate)
        for frame in range(1, len(grid) + 1):
            index = grid.index(StudioFrame(frame))
            first = grid.frame(index)
            assert first is not None
            assert first <= frame
            assert grid.index(first) == index

    @given(early_timelines(), RATES)
    def test_later_frames_show_later_pictures_and_none_out_of_bounds(
        self, timeline: Timeline, framerate: float
    ) -> None:
        shown = studio_grid(timeline, framerate).shown
        assert (np.diff(shown) >= 0).all()
        assert shown.min() >= 0
        assert shown.max() < len(timeline)

    @given(timelines(), RATES, st.data())
    def test_a_span_shows_only_its_pictures_and_is_as_long_as_can_be(
        self, timeline: Timeline, framerate: float, data: st.DataObject
    ) -> None:
        grid = studio_grid(timeline, framerate)
        first = FrameIndex(data.draw(st.integers(0, len(timeline) - 1)))
        last = FrameIndex(data.draw(st.integers(first, len(timeline) - 1)))
        inside = [frame for frame in range(1, len(grid) + 1) if first <= grid.index(StudioFrame(frame)) <= last]
        assert grid.span(first, last) == ((inside[0], inside[-1]) if inside else None)

    @given(timelines(), RATES)
    def test_a_label_on_every_frame_of_the_grid_is_a_label_on_the_whole_span(
        self, timeline: Timeline, framerate: float
    ) -> None:
        grid = studio_grid(timeline, framerate)
        span = grid.span(grid.index(StudioFrame(1)), grid.index(StudioFrame(len(grid))))
        assert span == (1, len(grid))

    @given(timelines())
    def test_a_frame_is_shown_from_its_time_until_the_next(self, timeline: Timeline) -> None:
        times = timeline.microseconds
        assume(len(times) == 1 or times[0] != times[-1])
        for i in np.flatnonzero(times >= 0):
            shown = shown_at(timeline, (int(times[i]) + 0.5) / 1e6)
            assert times[shown] == times[i]
            assert shown == np.searchsorted(times, times[i])  # of frames at the same time, the first

    @given(timelines(), st.floats(0, 700))
    def test_before_the_first_frame_the_first_is_shown_and_after_the_last_the_last(
        self, timeline: Timeline, seconds: float
    ) -> None:
        shown = shown_at(timeline, seconds)
        assert 0 <= shown < len(timeline)
        if seconds * 1e6 > timeline.microseconds[-1] + 1:
            assert timeline.microseconds[shown] == timeline.microseconds[-1]
        if seconds * 1e6 < timeline.microseconds[0]:
            assert shown == 0

    @given(early_timelines(), st.data())
    def test_early_key_frames_only_ever_show_a_later_picture(self, timeline: Timeline, data: st.DataObject) -> None:
        seconds = data.draw(st.floats(0, 100))
        usual = shown_at(Timeline(timeline.pts, timeline.time_base, timeline.duration), seconds)
        landed = [index for time, index in timeline.early.tolist() if time <= np.trunc(seconds * 1e6)]
        assert timeline.microseconds[shown_at(timeline, seconds)] == timeline.microseconds[max([usual, *landed])]

    @given(timelines(), RATES, st.data())
    def test_a_truncated_timeline_shows_its_last_frame_from_there_on(
        self, timeline: Timeline, framerate: float, data: st.DataObject
    ) -> None:
        frames = data.draw(st.integers(1, len(timeline)))
        whole, cut = studio_grid(timeline, framerate), studio_grid(timeline.truncated(frames), framerate)
        clock = timeline.microseconds
        np.testing.assert_array_equal(clock[cut.shown], np.minimum(clock[whole.shown], clock[frames - 1]))

    def test_seconds_are_exact_for_rates_that_are_not_whole(self) -> None:
        timeline = Timeline(np.arange(0, 300_300, 1001), Fraction(1, 30_000), Fraction(1001, 100))
        assert timeline.seconds(FrameIndex(30)) == 1.001
        assert timeline.seconds(FrameIndex(0)) == 0

    def test_out_of_range_is_clamped_as_label_studio_does(self) -> None:
        grid = studio_grid(Timeline(np.arange(50), Fraction(1, 25), Fraction(2)), 25)
        assert grid.index(StudioFrame(0)) == 0
        assert grid.index(StudioFrame(450)) == 49

    @pytest.mark.parametrize("framerate", [0.0, -25.0, float("nan"), float("inf")])
    def test_a_framerate_is_a_positive_number(self, framerate: float) -> None:
        with pytest.raises(ValueError, match="positive"):
            studio_grid(Timeline(np.arange(5), Fraction(1, 25), Fraction(1, 5)), framerate)

    @pytest.mark.parametrize("frames", [0, 6, -1])
    def test_a_timeline_is_only_ever_shortened(self, frames: int) -> None:
        with pytest.raises(ValueError, match="cannot cut"):
            Timeline(np.arange(5), Fraction(1, 25), Fraction(1, 5)).truncated(frames)


class TestLabelStudiosGrid:
    """What was seen in Label Studio 1.23.2: frame N is the picture with frame index N - 1 when the rates agree."""

    def test_at_the_files_own_rate_frame_n_is_picture_n_minus_1(self) -> None:
        for rate, framerate in (
            (Fraction(25), 25.0),
            (Fraction(24_000, 1001), 23.976),
            (NTSC, 29.97),
            (Fraction(120), 120.0),
        ):
            timeline = Timeline(np.arange(1000) * rate.denominator, Fraction(1, rate.numerator), 1000 / rate)
            grid = studio_grid(timeline, framerate)
            np.testing.assert_array_equal(grid.shown[:999], np.arange(999))

    def test_the_default_of_24_shows_248_frames_later_at_frame_1000_of_a_30_frame_video(self) -> None:
        # What a backend that takes Label Studio frames for frame indices gets wrong.
        timeline = Timeline(np.arange(1500) * 1001, Fraction(1, 30_000), 1500 / NTSC)
        assert studio_grid(timeline, 24.0).index(StudioFrame(1000)) == 1247

    def test_a_video_of_16_seconds_has_384_frames_at_the_default(self) -> None:
        assert len(studio_grid(Timeline(np.arange(400), Fraction(1, 25), Fraction(16)), 24.0)) == 384

    def test_of_frames_at_the_same_time_the_first_is_seen_while_it_lasts_and_then_the_last(self) -> None:
        timeline = Timeline(np.array([0, 1, 1, 3, 3, 3, 5]), Fraction(1, 25), Fraction(6, 25))
        assert studio_grid(timeline, 25.0).shown.tolist() == [0, 1, 1, 3, 3, 6]
        timeline = Timeline(np.array([0, 1, 2, 2, 4, 5, 6, 7, 8]), Fraction(1, 25), Fraction(9, 25))
        assert studio_grid(timeline, 25.0).shown.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]

    def test_of_frames_at_the_same_time_a_key_frame_is_seen(self) -> None:
        timeline = Timeline(np.array([0, 1, 1, 2]), Fraction(1, 25), Fraction(3, 25), np.array([[39_980, 2]]))
        assert studio_grid(timeline, 25.0).shown.tolist() == [0, 2, 3]

    def test_frames_that_the_grid_skips_have_no_label_studio_frame(self) -> None:
        grid = studio_grid(Timeline(np.arange(100), Fraction(1, 50), Fraction(2)), 25.0)
        assert grid.frame(FrameIndex(2)) == 2
        assert grid.frame(FrameIndex(1)) is None
        assert grid.span(FrameIndex(1), FrameIndex(1)) is None
        assert grid.span(FrameIndex(1), FrameIndex(4)) == (2, 3)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_the_timeline_is_what_a_decoder_yields(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / clip.name
    clip.make(path)
    timeline = read_timeline(path)
    pts, numbers = _decoded(path)
    if clip.name == "broken-tail.mp4":
        # The packet that the cut goes through counts until it is decoded.
        assert len(timeline) - 1 <= len(pts) <= len(timeline)
        timeline = timeline.truncated(len(pts))
    np.testing.assert_array_equal(timeline.pts, pts)
    assert numbers == list(range(clip.first, clip.first + len(pts)))


def test_the_timeline_is_what_a_decoder_yields_for_real_videos(real_data: Path) -> None:
    videos = [path for path in sorted((real_data / "videos").glob("*/*")) if path.suffix in {".mp4", ".mkv"}]
    assert videos
    for path in videos:
        np.testing.assert_array_equal(read_timeline(path).pts, _decoded(path, numbers=False)[0], err_msg=path.name)


class TestTheBrowsersClock:
    def test_pictures_that_start_late_keep_their_times(self, make: Make) -> None:
        timeline = read_timeline(make(Recipe(steady(25, 50, Fraction(3, 2)))))
        assert timeline.seconds(FrameIndex(0)) == 1.5
        assert shown_at(timeline, 0.2) == 0
        assert studio_grid(timeline, 25.0).frame(FrameIndex(1)) == 40

    def test_sound_that_is_longer_than_the_pictures_adds_label_studio_frames(self, make: Make) -> None:
        grid = studio_grid(read_timeline(make(Recipe(steady(25, 50), sound=Sound(seconds=Fraction(3))))), 25.0)
        assert len(grid) == 75
        assert set(grid.shown[50:].tolist()) == {49}

    def test_a_key_frame_that_is_found_by_its_decode_time_is_shown_early(self, make: Make) -> None:
        # Without an edit list decoding begins 80 ms before showing, and a seek to within 80 ms before a key frame lands on it.
        path = make(Recipe(steady(25, 60), options={"g": "12", "sc_threshold": "0"}, muxer={"use_editlist": "0"}))
        timeline = read_timeline(path)
        assert timeline.seconds(FrameIndex(12)) == 0.56
        assert shown_at(timeline, 0.47) == 9
        assert shown_at(timeline, 0.49) == 12

    def test_a_seek_is_rounded_to_the_files_ticks_before_a_key_frame_is_looked_for(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mkv"
        encode(path, Recipe(steady(25, 60), options={"g": "12", "sc_threshold": "0", "bf": "0"}))
        timeline = read_timeline(path)
        assert shown_at(timeline, 0.4794) == 11
        assert shown_at(timeline, 0.4796) == 12  # a key frame at 480 ms, in a file that counts milliseconds
        assert shown_at(timeline, 0.5196) == 12  # no key frame at 520 ms

    def test_beside_opus_sound_key_frames_are_looked_for_80_ms_earlier(self, make: Make) -> None:
        recipe = Recipe(
            steady(25, 60),
            options={"g": "12", "sc_threshold": "0"},
            muxer={"use_editlist": "0"},
            sound=Sound("libopus"),
        )
        assert shown_at(read_timeline(make(recipe)), 0.49) == 10


class TestFilesThatAreNoVideo:
    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").touch()
        with pytest.raises(VideoUnreadable, match=r"a\.mp4 is empty"):
            read_timeline(tmp_path / "a.mp4")

    def test_text_and_a_damaged_header(self, tmp_path: Path, make: Make) -> None:
        (tmp_path / "a.mp4").write_text("this is not a video " * 100)
        with pytest.raises(VideoUnreadable, match="not a video, or its header is damaged"):
            read_timeline(tmp_path / "a.mp4")
        clip = make(Recipe(steady(25, 25)))
        # The index of an MP4 file is at its end unless it was moved.
        (tmp_path / "b.mp4").write_bytes(clip.read_bytes()[:-1500])
        with pytest.raises(VideoUnreadable, match="not a video, or its header is damaged"):
            read_timeline(tmp_path / "b.mp4")

    def test_sound_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="flt", layout="mono")
            frame.sample_rate = 48_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(VideoUnreadable, match="holds no pictures"):
            read_timeline(path)

    def test_pictures_announced_but_none_there(self, tmp_path: Path, make: Make) -> None:
        path = tmp_path / "a.mp4"
        fragments = {"movflags": "empty_moov+frag_keyframe"}
        with (
            av.open(str(make(Recipe(steady(25, 5))))) as source,
            av.open(str(path), "w", options=fragments) as container,
        ):
            container.add_stream_from_template(source.streams.video[0])
            container.start_encoding()
        with pytest.raises(VideoUnreadable, match="holds no frame"):
            read_timeline(path)

    def test_a_codec_that_nobody_knows(self, tmp_path: Path, make: Make) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(make(Recipe(steady(25, 5))).read_bytes().replace(b"avc1", b"zzzz"))
        with pytest.raises(VideoUnreadable, match="cannot be decoded"):
            read_timeline(path)

    def test_a_header_that_promises_years(self) -> None:
        timeline = Timeline(np.arange(5), Fraction(1, 25), Fraction(10**10))
        assert set(studio_grid(timeline, 25.0).shown[4:].tolist()) == {4}

    @pytest.mark.parametrize("seed", range(12))
    def test_damage_anywhere_is_read_as_far_as_it_goes_or_refused(self, seed: int, tmp_path: Path) -> None:
        clip, random = CLIPS[seed * 4], np.random.default_rng(seed)
        path = tmp_path / clip.name
        clip.make(path)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(4):
            data = whole.copy()
            data[random.integers(0, len(data), 20)] = random.integers(0, 256, 20)
            path.write_bytes(data[: random.integers(1, len(data) + 1)].tobytes())
            try:
                timeline = read_timeline(path)
            except VideoUnreadable:
                continue
            assert (np.diff(timeline.pts) >= 0).all()
            assert studio_grid(timeline, 25.0).shown.max() < len(timeline)

    def test_one_frame_is_a_video(self, make: Make) -> None:
        timeline = read_timeline(make(Recipe([Fraction(0)])))
        assert len(timeline) == 1
        assert studio_grid(timeline, 25.0).shown.tolist() == [0]

    def test_a_name_that_is_not_ascii(self, tmp_path: Path, make: Make) -> None:
        path = tmp_path / "vidéo 動画 %d.mp4"
        shutil.move(make(Recipe(steady(25, 5))), path)
        assert len(read_timeline(path)) == 5


def _decoded(path: Path, *, numbers: bool = True) -> tuple[list[int | None], list[int | None]]:
    """The presentation times and drawn numbers of all frames that decode."""
    frames: list[tuple[int | None, int | None]] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO" if not numbers else "NONE"
        try:
            for frame in container.decode(stream):
                frames.append((frame.pts, read_picture(frame.to_ndarray(format="gray")) if numbers else None))
        except av.error.FFmpegError:
            pass
    return [pts for pts, _ in frames], [number for _, number in frames]
