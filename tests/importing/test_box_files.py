"""Boxes and keypoints as other programs write them, read as tracks of frame indices; what is wrong with a file is said in one
sentence, with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_backend.errors import SettingsError
from ml_backend.importing.found_boxes import MOST_BYTES, FoundVideo
from ml_backend.importing.import_boxes import read_boxes
from ml_backend.importing.keypoints import Boxing

DEEPLABCUT = """scorer,net,net,net,net,net,net
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,10.0,20.0,0.9,50.0,40.0,0.99
1,11.0,20.0,0.9,51.0,40.0,0.2
2,12.0,20.0,0.9,52.0,40.0,0.8
"""
SEVERAL = """scorer,net,net,net,net,net,net,net,net,net,net,net,net
individuals,one,one,one,one,one,one,two,two,two,two,two,two
bodyparts,nose,nose,nose,tail,tail,tail,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood
0,10,20,1,50,40,1,100,100,1,120,110,1
1,11,20,1,51,40,1,,,,,,
"""
SLEAP = """track,frame_idx,instance.score,nose.x,nose.y,nose.score,tail.x,tail.y,tail.score
mouse_a,0,0.9,10,20,0.9,50,40,0.9
mouse_b,0,0.9,100,100,0.9,120,110,0.9
mouse_a,1,0.9,11,20,0.9,51,40,0.9
"""


def read(path: Path, text: str | bytes, **boxing: float) -> list[FoundVideo]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_boxes(path, Boxing(**boxing))


def coco(**more: Any) -> dict[str, Any]:
    image = {"id": 1, "file_name": "a.jpg", "width": 320, "height": 180, "video": "film.mp4", "frame": 4}
    box = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 20, 30, 40], "track_id": 7, "score": 0.5}
    return {"images": [image], "annotations": [box], "categories": [{"id": 2, "name": "mouse"}], **more}


class TestMot:
    def test_ground_truth_counts_frames_and_pixels_from_1(self, tmp_path: Path) -> None:
        (tmp_path / "day" / "gt").mkdir(parents=True)
        (tmp_path / "day" / "gt" / "labels.txt").write_text("mouse\nrat\n")
        (tmp_path / "day" / "seqinfo.ini").write_text("[Sequence]\nname=day one\nimWidth=320\nimHeight=180\n")
        rows = "3,2,11,21,30,40,1,2,1\n1,2,11,21,30,40,1,2,1\n2,5,1,1,5,5,0,1,1\n"
        [video] = read(tmp_path / "day" / "gt" / "gt.txt", rows)
        assert (video.names, video.size) == (("day one", "day"), (320, 180))
        [track] = video.tracks
        assert (track.number, track.label, track.frames.tolist()) == (2, "rat", [0, 2])
        assert track.boxes[0].tolist() == [10, 20, 30, 40]

    def test_detections_are_objects_of_one_frame(self, tmp_path: Path) -> None:
        rows = "1,-1,11,21,30,40,0.9,-1,-1,-1\n2,-1,11,21,30,40,0.4,-1,-1,-1\n"
        [video] = read(tmp_path / "film.txt", rows)
        assert video.names == ("film",)
        assert [(each.number, each.frames.tolist(), each.label, each.score) for each in video.tracks] == [
            (1, [0], None, 0.9),
            (2, [1], None, 0.4),
        ]

    def test_tracks_from_0_and_other_spaces(self, tmp_path: Path) -> None:
        [video] = read(
            tmp_path / "film.txt", "\ufeff1 0 11 21 30 40 33.5 -1 -1 -1\r\n\r\n1 1 11 21 30 40 33.5 -1 -1 -1\r\n"
        )
        assert [(each.number, each.score) for each in video.tracks] == [(1, None), (2, None)]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("1,2,3\n", "line 1 is no line of MOT"),
            ("frame,id,x,y,w,h\n", "line 1 is no line of MOT"),
            ("1,1,5,5,5,5,1,1,1\n2,1,nan,5,5,5,1,1,1\n", "line 2 has a number that is not finite"),
            ("0,1,5,5,5,5,1,1,1\n", "line 1 has frame 0, and frames count from 1"),
            ("1,1,5,5,-5,5,1,1,1\n", "the box in line 1 has no size"),
            ("1e300,1,5,5,5,5\n", "line 1 has frame 1e+300, and frames count from 1"),
            ("1,1.7,5,5,5,5\n2,1.2,5,5,5,5\n", "line 1 has track 1.7, and tracks are whole numbers"),
            ("1,1e300,5,5,5,5\n", "line 1 has track 1e+300, and tracks are whole numbers"),
            ("1,1,5,5,5,5,1,1e300,1\n", "line 1 has class 1e+300, and classes are whole numbers"),
            ("1,1,5,5,5,5,1,1.5,1\n", "line 1 has class 1.5, and classes are whole numbers"),
            ("4,1,5,5,5,5\n2,1,5,5,5,5\n4,1,6,5,5,5\n", "track 1 has two boxes in frame 4 (line 3)"),
            (b"1,1,5,5,5,5\n\xff\xfe\x81", "is not UTF-8 text (line 2)"),
            (b"\0\0\0\0", "is not a text file"),
        ],
    )
    def test_what_is_wrong(self, tmp_path: Path, text: str | bytes, said: str) -> None:
        with pytest.raises(SettingsError) as raised:
            read(tmp_path / "film.txt", text)
        assert said in raised.value.message

    def test_utf_16_as_spreadsheets_write_it(self, tmp_path: Path) -> None:
        [video] = read(tmp_path / "film.txt", "1,1,5,5,5,5\n".encode("utf-16"))
        assert len(video.tracks) == 1


class TestCoco:
    def test_one_of_ours(self, tmp_path: Path) -> None:
        [video] = read(tmp_path / "boxes.json", json.dumps(coco(tracks=[{"id": 7, "number": 3}])))
        [track] = video.tracks
        assert (video.names, video.size) == (("film.mp4",), (320, 180))
        assert (track.number, track.label, track.score, track.frames.tolist()) == (3, "mouse", 0.5, [4])
        assert track.boxes.tolist() == [[10, 20, 30, 40]]

    def test_one_with_a_list_of_videos_and_tracks_that_are_texts(self, tmp_path: Path) -> None:
        told = coco(videos=[{"id": 9, "file_name": "films/film.mp4"}])
        told["images"][0] = {"id": 1, "video_id": 9, "frame_id": 0, "width": 320, "height": 180}
        told["annotations"][0]["track_id"] = "b"
        told["annotations"].append({**told["annotations"][0], "id": 2, "track_id": "a"})
        [video] = read(tmp_path / "boxes.json", json.dumps(told))
        assert video.names == ("film.mp4", "films/film.mp4")
        assert [each.number for each in video.tracks] == [1, 2]

    def test_without_tracks_each_box_is_an_object_of_one_frame(self, tmp_path: Path) -> None:
        told = coco()
        told["images"][0] = {"id": 1, "file_name": "film_task3_frame000012.jpg", "width": 320, "height": 180}
        del told["annotations"][0]["track_id"]
        told["annotations"].append({**told["annotations"][0], "id": 2})
        [video] = read(tmp_path / "boxes.json", json.dumps(told))
        assert video.names == ("film_task3",)
        assert [(each.number, each.frames.tolist()) for each in video.tracks] == [(1, [12]), (2, [12])]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda told: told.pop("images"), "it has no images, annotations and categories"),
            (lambda told: told["annotations"][0].update(bbox=[1, 2, 3]), "the box of annotation 1 is not four finite"),
            (lambda told: told["annotations"][0].update(bbox=[1, float("nan"), 3, 4]), "is not four finite numbers"),
            (lambda told: told["annotations"][0].update(bbox=[1, 2, 0, 4]), "the box of annotation 1 has no size"),
            (
                lambda told: told["annotations"][0].update(bbox=[1, 10**400, 3, 4]),
                "annotation 1 is not four finite numbers",
            ),
            (lambda told: told["annotations"][0].update(score=10**400), "the score of annotation 1 is not a finite"),
            (
                lambda told: told["annotations"][0].update(score=float("nan")),
                "the score of annotation 1 is not a finite",
            ),
            (lambda told: told["annotations"][0].update(image_id=[1]), "the image_id of annotation 1 is neither a"),
            (
                lambda told: told["annotations"][0].update(category_id={"a": 1}),
                "the category_id of annotation 1 is neither",
            ),
            (lambda told: told["images"][0].update(id=[1]), "the id of image 0, counted from 0, is neither a number"),
            (lambda told: told["images"][0].update(video_id=[1]), "the video_id of image 1 is neither a number"),
            (lambda told: told["categories"][0].update(id=[2]), "the id of a category is neither a number"),
            (lambda told: told.update(videos=[{"id": {}}]), "the id of a video is neither a number"),
            (lambda told: told.update(tracks=[{"id": [], "number": 1}]), "the id of a track is neither a number"),
            (lambda told: told["categories"][0].update(name=None), "category 2 has no name"),
            (lambda told: told["categories"][0].update(name=["mouse"]), "category 2 has no name"),
            (lambda told: told["annotations"][0].update(image_id=5), "is about image 5, which there is not"),
            (lambda told: told["annotations"][0].update(category_id=5), "of a category that there is not"),
            (lambda told: told["annotations"].append(dict(told["annotations"][0])), "two boxes in frame 4 of film.mp4"),
            (lambda told: told["images"][0].pop("frame"), "image 1 does not say which frame"),
            (lambda told: told["images"][0].update(frame=-1), "image 1 does not say which frame"),
            (lambda told: told["images"][0].pop("width"), "image 1 has no width and height"),
            (lambda told: told["images"].append({**told["images"][0], "id": 2}), "images 1 and 2 are the same frame"),
            (lambda told: told["images"].append({**told["images"][0], "frame": 7}), "two images have the id 1"),
            (
                lambda told: told["images"].append({**told["images"][0], "id": 2, "frame": 5, "width": 9}),
                "the images of film.mp4 have several sizes",
            ),
        ],
    )
    def test_what_is_wrong(self, tmp_path: Path, change: Any, said: str) -> None:
        told = coco()
        change(told)
        with pytest.raises(SettingsError) as raised:
            read(tmp_path / "boxes.json", json.dumps(told))
        assert said in raised.value.message

    def test_a_number_of_any_length_is_told_shortly(self, tmp_path: Path) -> None:
        told = coco()
        told["annotations"][0].update(id=10**400, image_id=10**400)
        with pytest.raises(SettingsError) as raised:
            read(tmp_path / "a.json", json.dumps(told))
        assert len(raised.value.message) < 200 + len(str(tmp_path))

    def test_two_videos_of_one_name_are_told_apart_by_their_number(self, tmp_path: Path) -> None:
        told = coco(videos=[{"id": n, "name": "film.mp4", "task": 30 + n} for n in (1, 2)])
        first = {**told["images"][0], "video_id": 1}
        told["images"] = [first, {**first, "id": 2, "video_id": 2}]
        told["annotations"].append({**told["annotations"][0], "id": 2, "image_id": 2, "track_id": 8})
        videos = read(tmp_path / "boxes.json", json.dumps(told))
        assert [(each.names, each.task, len(each.tracks)) for each in videos] == [
            (("film.mp4",), 31, 1),
            (("film.mp4",), 32, 1),
        ]
        told["images"][1]["video_id"] = 1
        with pytest.raises(SettingsError, match="images 1 and 2 are the same frame"):
            read(tmp_path / "boxes.json", json.dumps(told))

    @pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
    def test_what_is_no_json_of_boxes(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(SettingsError, match="is not imported"):
            read(tmp_path / "boxes.json", text)


class TestKeypoints:
    def test_deeplabcut_has_a_box_around_the_points_that_are_sure(self, tmp_path: Path) -> None:
        [video] = read(tmp_path / "dayDLC_resnet50_mouseAug1shuffle1_1000.csv", DEEPLABCUT)
        assert video.names[0] == "day"
        [track] = video.tracks
        assert track.frames.tolist() == [0, 2]
        # From 10, 20 to 50, 40, and a tenth of 40 on each side.
        assert track.boxes[0].tolist() == pytest.approx([6, 16, 48, 28])

    def test_several_individuals_are_several_objects(self, tmp_path: Path) -> None:
        [video] = read(tmp_path / "dayDLC_x.csv", SEVERAL, margin=0.0)
        assert [(each.number, each.label, each.frames.tolist()) for each in video.tracks] == [
            (1, "one", [0, 1]),
            (2, "two", [0]),
        ]
        assert video.tracks[1].boxes.tolist() == [[100, 100, 20, 10]]

    def test_sleap(self, tmp_path: Path) -> None:
        [video] = read(tmp_path / "labels.000_day.analysis.csv", SLEAP, margin=0.0)
        assert video.names[0] == "day"
        assert [(each.label, each.frames.tolist()) for each in video.tracks] == [("mouse_a", [0, 1]), ("mouse_b", [0])]
        assert np.allclose(video.tracks[0].boxes, [[10, 20, 40, 20], [11, 20, 40, 20]])

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a,b\n1,2\n", "neither DeepLabCut's (scorer, …) nor SLEAP's"),
            ("", "neither DeepLabCut's"),
            (DEEPLABCUT + "2,1,1,1,1,1,1\n", "frame 2 is there twice (line 7)"),
            (
                DEEPLABCUT + "labeled-data/img1.png,1,1,1,1,1,1\n",
                "begins with 'labeled-data/img1.png', which is no frame",
            ),
            (DEEPLABCUT + "1e300,1,1,1,1,1,1\n", "line 7 begins with '1e300', which is no frame"),
            (DEEPLABCUT + "3,here,1,1,1,1,1\n", "line 7 has 'here' where a number belongs"),
            (DEEPLABCUT.replace("coords,x,y", "coords,x,z"), "a body part has no x and y"),
            (DEEPLABCUT.replace("bodyparts", "parts"), "its head has no bodyparts and coords"),
            (SLEAP + "mouse_a,1,1,1,1,1,1,1,1\n", "track mouse_a is there twice in frame 1 (line 5)"),
            (SLEAP.replace("mouse_a", "").replace("mouse_b", ""), "frame 0 has several animals without a track"),
        ],
    )
    def test_what_is_wrong(self, tmp_path: Path, text: str, said: str) -> None:
        with pytest.raises(SettingsError) as raised:
            read(tmp_path / "day.csv", text)
        assert said in raised.value.message


@pytest.mark.parametrize("name", ["day.h5", "day.hdf5", "labels.slp", "full.pickle", "boxes.xml", "boxes"])
def test_what_is_not_read_says_what_to_export_instead(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is not imported"):
        read(tmp_path / name, b"\x89HDF")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "film.txt").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(SettingsError, match="and at most 500 MB are read"):
        read_boxes(tmp_path / "film.txt", Boxing())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("none.txt", "none.csv", "none.json"):
        with pytest.raises(SettingsError, match=r"cannot be read \(No such file"):
            read_boxes(tmp_path / name, Boxing())
