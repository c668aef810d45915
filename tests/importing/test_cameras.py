"""Files as cameras, phones and other programs write them become videos in which each picture is where it was.

Every picture carries its number, so that what was made can be compared with what was recorded.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import Import, Studio
from numpy.typing import NDArray

from benchmarks.alignment.barcode import draw, read_picture
from benchmarks.alignment.encode import Recipe as Film
from benchmarks.alignment.encode import encode, steady
from ml_backend.importing.import_video import Outcome, bring
from ml_backend.importing.origins import Importer
from ml_backend.importing.recipe import Recipe
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import read_timeline

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
FIX = Recipe(fix=True)


def one(importer: Importer, given: Path) -> Outcome:
    [outcome] = bring(importer, str(given))
    return outcome


def pictures(studio: Studio, folder: Path, number: int = 1) -> list[NDArray[np.uint8]]:
    """(h, w) grey, of an upload."""
    path = folder / f"uploaded{number}.mp4"
    path.write_bytes(studio.uploads[number][1])
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(video=0)]


def numbers(studio: Studio, folder: Path, number: int = 1) -> list[int | None]:
    return [read_picture(picture) for picture in pictures(studio, folder, number)]


def raw(path: Path, codec: str, form: str, frames: int = 40, rate: int = 30, **options: str) -> Path:
    with av.open(str(path), "w", format=form) as container:
        pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, pixels
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number, 320, 180), format="gray").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class TestRawStreams:
    @pytest.mark.parametrize(
        ("name", "codec", "form", "options"),
        [
            ("camera.h264", "libx264", "h264", {"bf": "0"}),
            ("reordered.h264", "libx264", "h264", {"bf": "3", "g": "12"}),
            ("camera.hevc", "libx265", "hevc", {"x265-params": "log-level=none"}),
            ("camera.m4v", "mpeg4", "m4v", {"bf": "2"}),
            ("camera.mjpeg", "mjpeg", "mjpeg", {}),
            ("camera.m2v", "mpeg2video", "mpeg2video", {"bf": "2"}),
        ],
    )
    def test_get_times_and_keep_every_picture(
        self,
        importer: Import,
        studio: Studio,
        tmp_path: Path,
        name: str,
        codec: str,
        form: str,
        options: dict[str, str],
    ) -> None:
        path = raw(tmp_path / name, codec, form, **options)
        [fault] = inspect(path)
        assert (fault.kind, fault.severity) == ("raw", "error")
        refused = one(importer(), path)
        assert (refused.state, "--fix" in refused.message) == ("refused", True)
        assert one(importer(Recipe(fix=True, raw_fps=50)), path).state == "imported"
        assert numbers(studio, tmp_path) == list(range(40))
        assert studio.tasks[1]["fps"] == 50
        assert not list((tmp_path / "data" / "imports").iterdir())

    def test_without_a_rate_what_the_stream_says_counts(self, importer: Import, studio: Studio, tmp_path: Path) -> None:
        assert one(importer(FIX), raw(tmp_path / "camera.h264", "libx264", "h264", rate=30)).state == "imported"
        assert studio.tasks[1]["fps"] == 30


class TestNamesAndTags:
    @pytest.mark.parametrize("ending", ["mp4", "avi", "mkv", "mov"])
    def test_tags_in_latin_1_keep_no_video_from_being_read(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"film.{ending}"
        with av.open(str(path), "w") as container:
            container.metadata["title"] = "caf_e n_o"
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
            for number in range(10):
                container.mux(
                    stream.encode(
                        av.VideoFrame.from_ndarray(draw(number, 320, 180), format="gray").reformat(format="yuv420p")
                    )
                )
            container.mux(stream.encode(None))
        path.write_bytes(path.read_bytes().replace(b"caf_e n_o", b"caf\xe9  n\xb0 "))
        assert b"caf\xe9" in path.read_bytes()
        assert not [found for found in inspect(path) if found.kind == "unreadable"]
        assert len(read_timeline(path)) == 10

    def test_a_name_in_latin_1_is_read_as_it_was_meant_and_the_others_go_on(
        self, importer: Import, studio: Studio, tmp_path: Path
    ) -> None:
        odd, plain = tmp_path / os.fsdecode(b"souris_\xe9t\xe9.mp4"), tmp_path / "plain.mp4"
        for path, frames in ((plain, 25), (odd, 50)):
            encode(tmp_path / "made.mp4", Film(steady(25, frames)))
            (tmp_path / "made.mp4").rename(path)
        brought = importer()
        assert [one(brought, each).name for each in (odd, plain)] == ["souris_été.mp4", "plain.mp4"]
        assert [data["name"] for data in studio.tasks.values()] == ["souris_été.mp4", "plain.mp4"]
        assert studio.uploads[1][0] == "souris_été.mp4"

    def test_what_nobody_foresaw_does_not_lose_the_others(
        self, importer: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(path: Path) -> None:
            raise ValueError("no such thing")

        encode(tmp_path / "a.mp4", Film(steady(25, 10)))
        monkeypatch.setattr("ml_backend.importing.import_video.read_taken", broken)
        outcome = one(importer(), tmp_path / "a.mp4")
        assert outcome.state == "refused"
        assert "a.mp4 cannot be imported (ValueError: no such thing)" in outcome.message

    @pytest.mark.parametrize("name", ["recording", "phone.3gp", "phone.mov"])
    def test_mp4_is_taken_under_whatever_name(
        self, importer: Import, studio: Studio, tmp_path: Path, name: str
    ) -> None:
        encode(tmp_path / "made.mp4", Film(steady(25, 40)))
        (tmp_path / "made.mp4").rename(tmp_path / name)
        assert one(importer(), tmp_path / name).state == "imported"
        assert studio.uploads[1] == (f"{Path(name).stem}.mp4", (tmp_path / name).read_bytes())


class TestShapes:
    @pytest.mark.parametrize(("aspect", "size"), [(Fraction(64, 45), (512, 288)), (Fraction(1, 2), (360, 576))])
    def test_pixels_become_square(
        self, importer: Import, studio: Studio, tmp_path: Path, aspect: Fraction, size: tuple[int, int]
    ) -> None:
        path = tmp_path / "tape.avi"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 360, 288, "yuv420p"
            stream.codec_context.sample_aspect_ratio = aspect
            for number in range(30):
                container.mux(
                    stream.encode(
                        av.VideoFrame.from_ndarray(draw(number, 360, 288), format="gray").reformat(format="yuv420p")
                    )
                )
            container.mux(stream.encode(None))
        assert "pixel-aspect" in {found.kind for found in inspect(path)}
        assert one(importer(FIX), path).state == "imported"
        made = pictures(studio, tmp_path)
        assert made[0].shape == size[::-1]
        assert [read_picture(picture) for picture in made] == list(range(30))

    def test_a_size_that_changes_midway_is_fitted_into_the_largest(
        self, importer: Import, studio: Studio, tmp_path: Path
    ) -> None:
        path = tmp_path / "call.ts"
        content = b""
        for at, (width, height) in enumerate(((160, 90), (320, 180), (90, 160))):
            part = tmp_path / "part.ts"
            encode(part, Film(steady(25, 25, at), options={"bf": "0"}, size=(width, height)))
            content += part.read_bytes()
        path.write_bytes(content)
        assert "sizes" in {found.kind for found in inspect(path, thorough=True)}
        assert one(importer(FIX), path).state == "imported"
        made = pictures(studio, tmp_path)
        assert {picture.shape for picture in made} == {(180, 320)}
        assert [read_picture(picture) for picture in made[:50]] == [*range(25), *range(25)]
        # Upright in the middle, black beside it.
        inside = made[-1][:, 110:210]
        assert read_picture(inside) == 24
        assert made[-1][:, :100].max() < 24

    def test_the_thumbnails_of_a_camera_are_not_the_video(
        self, importer: Import, studio: Studio, tmp_path: Path
    ) -> None:
        path = tmp_path / "camera.mov"
        with av.open(str(path), "w") as container:
            small = container.add_stream("mjpeg", rate=25)
            stream = container.add_stream("libx264", rate=30)
            for each, pixels in ((small, "yuvj420p"), (stream, "yuv420p")):
                each.width, each.height, each.pix_fmt = 320, 180, pixels
            container.mux(
                small.encode(av.VideoFrame.from_ndarray(draw(99, 320, 180), format="gray").reformat(format="yuvj420p"))
            )
            container.mux(small.encode(None))
            for number in range(45):
                container.mux(
                    stream.encode(
                        av.VideoFrame.from_ndarray(draw(number, 320, 180), format="gray").reformat(format="yuv420p")
                    )
                )
            container.mux(stream.encode(None))
        assert len(read_timeline(path)) == 45
        assert not [found for found in inspect(path) if found.severity == "error"]
        assert one(importer(FIX), path).state == "imported"
        assert studio.tasks[1]["fps"] == 30


class TestTimeLapses:
    def test_stay_as_many_pictures_at_the_rate_that_label_studio_knows(
        self, importer: Import, studio: Studio, tmp_path: Path
    ) -> None:
        path = tmp_path / "lapse.avi"
        encode(path, Film(steady(Fraction(1, 5), 40), codec="mpeg4", time_base=Fraction(5)))
        assert one(importer(FIX), path).state == "imported"
        assert numbers(studio, tmp_path) == list(range(40))
        assert studio.tasks[1]["fps"] == 1
        assert float(read_timeline(tmp_path / "uploaded1.mp4").duration) == 200

    def test_say_how_label_studio_counts_them(self, tmp_path: Path) -> None:
        path = tmp_path / "lapse.mp4"
        encode(path, Film(steady(Fraction(1, 5), 40)))
        assert [found.kind for found in inspect(path, 1.0)] == ["time-lapse"]
        found = {each.kind: each for each in inspect(path, 25.0)}
        assert "time-lapse" not in found, "there is something to do"
        assert 'framerate="1"' in found["framerate"].remedy
        assert "the video has 0.2:" in found["framerate"].message
        assert "below 1 for seconds per frame" in found["framerate"].remedy

    def test_are_not_cut_into_parts_of_one_picture(self, importer: Import, tmp_path: Path) -> None:
        path = tmp_path / "lapse.mp4"
        encode(path, Film(steady(Fraction(1, 5), 40)))
        outcome = one(importer(Recipe(segment=3)), path)
        assert outcome.state == "refused"
        assert "--segment 50s" in outcome.message


@pytest.mark.skipif(not CASES.is_dir(), reason="the files of public bug reports are not here")
class TestThePublicReports:
    @pytest.mark.parametrize(
        ("name", "frames", "fps", "size"),
        [
            ("anamorphic.mkv", 100, 25, (512, 288)),
            ("camera.MTS", 150, 25, (468, 288)),
            ("phone.3gp", 75, 25, (192, 144)),
            ("phone_h264.3gp", 90, 30, (320, 180)),
            ("phone_hlg2.mov", 40, 30, (320, 180)),
            ("picamera.h264", 120, 25, (320, 180)),
            ("recording_without_ending", 90, 30, (320, 180)),
            ("tag_latin1.avi", 90, 30, (320, 180)),
            ("tag_latin1.mkv", 90, 30, (320, 180)),
            ("tag_latin1.mp4", 90, 30, (320, 180)),
            ("thumb_track_first.mov", 90, 30, (320, 180)),
            ("timelapse_0.2fps.mp4", 40, 1, (320, 180)),
        ],
    )
    def test_become_videos_with_each_picture_in_its_place(
        self,
        importer: Import,
        studio: Studio,
        tmp_path: Path,
        name: str,
        frames: int,
        fps: float,
        size: tuple[int, int],
    ) -> None:
        assert one(importer(FIX), CASES / name).state == "imported"
        assert studio.tasks[1]["fps"] == fps
        path = tmp_path / "uploaded.mp4"
        path.write_bytes(studio.uploads[1][1])
        assert [marks(picture) for picture in shown(path)] == list(range(frames))
        assert shown(path)[0].shape == size[::-1]

    def test_all_pictures_of_a_varying_rate_stay(self, importer: Import, studio: Studio, tmp_path: Path) -> None:
        assert one(importer(FIX), CASES / "rates_20_10_30_20.mp4").state == "imported"
        path = tmp_path / "uploaded.mp4"
        path.write_bytes(studio.uploads[1][1])
        assert list(dict.fromkeys(marks(picture) for picture in shown(path))) == list(range(400))


def shown(path: Path) -> list[NDArray[np.uint8]]:
    """(h, w) grey; of the stream with the most pictures."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = max(container.streams.video, key=lambda each: each.frames)
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(stream)]


def marks(picture: NDArray[np.uint8]) -> int:
    """Ten blocks along the top, the lowest bit at the left."""
    height, width = picture.shape
    return sum(1 << bit for bit in range(10) if picture[height // 24, int((bit + 0.5) * width / 10)] > 128)
