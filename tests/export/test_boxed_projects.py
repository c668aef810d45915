"""Boxes of a project as files: whose they are, in which form, and what is refused."""

from __future__ import annotations

import configparser
import errno
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from boxed_export_scene import (
    FOUND,
    WAY,
    Export,
    by_frame,
    context,
    expected,
    export,
    number_shown,
    project,
    redis,
    redis_settings,
    studio,
)
from boxed_project import WIDTH, boxed_project, key, numbered, region, submit
from studio import KEY, Studio

from ml_backend.errors import LabelConfigError, SettingsError, StorageError
from ml_backend.export import box_files
from ml_backend.export.box_files import BoxForm
from ml_backend.export.boxed_tasks import BoxChoice
from ml_backend.jobs.box_tracks import Drawn
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_boxes
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.projects import tracks
from ml_backend.projects.tracks import Made, StoredTrack, StoredTracks

__all__ = ["context", "export", "project", "redis", "redis_settings", "studio"]


class TestWhose:
    def test_a_persons_boxes_count_where_somebody_has_submitted_and_the_models_elsewhere(
        self, project: Studio, export: Export
    ) -> None:
        told = export("boxes.json")
        assert [(each["name"], each["task"]) for each in told["videos"]] == [("one.mp4", 1), ("two.mp4", 2)]
        assert [each["name"] for each in told["categories"]] == ["mouse", "rat"]
        mine, theirs = by_frame(told, 1), by_frame(told, 2)
        assert sorted(mine) == list(range(26))
        assert {(each["source"], each["label"], each["score"]) for of in mine.values() for each in of} == {
            ("human", "mouse", 1.0)
        }
        for frame, [box] in mine.items():
            assert box["bbox"] == pytest.approx(expected(frame + 1), abs=0.01)
        assert sorted(theirs) == list(range(4, 15))
        assert {(each["source"], each["label"], each["score"]) for of in theirs.values() for each in of} == {
            ("model", "rat", 0.7)
        }

    def test_ids_of_tracks_stay(self, project: Studio, export: Export) -> None:
        told = export("boxes.json")
        assert [(each["number"], each["region"], each["source"]) for each in told["tracks"]] == [
            (1, "byhand", "human"),
            (4, "coldblitz-track-4", "model"),
        ]
        assert {each["track_id"] for each in told["annotations"]} == {each["id"] for each in told["tracks"]}

    @pytest.mark.parametrize(
        ("choice", "videos"),
        [
            (BoxChoice(sources="human"), ["one.mp4"]),
            (BoxChoice(sources="model"), ["two.mp4"]),
            (BoxChoice(min_confidence=0.71), ["one.mp4"]),
            (BoxChoice(min_confidence=0.7), ["one.mp4", "two.mp4"]),
        ],
    )
    def test_sources_and_confidence(
        self, project: Studio, export: Export, choice: BoxChoice, videos: list[str]
    ) -> None:
        assert [each["name"] for each in export("boxes.json", choice=choice)["videos"]] == videos

    def test_of_several_annotations_the_ground_truth_counts_else_the_newest_and_never_a_skipped_one(
        self, project: Studio, export: Export
    ) -> None:
        moved = [key(3, 1, 1, 5, 5, on=False)]
        submit(project, 1, region("newer", moved), when="2026-02-02T12:00:00Z")
        submit(project, 1, region("skipped", FOUND), when="2026-02-03T12:00:00Z", was_cancelled=True)
        assert export("a.json")["tracks"][0]["region"] == "newer"
        project.tasks[1]["annotations"][0]["ground_truth"] = True
        assert export("b.json")["tracks"][0]["region"] == "byhand"

    def test_who_submits_no_box_says_that_there_is_none(self, project: Studio, export: Export) -> None:
        project.tasks[1]["annotations"] = []
        submit(project, 1)
        assert [each["name"] for each in export("boxes.json")["videos"]] == ["two.mp4"]

    def test_what_was_submitted_as_it_was_predicted_is_marked(self, project: Studio, export: Export) -> None:
        project.tasks[1]["annotations"] = []
        submit(project, 1, region("coldblitz-track-3", WAY, origin="prediction"), region("other", FOUND, None))
        told = export("boxes.json", choice=BoxChoice(sources="human"))
        assert [(each["number"], each["label"], each["untouched"]) for each in told["tracks"]] == [
            (3, "mouse", True),
            (4, "object", False),
        ]
        assert [each["name"] for each in told["categories"]] == ["mouse", "rat", "object"]

    def test_a_region_that_cannot_be_read_is_told_and_the_others_are_there(
        self, project: Studio, export: Export, tmp_path: Path
    ) -> None:
        project.tasks[1]["annotations"][0]["result"].append(region("broken", [{"frame": 3}]))
        told = export("folder")
        assert len(told["skipped"]) == 1
        assert "“broken” on “box” cannot be read" in told["skipped"][0]
        assert told["videos"] == 2

    def test_a_video_that_cannot_be_had_is_told_and_the_others_are_there(self, project: Studio, export: Export) -> None:
        del project.files["1.mp4"]
        told = export("folder")
        assert told["videos"] == 1
        assert told["skipped"][0].startswith("Task 1 is left out: ")


class TestDrawnBox:
    """A box that somebody has drawn at one frame; Label Studio shows it to the end of the video."""

    DRAWN = region("drawn", [key(10, 20, 20, 10, 10)], "rat")

    @pytest.fixture
    def drawn(self, project: Studio) -> Studio:
        project.tasks[1]["annotations"] = []
        submit(project, 1, self.DRAWN)
        return project

    def follow(self, context: JobContext, framerate: float = 25.0) -> None:
        question = parse_label_config(str(context.studio.projects.get(7).label_config)).tracks[0]
        [own] = read_tracks([self.DRAWN], question).tracks
        mark = Drawn("box", own, None).mark
        keys = ((5, 15.0, 20.0, 10.0, 10.0, True), (20, 30.0, 20.0, 10.0, 10.0, False))
        found = StoredTrack(2, "box", keys, 0.6, "rat", mark)
        kept = StoredTracks(Made(), (found,), {"box": (50, 2.0, framerate)}, 2)
        tracks.save(context.settings.data_dir, KEY, 1, kept)

    def test_means_its_frame(self, drawn: Studio, export: Export) -> None:
        told = by_frame(export("boxes.json"))
        assert list(told) == [9]
        assert told[9][0]["source"] == "human"

    def test_is_the_track_that_follows_it_where_there_is_one(
        self, drawn: Studio, export: Export, context: JobContext
    ) -> None:
        self.follow(context)
        told = export("boxes.json")
        found = by_frame(told)
        assert sorted(found) == list(range(4, 20))
        assert {frame for frame, [box] in found.items() if box["source"] == "human"} == {9}
        assert found[9][0]["bbox"] == pytest.approx([64, 36, 32, 18])
        assert found[10][0]["score"] == 0.6
        assert next((each["number"], each["region"], each["label"]) for each in told["tracks"]) == (2, "drawn", "rat")

    def test_of_a_person_alone_it_still_means_its_frame(
        self, drawn: Studio, export: Export, context: JobContext
    ) -> None:
        self.follow(context)
        assert list(by_frame(export("boxes.json", choice=BoxChoice(sources="human")))) == [9]

    def test_a_track_that_was_counted_at_another_rate_does_not_stand_for_it(
        self, drawn: Studio, export: Export, context: JobContext
    ) -> None:
        self.follow(context, framerate=30.0)
        assert list(by_frame(export("boxes.json"))) == [9]

    def test_it_takes_the_place_of_what_was_found_of_the_same_object_but_not_of_what_a_person_changed(
        self, drawn: Studio, export: Export, context: JobContext
    ) -> None:
        self.follow(context)
        drawn.tasks[1]["annotations"] = []
        submit(drawn, 1, region("coldblitz-track-2", WAY, origin="prediction"), self.DRAWN)
        assert [each["region"] for each in export("a.json")["tracks"] if each["video_id"] == 1] == ["drawn"]
        drawn.tasks[1]["annotations"] = []
        submit(drawn, 1, region("coldblitz-track-2", WAY), self.DRAWN)
        told = export("b.json")
        assert [(each["number"], each["region"]) for each in told["tracks"] if each["video_id"] == 1] == [
            (2, "coldblitz-track-2"),
            (3, "drawn"),
        ]


class TestForms:
    def test_coco_with_pictures_a_card_and_a_file_for_each_part(
        self, project: Studio, export: Export, tmp_path: Path
    ) -> None:
        project.files["2.mp4"] = numbered(tmp_path / "other.mp4", 40)
        told = export("set", choice=BoxChoice(every=5, shares=(0.6, 0.4, 0.0)), license="cc-by-4.0")
        out = tmp_path / "out" / "set"
        parts = {name: json.loads((out / f"{name}.json").read_text()) for name in ("train", "val")}
        assert [parts[name]["videos"][0]["name"] for name in parts] == ["one.mp4", "two.mp4"]
        names = {image["file_name"] for each in parts.values() for image in each["images"]}
        assert names == {path.name for path in (out / "images").iterdir()}
        assert "one_task1_frame000005.jpg" in names
        card = json.loads((out / "dataset.json").read_text())
        assert card["license"] == "cc-by-4.0"
        assert card["counts"] == told["counts"] == {"train": {"mouse": 6}, "val": {"rat": 3}}
        assert [(each["source"], each["annotator"], each["version"]) for each in card["tasks"]] == [
            ("human", 3, None),
            ("model", None, "keyframes-v1"),
        ]
        assert "License: cc-by-4.0" in (out / "README.md").read_text()

    def test_annotations_alone_are_those_beside_the_pictures(
        self, project: Studio, export: Export, tmp_path: Path
    ) -> None:
        alone = export("boxes.json")
        export("set")
        beside = json.loads((tmp_path / "out" / "set" / "annotations.json").read_text())
        for name in ("images", "annotations", "tracks", "videos", "categories"):
            assert alone[name] == beside[name]

    def test_frames_of_a_damaged_end_are_none_of_either(self, project: Studio, export: Export, tmp_path: Path) -> None:
        project.files["1.mp4"] = tmp_path / "broken.mp4"
        content = bytearray((tmp_path / "film.mp4").read_bytes())
        # The samples come first in the file: what is zero does not decode.
        at = content.index(b"mdat")
        size = int.from_bytes(content[at - 4 : at], "big")
        content[at + size // 3 : at + size - 16] = bytes(size - size // 3 - 16)
        (tmp_path / "broken.mp4").write_bytes(content)
        alone = export("boxes.json", choice=BoxChoice(sources="human"))
        export("set", choice=BoxChoice(sources="human"))
        beside = json.loads((tmp_path / "out" / "set" / "annotations.json").read_text())
        assert alone["images"] == beside["images"]
        assert 0 < len(alone["images"]) < 26

    def test_yolo(self, project: Studio, export: Export, tmp_path: Path) -> None:
        project.files["2.mp4"] = numbered(tmp_path / "other.mp4", 40)
        export("set", "yolo", BoxChoice(every=5, shares=(0.6, 0.4, 0.0)))
        out = tmp_path / "out" / "set"
        data = yaml.safe_load((out / "data.yaml").read_text())
        assert (data["train"], data["val"], data["names"]) == ("images/train", "images/val", {0: "mouse", 1: "rat"})
        [picture] = (out / "images" / "val").glob("*000009.jpg")
        assert number_shown(picture) == 9
        number, x, y, width, height = map(float, (out / "labels" / "val" / f"{picture.stem}.txt").read_text().split())
        assert (number, width, height) == (1, 0.1, 0.2)
        assert (x, y) == pytest.approx((0.5, 0.6))
        for part in ("train", "val"):
            pictures, labels = ({path.stem for path in (out / name / part).iterdir()} for name in ("images", "labels"))
            assert pictures == labels

    def test_mot_has_the_boxes_of_all_frames_and_the_pictures_that_are_asked_for(
        self, project: Studio, export: Export, tmp_path: Path
    ) -> None:
        export("set", "mot", BoxChoice(every=5))
        folder = tmp_path / "out" / "set" / "two_task2"
        rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
        assert rows[:, 0].tolist() == list(range(5, 16))
        assert set(rows[:, 1]) == {4}
        assert [path.name for path in sorted((folder / "img1").iterdir())] == ["000005.jpg", "000010.jpg", "000015.jpg"]
        assert number_shown(folder / "img1" / "000010.jpg") == 9
        sequence = configparser.ConfigParser()
        sequence.read(folder / "seqinfo.ini")
        assert (sequence.getint("Sequence", "seqLength"), sequence.getint("Sequence", "imWidth")) == (50, WIDTH)

    def test_crops_show_what_is_in_the_box_in_a_folder_of_its_label(
        self, project: Studio, export: Export, tmp_path: Path
    ) -> None:
        told = export("set", "crops", BoxChoice(key_frames=True))
        out = tmp_path / "out" / "set"
        assert {str(path.relative_to(out)) for path in out.rglob("*.jpg")} == {
            "mouse/one_task1_frame000000_track1.jpg",
            "mouse/one_task1_frame000025_track1.jpg",
            "rat/two_task2_frame000004_track4.jpg",
            "rat/two_task2_frame000014_track4.jpg",
        }
        assert told["counts"] == {"": {"mouse": 2, "rat": 2}}
        crop = cv2.imread(str(out / "mouse" / "one_task1_frame000000_track1.jpg"))
        assert crop is not None
        assert crop.shape == (36, 64, 3)
        export("whole", "coco", BoxChoice(key_frames=True))
        whole = cv2.imread(str(tmp_path / "out" / "whole" / "images" / "one_task1_frame000000.jpg"))
        assert whole is not None
        assert np.abs(whole[18:54, 32:96].astype(int) - crop).mean() < 2

    def test_a_preview_writes_nothing(self, project: Studio, export: Export, tmp_path: Path) -> None:
        told = export("set", preview=True)
        assert (told["videos"], told["frames"], told["tree"]) == (2, 37, ["one.mp4  26", "two.mp4  11"])
        assert not (tmp_path / "out").exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "form", "choice", "said"),
        [
            ("set.zip", "coco", BoxChoice(), "not written to a .zip file"),
            ("set.json", "yolo", BoxChoice(), "Boxes as yolo are not written to a .json file"),
            ("boxes.json", "coco", BoxChoice(shares=(0.5, 0.5, 0)), "--split needs a file for each part"),
            ("set", "coco", BoxChoice(every=2, key_frames=True), "two ways to take frames"),
            ("set", "coco", BoxChoice(min_confidence=0.8, sources="model"), "No box matches"),
            ("set", "coco", BoxChoice(shares=(0.4, 0.3, 0.3)), "1 video cannot be split into 3 parts"),
        ],
    )
    def test_before_anything_is_written(
        self, project: Studio, export: Export, tmp_path: Path, name: str, form: BoxForm, choice: BoxChoice, said: str
    ) -> None:
        with pytest.raises(SettingsError, match=said):
            export(name, form, choice)
        assert not (tmp_path / "out").exists()

    def test_what_is_there(self, project: Studio, export: Export) -> None:
        export("set")
        with pytest.raises(SettingsError, match="already exists"):
            export("set")

    def test_a_project_without_boxes_and_a_control_that_there_is_not(self, studio: Studio, context: JobContext) -> None:
        with pytest.raises(LabelConfigError, match="no <VideoRectangle>"):
            open_boxes(context, 7)
        boxed_project(studio)
        with pytest.raises(SettingsError, match="no boxes called “who”"):
            open_boxes(context, 7, "who")

    def test_a_full_disk_in_the_middle_leaves_nothing_and_says_so(
        self, project: Studio, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = box_files._Files.write
        calls = []

        def full(files: box_files._Files, path: Path, content: bytes) -> None:
            calls.append(path)
            if len(calls) > 30:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(files, path, content)

        monkeypatch.setattr(box_files._Files, "write", full)
        with pytest.raises(StorageError, match=r"No space left on device.*Free up disk space"):
            export("set")
        assert list((tmp_path / "out").iterdir()) == []
