"""From encoded videos to files with boxes: on the subject, in pixels of the picture as it is shown, and in the right picture."""

from __future__ import annotations

import configparser
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import yaml
from boxed_film import BoxedFilm, boxed_film, turn
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.export.box_frames import FrameChoice
from ml_backend.export.pseudo_labels import Job, VideoReport, pseudo_label
from ml_backend.objects.boxes import iou
from ml_backend.objects.detector import Limits


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> BoxedFilm:
    return boxed_film(tmp_path_factory.mktemp("film") / "ball.mp4")


def run(job: Job, *films: BoxedFilm | Path) -> list[VideoReport]:
    paths = [film.path if isinstance(film, BoxedFilm) else film for film in films]
    return pseudo_label(paths, job, lambda text, total: lambda done: None)


def read(path: Path) -> dict[str, Any]:
    """COCO JSON, held against what its readers rely on."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    images = {each["id"]: each for each in told["images"]}
    categories = {each["id"] for each in told["categories"]}
    assert len(images) == len(told["images"])
    assert len({each["file_name"] for each in told["images"]}) == len(images)
    assert len({each["id"] for each in told["annotations"]}) == len(told["annotations"])
    tracks, videos = ({each["id"] for each in told[name]} for name in ("tracks", "videos"))
    for image in images.values():
        assert image["video_id"] in videos
    for each in told["annotations"]:
        image = images[each["image_id"]]
        left, top, width, height = each["bbox"]
        assert each["category_id"] in categories
        assert each["track_id"] in tracks
        assert each["iscrowd"] == 0
        assert left >= 0
        assert top >= 0
        assert width > 0
        assert height > 0
        assert left + width <= image["width"] + 1e-6
        assert top + height <= image["height"] + 1e-6
        assert each["area"] == pytest.approx(width * height, abs=0.01)
        assert 0 <= each["score"] <= 1
    return told


def boxes_by_frame(told: dict[str, Any]) -> dict[int, NDArray[np.float64]]:
    frames = {each["id"]: each["frame"] for each in told["images"]}
    return {frames[each["image_id"]]: np.array(each["bbox"]) for each in told["annotations"]}


def red_box(path: Path) -> NDArray[np.float64]:
    """Where the ball is in a picture, by its color."""
    blue, green, red = cv2.split(cv2.GaussianBlur(np.asarray(cv2.imread(str(path))), (0, 0), 2).astype(int))
    ys, xs = np.nonzero(red - (blue + green) // 2 > 70)
    return np.array([xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1], np.float64)


def test_boxes_are_on_the_ball_in_its_own_picture(film: BoxedFilm, tmp_path: Path) -> None:
    job = Job(
        tmp_path / "coco.json", choice=FrameChoice(every=10), images=tmp_path / "images", drawn=tmp_path / "drawn"
    )
    [report] = run(job, film)
    told = read(tmp_path / "coco.json")
    found = boxes_by_frame(told)
    assert report == VideoReport("ball.mp4", 15, 15, 1, 15, {})
    assert [image["frame"] for image in told["images"]] == list(range(0, 150, 10))
    assert told["images"][3]["seconds"] == pytest.approx(30 / 25)
    assert told["videos"] == [{"id": 1, "name": "ball.mp4", "frames": 150, "frame_rate": 25.0}]
    assert min(iou(box, film.boxes[frame]) for frame, box in found.items()) > 0.8
    for image in told["images"]:
        picture = cv2.imread(str(tmp_path / "images" / image["file_name"]))
        assert picture is not None
        assert picture.shape == (image["height"], image["width"], 3) == (270, 480, 3)
        assert iou(red_box(tmp_path / "images" / image["file_name"]), film.boxes[image["frame"]]) > 0.8
        drawn = cv2.imread(str(tmp_path / "drawn" / image["file_name"]))
        assert drawn is not None
        assert drawn.shape == picture.shape
        assert np.abs(drawn.astype(int) - picture).max() > 100
    assert len(list((tmp_path / "images").glob("*.jpg"))) == len(list((tmp_path / "drawn").glob("*.jpg"))) == 15


def test_key_frames_of_the_tracks_instead(film: BoxedFilm, tmp_path: Path) -> None:
    [report] = run(Job(tmp_path / "coco.json", choice=FrameChoice(key_frames=True)), film)
    found = boxes_by_frame(read(tmp_path / "coco.json"))
    assert 2 <= report.frames == report.boxes < 30
    assert all(frame % 5 == 0 for frame in found)
    assert min(iou(box, film.boxes[frame]) for frame, box in found.items()) > 0.8


def test_class_and_size_decide(film: BoxedFilm, tmp_path: Path) -> None:
    """The ball has 2.9 percent of the picture."""
    job = Job(tmp_path / "a.json", limits=Limits(smallest=2, largest=4, labels={"object": "Kugel rot"}))
    assert run(job, film)[0].boxes > 3
    assert [each["name"] for each in read(tmp_path / "a.json")["categories"]] == ["Kugel rot"]
    for name, limits in [("b", Limits(smallest=4)), ("c", Limits(largest=2)), ("d", Limits(least_score=1.0))]:
        assert run(Job(tmp_path / f"{name}.json", limits=limits), film)[0].boxes == 0


def test_where_nothing_moves_there_is_one_picture_without_boxes(tmp_path: Path) -> None:
    still = boxed_film(tmp_path / "still.mp4", moving=False)
    [report] = run(Job(tmp_path / "coco.json"), still)
    told = read(tmp_path / "coco.json")
    assert (len(told["images"]), told["annotations"], told["tracks"]) == (1, [], [])
    assert (report.tracks, report.considered) == (0, 6)
    assert sum((report.left_out or {}).values()) == 5
    [report] = run(Job(tmp_path / "boxed.json", choice=FrameChoice(boxed_only=True)), still)
    assert report.frames == 0


def test_blurred_and_dark_frames_are_left_out(tmp_path: Path) -> None:
    blurred, dark = range(48, 54), range(98, 104)
    bad = boxed_film(tmp_path / "bad.mp4", blurred=blurred, dark=dark)
    choice = FrameChoice(every=5, near=0)
    [report] = run(Job(tmp_path / "good.json", choice=choice), bad)
    frames = {image["frame"] for image in read(tmp_path / "good.json")["images"]}
    assert not frames & {50, 100}
    assert len(frames) >= 26
    assert (report.left_out or {}).get("blurred") == 1
    [report] = run(Job(tmp_path / "all.json", choice=replace(choice, good_only=False)), bad)
    assert (report.frames, report.left_out) == (30, {})


@pytest.mark.parametrize("size", [(481, 271), (320, 481)])
def test_odd_sides(tmp_path: Path, size: tuple[int, int]) -> None:
    odd = boxed_film(tmp_path / "odd.webm", size)
    run(Job(tmp_path / "coco.json", images=tmp_path / "images"), odd)
    told = read(tmp_path / "coco.json")
    assert {(image["width"], image["height"]) for image in told["images"]} == {size}
    picture = cv2.imread(str(tmp_path / "images" / told["images"][0]["file_name"]))
    assert picture is not None
    assert picture.shape == (size[1], size[0], 3)
    assert min(iou(box, odd.boxes[frame]) for frame, box in boxes_by_frame(told).items()) > 0.8


def test_a_video_that_is_shown_turned_has_boxes_where_the_ball_is_shown(tmp_path: Path) -> None:
    phone = boxed_film(tmp_path / "phone.mp4")
    turn(phone.path)
    run(Job(tmp_path / "coco.json", images=tmp_path / "images"), phone)
    told = read(tmp_path / "coco.json")
    files = {image["frame"]: image["file_name"] for image in told["images"]}
    assert {(image["width"], image["height"]) for image in told["images"]} == {(270, 480)}
    for frame, box in boxes_by_frame(told).items():
        left, top, width, height = phone.boxes[frame]
        shown = np.array([270 - top - height, left, height, width])
        assert iou(box, shown) > 0.8
        assert iou(red_box(tmp_path / "images" / files[frame]), shown) > 0.8


def test_yolo(film: BoxedFilm, tmp_path: Path) -> None:
    out = tmp_path / "yolo"
    run(Job(out, form="yolo", choice=FrameChoice(every=30)), film)
    assert yaml.safe_load((out / "data.yaml").read_text())["names"] == {0: "object"}
    pictures = sorted(path.stem for path in (out / "images").iterdir())
    assert pictures == sorted(path.stem for path in (out / "labels").iterdir())
    assert pictures == [f"ball_frame{frame:06d}" for frame in range(0, 150, 30)]
    for name in pictures:
        number, x, y, width, height = map(float, (out / "labels" / f"{name}.txt").read_text().split())
        box = np.array([x - width / 2, y - height / 2, width, height]) * (480, 270, 480, 270)
        assert number == 0
        assert iou(box, film.boxes[int(name[-6:])]) > 0.8


def test_yolo_of_two_videos(film: BoxedFilm, tmp_path: Path) -> None:
    out, copy = tmp_path / "yolo", tmp_path / "other.mp4"
    copy.write_bytes(film.path.read_bytes())
    choice = FrameChoice(every=75, near=0)
    run(Job(out, form="yolo", choice=choice), film, copy)
    names = [f"{stem}_frame{frame:06d}" for stem in ("ball", "other") for frame in (0, 75)]
    for folder in ("images", "labels"):
        assert sorted(path.stem for path in (out / folder).iterdir()) == names


def test_mot_has_a_box_in_each_frame(film: BoxedFilm, tmp_path: Path) -> None:
    run(Job(tmp_path / "mot", form="mot", choice=FrameChoice(every=50)), film)
    folder = tmp_path / "mot" / "ball"
    rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
    assert len(rows) >= 140
    assert set(rows[:, 1]) == {1}
    truth = film.boxes[rows[:, 0].astype(int) - 1] + (1, 1, 0, 0)
    assert np.mean(iou(rows[:, 2:6], truth)) > 0.85
    assert sorted(path.name for path in (folder / "img1").iterdir()) == ["000001.jpg", "000051.jpg", "000101.jpg"]
    sequence = configparser.ConfigParser()
    sequence.read(folder / "seqinfo.ini")
    assert sequence["Sequence"]["name"] == "ball"
    assert (sequence.getint("Sequence", "seqLength"), sequence.getint("Sequence", "imWidth")) == (150, 480)
    assert (folder / "gt" / "labels.txt").read_text() == "object\n"


def test_a_video_that_cannot_be_read_is_left_out_and_others_go_on(film: BoxedFilm, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("<html>no video</html>")
    bad, good = run(Job(tmp_path / "coco.json"), broken, film)
    assert bad.error is not None
    assert "broken.mp4 is not a video" in bad.error
    assert good.boxes > 3
    assert [each["name"] for each in read(tmp_path / "coco.json")["videos"]] == ["ball.mp4"]


def test_of_a_damaged_video_what_can_be_seen_is_used(tmp_path: Path) -> None:
    damaged = boxed_film(tmp_path / "damaged.webm")
    content = damaged.path.read_bytes()
    damaged.path.write_bytes(content[: len(content) // 2])
    [report] = run(Job(tmp_path / "coco.json", images=tmp_path / "images"), damaged)
    told = read(tmp_path / "coco.json")
    assert report.error is None
    assert 1 <= report.frames == len(told["images"]) < 6
    assert sorted(each["file_name"] for each in told["images"]) == sorted(
        path.name for path in (tmp_path / "images").glob("*.jpg")
    )


def test_when_none_can_be_read_nothing_is_written(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    [report] = run(Job(tmp_path / "coco.json", images=tmp_path / "images"), broken)
    assert report.error is not None
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_video_whose_end_is_missing_is_used_and_told(film: BoxedFilm, tmp_path: Path) -> None:
    # A file whose header is at its beginning can be read without its end.
    fast, cut = tmp_path / "fast.mp4", tmp_path / "cut.mp4"
    with av.open(str(film.path)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = fast.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    [report] = run(Job(tmp_path / "coco.json"), cut)
    assert report.error is None
    [warning] = report.warnings
    assert warning.startswith("The end of cut.mp4 is missing")
    [whole] = run(Job(tmp_path / "whole.json"), film)
    assert whole.warnings == ()


def test_two_videos_of_one_name_keep_their_pictures_and_tracks_apart(film: BoxedFilm, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / "Ball.mp4"
    copy.write_bytes(film.path.read_bytes())
    run(Job(tmp_path / "coco.json", choice=FrameChoice(every=50)), film, copy, film)
    told = read(tmp_path / "coco.json")
    assert len(told["videos"]) == 2
    assert [each["file_name"] for each in told["images"]][2:4] == ["ball_frame000100.jpg", "Ball_2_frame000000.jpg"]
    assert sorted({each["track_id"] for each in told["annotations"]}) == [1, 2]


def test_what_contradicts_itself_is_refused_before_any_work(film: BoxedFilm, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="changes nothing"):
        run(Job(tmp_path / "yolo", form="yolo", images=tmp_path / "images"), film)
    with pytest.raises(SettingsError, match="is not a file"):
        run(Job(tmp_path / "coco.json"), film, tmp_path / "missing.mp4")
    (tmp_path / "coco.json").write_text("{}")
    with pytest.raises(SettingsError, match="already exists"):
        run(Job(tmp_path / "coco.json"), film)
