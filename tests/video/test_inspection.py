"""What people are told about a video before they label it, and that nothing is said about an ordinary one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.alignment.clips import CLIPS, NTSC, NTSC_60, NTSC_FILM
from benchmarks.alignment.encode import Recipe, encode, steady
from ml_backend.checks import Finding
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import Timeline, natural_framerate

_BY_NAME = {clip.name: clip for clip in CLIPS}


def _inspect(name: str, folder: Path, framerate: float | None = None, *, thorough: bool = False) -> dict[str, Finding]:
    path = folder / name
    _BY_NAME[name].make(path)
    return {finding.kind: finding for finding in inspect(path, framerate, thorough=thorough)}


@pytest.mark.parametrize(
    ("name", "framerate"),
    [
        ("rate-25.mp4", 25.0),
        ("rate-29.97.mp4", 29.97),
        ("rate-59.94.mp4", 59.94),
        ("sound.mp4", None),
        ("vp9.webm", 30.0),
        ("av1.mp4", 25.0),
    ],
)
def test_nothing_is_said_about_an_ordinary_video(name: str, framerate: float | None, tmp_path: Path) -> None:
    assert _inspect(name, tmp_path, framerate) == {}


@pytest.mark.parametrize(
    ("name", "kind", "severity", "says"),
    [
        ("hevc.mp4", "not-playable", "error", "H.265"),
        ("mpeg4.avi", "not-playable", "error", "mpeg4"),
        ("h264-10-bit.mp4", "pixels", "warning", "yuv420p10le"),
        ("open-gop.mp4", "open-gop", "warning", "4 key frames"),
        ("variable-long.mp4", "variable-rate", "warning", "from 10 to 536 ms"),
        ("late-start.mp4", "late-start", "note", "1.500 s"),
        ("one-frame-more.mkv", "late-start", "note", "0.033 s"),
        ("ghost-last-frame.mkv", "ghost-frames", "note", "counts 1 frame after the last one"),
        ("sound-longer.mp4", "ghost-frames", "note", "counts 30 frames after the last one"),
        ("cut-start.mp4", "hidden-frames", "note", "13 frames"),
        ("cut-start-open.mkv", "hidden-frames", "note", "2 frames"),
        ("same-time-twice.mkv", "same-time", "note", "5 frames"),
        ("sound-early.webm", "sound-offset", "note", "0.33 s before"),
        ("no-duration.webm", "no-duration", "warning", "does not say how long"),
        ("fragments.mp4", "early-key-frames", "note", "67 ms"),
        ("matroska-29.97.mkv", "matroska", "note", "uploads"),
    ],
)
def test_what_is_unusual_is_named(name: str, kind: str, severity: str, says: str, tmp_path: Path) -> None:
    finding = _inspect(name, tmp_path)[kind]
    assert finding.severity == severity
    assert says in finding.message
    assert finding.remedy.endswith((".", ".mp4", ".mkv", ".webm"))


class TestTheFramerateAttribute:
    def test_below_the_videos_rate_frames_cannot_be_labelled(self, tmp_path: Path) -> None:
        finding = _inspect("rate-30.mp4", tmp_path, 24.0)["framerate"]
        assert finding.severity == "warning"
        assert "14 of its 70 frames cannot be labeled" in finding.message
        assert 'framerate="30"' in finding.remedy

    def test_above_it_pictures_are_only_counted_several_times(self, tmp_path: Path) -> None:
        finding = _inspect("rate-25.mp4", tmp_path, 60.0)["framerate"]
        assert finding.severity == "note"
        assert 'framerate="25"' in finding.remedy

    @pytest.mark.parametrize("frames", [2, 5])
    def test_below_it_nothing_is_said_of_a_video_that_is_seen_whole(self, frames: int, tmp_path: Path) -> None:
        encode(tmp_path / "short.mp4", Recipe(steady(Fraction(25), frames)))
        assert inspect(tmp_path / "short.mp4", 24.0) == ()

    def test_one_that_reaches_more_of_an_uneven_video_is_kept(self, tmp_path: Path) -> None:
        """Its average of 14 frames per second misses 13 of its 60 frames, 60 miss one, and 100 none."""
        found = _inspect("variable-long.mp4", tmp_path, 60.0)
        assert "framerate" not in found
        assert "at 60 frames per second, 1 of 60 cannot be gone to" in found["variable-rate"].message
        found = _inspect("variable-long.mp4", tmp_path, 100.0)
        assert "framerate" not in found
        assert found["variable-rate"].severity == "note"
        assert found["variable-rate"].remedy == "Labels stay on the frames that were seen."

    def test_no_two_rates_are_advised_for_one_video(self, tmp_path: Path) -> None:
        found = _inspect("variable-long.mp4", tmp_path, 12.0)
        assert 'framerate="100"' in found["framerate"].remedy
        assert "count 100 frames per second" in found["variable-rate"].remedy

    def test_broadcast_rates_are_written_as_people_write_them(self) -> None:
        for rate, written in ((NTSC_FILM, 23.976), (NTSC, 29.97), (NTSC_60, 59.94)):
            assert natural_framerate(_steady(rate, 1000)) == pytest.approx(written, abs=1e-6)

    def test_a_long_video_gets_as_many_digits_as_it_needs(self) -> None:
        rate = natural_framerate(_steady(NTSC, 12 * 3600 * 30))
        assert rate == pytest.approx(float(NTSC), rel=1e-7)

    def test_a_frame_that_is_left_out_does_not_change_the_rate(self) -> None:
        whole = _steady(Fraction(30), 65)
        times = np.delete(whole.pts, 20) * 1000 // 30  # milliseconds
        assert natural_framerate(Timeline(times, Fraction(1, 1000), whole.duration)) == 30

    def test_two_gaps_that_have_nothing_in_common_still_have_a_rate(self) -> None:
        """The median of a damaged video's gaps may be like none of them."""
        rate = natural_framerate(Timeline(np.array([0, 1, 11]), Fraction(1, 25), Fraction(12, 25)))
        assert rate is not None
        assert 1 <= rate <= 25

    @pytest.mark.parametrize("pts", [[0], [0, 0, 0]])
    def test_without_two_times_there_is_no_rate(self, pts: list[int]) -> None:
        assert natural_framerate(Timeline(np.array(pts), Fraction(1, 25), Fraction(1, 25))) is None


class TestDamage:
    def test_a_file_that_was_cut_off_is_noticed_without_decoding(self, tmp_path: Path) -> None:
        finding = _inspect("broken-tail.mp4", tmp_path)["broken-tail"]
        assert "announces 75 frames and holds 56" in finding.message

    def test_damage_inside_is_found_by_decoding(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        encode(path, Recipe(steady(25, 75), options={"bf": "0", "g": "10", "crf": "5"}))
        data = bytearray(path.read_bytes())
        half = len(data) // 2
        data[half : half + 2000] = bytes(2000)
        path.write_bytes(data)
        assert inspect(path) == ()
        [finding] = inspect(path, thorough=True)
        assert finding.kind == "damaged"
        assert "of 75 frames of clip.mp4 are damaged" in finding.message

    def test_a_whole_file_is_not_called_damaged(self, tmp_path: Path) -> None:
        assert not {"broken-tail", "damaged"} & _inspect("open-gop.mp4", tmp_path, thorough=True).keys()

    def test_what_is_missing_and_what_is_damaged_are_both_told(self, tmp_path: Path) -> None:
        assert _inspect("broken-tail.mp4", tmp_path, thorough=True).keys() >= {"broken-tail", "damaged"}

    def test_a_single_frame_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        encode(path, Recipe(steady(25, 1)))
        [finding] = inspect(path, 25.0)
        assert (finding.kind, finding.severity) == ("single-frame", "warning")

    @pytest.mark.parametrize(
        ("content", "says"), [(b"", "is empty"), (b"no video" * 100, "is not a video, or its header is damaged")]
    )
    def test_what_is_no_video_says_how_it_is_none(self, tmp_path: Path, content: bytes, says: str) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        [finding] = inspect(path)
        assert says in finding.message
        assert finding.severity == "error"

    def test_sound_alone_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=48_000)
            for start in range(0, 48_000, 1024):
                frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
                frame.rate, frame.pts = 48_000, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        [finding] = inspect(path)
        assert (finding.kind, finding.message) == ("unreadable", "clip.mp4 holds no pictures.")


class TestMovingAbout:
    def test_few_key_frames(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        encode(path, Recipe(steady(5, 80), options={"g": "999", "sc_threshold": "0"}))
        [finding] = inspect(path)
        assert finding.kind == "few-key-frames"
        assert "up to 16 s" in finding.message

    def test_a_very_long_video(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        encode(path, Recipe(steady(Fraction(1, 60), 200), options={"g": "1"}, size=(64, 64)))
        findings = {finding.kind: finding for finding in inspect(path)}
        assert "lasts 3.3 hours" in findings["long"].message


def test_the_worst_comes_first(tmp_path: Path) -> None:
    findings = list(_inspect("cut-start-hevc.mp4", tmp_path, 24.0).values())
    assert [finding.severity for finding in findings] == sorted(
        (f.severity for f in findings), key=["error", "warning", "note"].index
    )
    assert findings[0].kind == "not-playable"


def test_what_is_said_of_the_real_videos_is_true(real_data: Path) -> None:
    kinds = {
        path.name: {f.kind for f in inspect(path, 24.0)}
        for path in (real_data / "videos").glob("*/*")
        if path.suffix in {".mp4", ".mkv"}
    }
    assert kinds
    for name, found in kinds.items():
        assert ("framerate" in found) == (name != "walk_past.mp4"), name  # the only one with 24 frames a second
        assert ("not-playable" in found) == name.startswith("h265"), name
        assert "broken-tail" not in found, name
        assert ("pixels" in found) == (name in _UNUSUAL_PIXELS), name
        assert ("matroska" in found) == name.endswith(".mkv"), name
        assert ("late-start" in found) == (name in _LATE), name
        assert ("variable-rate" in found) == (name == "brother.mkv"), name


_UNUSUAL_PIXELS = ("h264_10bits.mp4", "open_field_m3v1.mp4")
_LATE = {f"{word}.mkv" for word in ("again", "bird", "book", "milk", "school", "sorry", "yes")}


def _steady(rate: Fraction, frames: int) -> Timeline:
    return Timeline(np.arange(frames) * rate.denominator, Fraction(1, rate.numerator), frames / rate)


def test_a_frame_rate_with_which_label_studio_would_count_millions_of_frames_is_an_error(tmp_path: Path) -> None:
    found = _inspect("rate-25.mp4", tmp_path, 1e7)["framerate"]
    assert found.severity == "error"
    assert "cannot be labeled" in found.message
    assert 'framerate="25"' in found.remedy
