"""Boxes in the words of COCO, YOLO and the MOT challenge: ids that refer to what is there, and numbers rounded as they say."""

from __future__ import annotations

import pytest
import yaml

from ml_backend.export.box_formats import (
    Box,
    BoxedFrame,
    BoxedVideo,
    coco,
    mot_lines,
    mot_sequence,
    yolo_data,
    yolo_lines,
)

LABELS = ("cat", "dog")
BOX = Box(1, "dog", 0.87654, 10.126, 20.004, 30.501, 40.333)
WHOLE = Box(3, "cat", 1.0, 0.0, 0.0, 201.0, 100.0)


def frame(index: int, *boxes: Box) -> BoxedFrame:
    return BoxedFrame(f"film_frame{index:06d}.jpg", index, index / 3, 201, 100, boxes)


def video(name: str, *frames: BoxedFrame) -> BoxedVideo:
    return BoxedVideo(name, 29.97002997, 300, {1: 0.5, 3: 0.71239}, frames)


class TestCoco:
    def test_ids_refer_to_what_is_there_and_count_from_1(self) -> None:
        told = coco([video("a", frame(0, BOX), frame(9)), video("b", frame(4, WHOLE, BOX))], LABELS, {"year": 2026})
        assert [image["id"] for image in told["images"]] == [1, 2, 3]
        assert [image["video_id"] for image in told["images"]] == [1, 1, 2]
        assert [each["id"] for each in told["annotations"]] == [1, 2, 3]
        assert [each["image_id"] for each in told["annotations"]] == [1, 3, 3]
        assert [each["category_id"] for each in told["annotations"]] == [2, 1, 2]
        assert [(each["id"], each["name"]) for each in told["categories"]] == [(1, "cat"), (2, "dog")]
        assert told["info"] == {"year": 2026}

    def test_a_track_has_a_number_of_its_own_in_the_whole_file(self) -> None:
        told = coco([video("a", frame(0, BOX)), video("b", frame(4, WHOLE, BOX))], LABELS, {})
        assert [each["track_id"] for each in told["annotations"]] == [1, 6, 4]
        assert [(each["id"], each["video_id"], each["score"]) for each in told["tracks"]] == [
            (1, 1, 0.5),
            (3, 1, 0.7124),
            (4, 2, 0.5),
            (6, 2, 0.7124),
        ]

    def test_edges_are_rounded_to_hundredths_and_the_area_is_that_of_the_box(self) -> None:
        told = coco([video("a", frame(1, BOX, WHOLE))], LABELS, {})
        one, other = told["annotations"]
        # 10.126 + 30.501 = 40.627, 20.004 + 40.333 = 60.337
        assert one["bbox"] == [10.13, 20.0, 30.5, 40.34]
        assert one["area"] == 1230.37
        assert (one["iscrowd"], one["score"]) == (0, 0.8765)
        assert other["bbox"] == [0, 0, 201, 100]
        assert told["images"][0]["seconds"] == 0.333333

    def test_without_videos_there_is_an_empty_file(self) -> None:
        told = coco([], LABELS, {})
        assert told["images"] == told["annotations"] == told["videos"] == told["tracks"] == []
        assert len(told["categories"]) == 2

    def test_a_label_that_is_none_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="not in"):
            coco([video("a", frame(0, BOX))], ("cat",), {})


class TestYolo:
    def test_a_line_has_the_class_and_the_middle_in_shares(self) -> None:
        assert yolo_lines(frame(0, BOX, WHOLE), LABELS) == (
            "1 0.126251 0.401705 0.151746 0.403330\n0 0.500000 0.500000 1.000000 1.000000\n"
        )

    def test_a_picture_without_boxes_has_an_empty_file(self) -> None:
        assert yolo_lines(frame(0), LABELS) == ""

    @pytest.mark.parametrize("label", ["cat", "Maus: grau", '"x"', "yes", "# 1", "ねずみ", "12"])
    def test_any_name_comes_back_from_yaml(self, label: str) -> None:
        told = yaml.safe_load(yolo_data([label, "dog"]))
        assert told == {"train": "images", "val": "images", "nc": 2, "names": {0: label, 1: "dog"}}


class TestMot:
    def test_a_line_counts_from_1(self) -> None:
        assert mot_lines([frame(0, BOX), frame(7, WHOLE)], LABELS) == (
            "1,1,11.13,21.00,30.50,40.34,1,2,1\n8,3,1.00,1.00,201.00,100.00,1,1,1\n"
        )

    def test_the_sequence_says_its_size(self) -> None:
        told = mot_sequence(video("a b.mp4"), "a_b", 201, 100).splitlines()
        assert told[0] == "[Sequence]"
        assert {"name=a_b", "frameRate=29.97", "seqLength=300", "imWidth=201", "imHeight=100"} <= set(told)
