"""Boxes of other programs in a project: on their frames, in the right task, under its labels, once, and as a person or a program said
them; what export has written comes back as it was."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from box_import_scene import OTHER, Import, bring, context, mot, project, redis, redis_settings, shown, studio
from boxed_project import HEIGHT, SIZE, WIDTH, add_video, boxed_project, key, region, submit
from studio import Studio

from benchmarks.alignment.clips import phone, uneven
from benchmarks.alignment.encode import Recipe, encode, steady
from ml_backend.errors import SettingsError
from ml_backend.export.box_files import BoxForm
from ml_backend.export.boxed_tasks import BoxChoice
from ml_backend.export.boxes import write_boxes
from ml_backend.jobs.box_tracks import said_of
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_boxes
from ml_backend.labelstudio.box_track import at_pictures
from ml_backend.labelstudio.tracks import is_untouched, read_tracks
from ml_backend.objects.boxes import iou
from ml_backend.provenance import RegionId, track_number
from ml_backend.video.timeline import StudioFrame, read_timeline, studio_grid

__all__ = ["bring", "context", "project", "redis", "redis_settings", "studio"]

# Two objects, one of which is hidden for a while; curved, so that few key frames are not the whole of it.
WAY = [key(f, 10 + f, 30 + 20 * np.sin(f / 9), 12, 15 + f / 5, on=f != 21) for f in range(1, 22, 4)]
WAY += [key(f, 10 + f, 30 + 20 * np.sin(f / 9), 12, 15, on=f != 49) for f in range(29, 50, 4)]


class TestAsPredictions:
    ROWS = ("1,4,33,19,64,36,0.8,-1,-1,-1", "2,4,49,19,64,36,0.6,-1,-1,-1", "3,4,65,19,64,36,0.7,-1,-1,-1")

    def test_a_track_is_where_the_file_has_it_and_off_behind_it(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path
    ) -> None:
        [outcome] = bring(mot(tmp_path / "day_one.txt", *self.ROWS))
        assert (outcome.state, outcome.task, outcome.tracks, outcome.key_frames) == ("imported", 1, 1, 2)
        [track] = shown(project, context).values()
        assert [(each.frame, each.enabled) for each in track.keys] == [(1, True), (3, False)]
        assert track.boxes(np.array([1, 2, 3, 4]))[:, :4].tolist()[:3] == [
            pytest.approx([10, 10, 20, 20], abs=1e-4),
            pytest.approx([15, 10, 20, 20], abs=1e-4),
            pytest.approx([20, 10, 20, 20], abs=1e-4),
        ]
        assert np.isnan(track.boxes(np.array([4]))).all()
        assert track.score == pytest.approx(0.7)
        [prediction] = project.predictions
        assert (prediction["model_version"], prediction["score"]) == ("import-x", pytest.approx(0.7))

    def test_it_is_none_of_the_backends_own_tracks_and_keeps_its_number(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path
    ) -> None:
        bring(mot(tmp_path / "day one.txt", *self.ROWS))
        [name] = shown(project, context)
        assert (name, RegionId.parse(name), track_number(name)) == ("imported-track-4", None, 4)

    def test_again_it_takes_its_own_place(self, project: Studio, bring: Import, tmp_path: Path) -> None:
        file = mot(tmp_path / "day one.txt", *self.ROWS)
        bring(file)
        mot(file, *self.ROWS[:1])
        bring(file)
        [prediction] = project.predictions
        assert len(prediction["result"][0]["value"]["sequence"]) == 1

    def test_it_is_shown_where_nothing_else_is(self, project: Studio, bring: Import, tmp_path: Path) -> None:
        assert project.project is not None
        bring(mot(tmp_path / "day one.txt", *self.ROWS))
        assert project.project["model_version"] == "import-x"
        project.project["model_version"] = "cold-v3"
        bring(mot(tmp_path / "day one.txt", *self.ROWS), version="import-y")
        assert project.project["model_version"] == "cold-v3"

    def test_boxes_outside_of_the_picture_are_left_out_and_those_that_reach_out_are_cut(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path
    ) -> None:
        rows = ("1,1,-15,1,32,18", "2,1,-15,1,32,18", "3,1,400,1,32,18")
        [outcome] = bring(mot(tmp_path / "night.txt", *rows))
        assert outcome.left_out == 1
        [track] = shown(project, context, 2).values()
        assert [(each.frame, each.x) for each in track.keys] == [(1, 0), (2, 0)]
        assert track.keys[0].width == pytest.approx(5, abs=1e-3)

    def test_keypoints(self, project: Studio, context: JobContext, bring: Import, tmp_path: Path) -> None:
        head = "scorer,a,a,a,a,a,a\nbodyparts,n,n,n,t,t,t\ncoords,x,y,likelihood,x,y,likelihood\n"
        rows = "".join(f"{frame},{32 + frame},18,1,{96 + frame},54,1\n" for frame in range(50))
        (tmp_path / "nightDLC_net.csv").write_text(head + rows)
        [outcome] = bring(tmp_path / "nightDLC_net.csv")
        assert (outcome.task, outcome.tracks, outcome.key_frames) == (2, 1, 2)


class TestAsAnnotations:
    def test_they_are_a_persons_own_and_are_submitted_once(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path
    ) -> None:
        file = mot(tmp_path / "day one.txt", *TestAsPredictions.ROWS)
        assert [each.state for each in bring(file, version=None)] == ["imported"]
        assert [each.state for each in bring(file, version=None)] == ["present"]
        [annotation] = project.tasks[1]["annotations"]
        [track] = read_tracks(annotation["result"], open_boxes(context, 7).question).tracks
        assert not is_untouched(track)
        assert (track.origin, track.score, annotation["was_cancelled"]) == ("manual", None, False)
        assert project.predictions == []

    def test_one_box_in_one_frame_means_that_frame_and_is_not_followed(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path
    ) -> None:
        bring(mot(tmp_path / "day one.txt", "9,-1,33,19,64,36,0.9,-1,-1,-1"), version=None)
        work = open_boxes(context, 7)
        [annotation] = project.tasks[1]["annotations"]
        [track] = read_tracks(annotation["result"], work.question).tracks
        assert track.stretches(StudioFrame(50)) == [(9, 9)]
        assert said_of(work, [annotation]).marks == ()


def test_pixels_are_those_of_the_pictures_in_the_file(
    project: Studio, context: JobContext, bring: Import, tmp_path: Path
) -> None:
    """Detectors are often shown smaller pictures than the video has."""
    image = {"id": 1, "video": "night.mp4", "frame": 0, "width": WIDTH // 2, "height": HEIGHT // 2}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [16, 9, 32, 18], "track_id": 1}
    told = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "rat"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(told))
    bring(tmp_path / "boxes.json")
    [track] = shown(project, context, 2).values()
    [key_frame] = track.keys
    assert (key_frame.x, key_frame.y, key_frame.width, key_frame.height) == pytest.approx((10, 10, 20, 20), abs=1e-4)


class TestLabels:
    ROWS = ("1,1,33,19,64,36,1,1,1", "1,2,33,19,64,36,1,2,1")

    def test_classes_are_those_of_the_project_or_what_they_are_said_to_be(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path
    ) -> None:
        file = mot(tmp_path / "day one" / "gt" / "gt.txt", *self.ROWS)
        (file.parent / "labels.txt").write_text("mouse\nLaufrad\n")
        with pytest.raises(
            SettingsError, match=r"no labels of the project: Laufrad\. It has mouse, rat.*--class Laufrad="
        ):
            bring(file)
        assert project.predictions == []
        bring(file, classes={"Laufrad": "rat"})
        assert [each.labels for each in shown(project, context).values()] == [("mouse",), ("rat",)]
        bring(file, classes={"Laufrad": ""})
        assert [each.labels for each in shown(project, context).values()] == [("mouse",), ()]

    def test_a_label_that_there_is_not_is_refused(self, project: Studio, bring: Import, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"has no label 'cat'\. It has mouse, rat"):
            bring(mot(tmp_path / "day one.txt", *self.ROWS), classes={"1": "cat", "2": ""})


class TestRefused:
    """Nothing is sent, also of the files that are well."""

    GOOD = ("1,1,33,19,64,36",)

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (("51,1,33,19,64,36",), "a box in frame 50, counted from 0, and night.mp4 has 50 frames"),
            (("1,1,1033,19,64,36", "2,1,1033,19,64,36"), "most of its boxes lie outside of the 320 x 180 pixels"),
            (
                tuple(f"1,{n},33,19,64,36" for n in range(1, 1002)),
                "it has 1001 objects of night, and Label Studio shows",
            ),
            (("1,1,nan,19,64,36",), "line 1 has a number that is not finite"),
        ],
    )
    def test_what_cannot_be_of_its_video(
        self, project: Studio, bring: Import, tmp_path: Path, rows: tuple[str, ...], said: str
    ) -> None:
        with pytest.raises(SettingsError, match=said):
            bring(mot(tmp_path / "day one.txt", *self.GOOD), mot(tmp_path / "night.txt", *rows))
        assert project.predictions == []

    def test_a_video_that_the_project_does_not_have_is_told_and_the_others_are_imported(
        self, project: Studio, bring: Import, tmp_path: Path
    ) -> None:
        outcomes = bring(mot(tmp_path / "dusk.txt", *self.GOOD), mot(tmp_path / "night.txt", *self.GOOD))
        assert [(each.state, each.message) for each in outcomes] == [
            ("unmatched", "The project has no video called dusk."),
            ("imported", ""),
        ]

    def test_where_it_is_not_clear_which_task_it_must_be_said(
        self, project: Studio, bring: Import, tmp_path: Path
    ) -> None:
        project.tasks[1]["data"]["name"] = "night.webm"
        file = mot(tmp_path / "night.txt", *self.GOOD)
        with pytest.raises(SettingsError, match=r"tasks 1, 2 all show night\. Say which with --task"):
            bring(file)
        assert [each.task for each in bring(file, task=2)] == [2]
        with pytest.raises(SettingsError, match="--task needs boxes of one video"):
            bring(file, file, task=2)

    @pytest.mark.parametrize("version", [None, "import-x"])
    @pytest.mark.parametrize("rows", [(), ("",), ("1,1,33,19,64,36,0,1,1",)], ids=["empty", "newline", "ignored"])
    def test_a_file_without_a_box_hides_nothing(
        self, project: Studio, bring: Import, tmp_path: Path, rows: tuple[str, ...], version: str | None
    ) -> None:
        file = mot(tmp_path / "night.txt", *self.GOOD)
        bring(file, version=version)
        mot(file, *rows)
        with pytest.raises(SettingsError, match=r"night\.txt is not imported: it has no box that counts"):
            bring(file, version=version)
        kept = project.predictions if version else project.tasks[2]["annotations"]
        assert [len(each["result"]) for each in kept] == [1]

    def test_boxes_of_which_label_studio_shows_none_hide_nothing(
        self, project: Studio, bring: Import, tmp_path: Path
    ) -> None:
        """At 5 frames a second it shows the first, the sixth, and so on."""
        project.tasks[2]["data"]["fps"] = 5
        with pytest.raises(SettingsError, match=r"Label Studio shows none of its boxes in night\.mp4"):
            bring(mot(tmp_path / "night.txt", "2,1,33,19,64,36"), version=None)
        assert not project.tasks[2]["annotations"]

    def test_a_coco_file_without_a_box(self, project: Studio, bring: Import, tmp_path: Path) -> None:
        (tmp_path / "none.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
        with pytest.raises(SettingsError, match="it has no box that counts"):
            bring(tmp_path / "none.json")

    def test_two_files_about_one_video(self, project: Studio, bring: Import, tmp_path: Path) -> None:
        files = [mot(tmp_path / name / "night.txt", *self.GOOD) for name in "ab"]
        with pytest.raises(SettingsError, match="several of these are about task 2"):
            bring(*files)


TIMES = [(steady(25, 50), 25.0), (steady(Fraction(30_000, 1001), 60), 29.97), (uneven(7, 60), 25.0), (phone(60), 30.0)]


@pytest.mark.parametrize("form", ["coco", "mot"])
@pytest.mark.parametrize(("times", "fps"), TIMES, ids=["25", "29.97", "uneven", "phone"])
def test_what_export_writes_comes_back_as_it_was(
    studio: Studio, context: JobContext, bring: Import, tmp_path: Path, form: BoxForm, times: list[Fraction], fps: float
) -> None:
    boxed_project(studio)
    film = tmp_path / "film.mp4"
    encode(film, Recipe(times, size=SIZE))
    add_video(studio, 1, film, fps=fps, name="ein Film, nachts.mp4")
    submit(studio, 1, region("a", WAY, "rat"), region("b", OTHER))
    out = tmp_path / ("boxes.json" if form == "coco" else "tracks")
    write_boxes(open_boxes(context, 7), out, form, BoxChoice(), lambda text: lambda share: None)
    [outcome] = bring(out if form == "coco" else next(out.rglob("gt.txt")))
    assert (outcome.state, outcome.task, outcome.tracks) == ("imported", 1, 2)
    question = open_boxes(context, 7).question
    before = read_tracks(studio.tasks[1]["annotations"][0]["result"], question).tracks
    after = list(shown(studio, context).values())
    assert [each.labels for each in after] == [("rat",), ("mouse",)]
    grid = studio_grid(read_timeline(film), fps)
    seen = np.unique(grid.shown)
    for was, now in zip(before, after, strict=True):
        one, other = at_pictures(was, grid)[seen, :4], at_pictures(now, grid)[seen, :4]
        assert (np.isnan(one) == np.isnan(other)).all()
        there = ~np.isnan(one[:, 0])
        assert iou(one[there], other[there]).min() >= 0.9
        # At its key frames to the hundredth of a pixel.
        frames = np.array([each.frame for each in now.keys])
        placed = np.array([[each.x, each.y, each.width, each.height] for each in now.keys])
        exact = at_pictures(was, grid)[grid.shown[frames - 1], :4]
        assert np.abs(exact - placed).max() * max(SIZE) / 100 < 0.03
    assert {each.id for each in after} == {"imported-track-1", "imported-track-2"}


def test_of_every_fifth_frame_the_boxes_between_are_drawn(
    project: Studio, context: JobContext, bring: Import, tmp_path: Path
) -> None:
    submit(project, 1, region("b", OTHER))
    out = tmp_path / "boxes.json"
    write_boxes(open_boxes(context, 7), out, "coco", BoxChoice(every=5), lambda text: lambda share: None)
    assert len(json.loads(out.read_text())["annotations"]) == 8
    bring(out)
    [track] = shown(project, context).values()
    assert [(each.frame, each.enabled) for each in track.keys] == [(3, True), (38, False)]
    # 16 of 37 frames on the way.
    at = track.boxes(np.array([19]))[0] / 100 * (WIDTH, HEIGHT, WIDTH, HEIGHT, 1)
    assert at[:2] == pytest.approx([(70 - 65 * 16 / 37) * 3.2, (10 + 50 * 16 / 37) * 1.8], abs=0.05)
