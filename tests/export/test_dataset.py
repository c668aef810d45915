"""The picture in a label's folder is the frame that has the label."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from numbered import number_in, numbered_video, video

from ml_backend.export.choose import Choice, plan
from ml_backend.export.dataset import Source, tree, write_dataset
from ml_backend.export.project import Run, Video

SOURCE = Source(7, "A street", "http://label.studio", ("cat", "a/b"), "cc-by-4.0")
EVERYTHING = Choice()
RUNS = [Run(3, 9, "cat", 1.0, "human"), Run(20, 24, "a/b", 0.7, "model")]


@pytest.fixture
def files(tmp_path: Path) -> dict[int, Path]:
    return {number: numbered_video(tmp_path / f"{number}.mp4", 40, first=100 * number) for number in (1, 2, 3)}


@pytest.fixture
def films(files: dict[int, Path]) -> list[Video]:
    return [video(number, RUNS, path) for number, path in files.items()]


@pytest.fixture
def export(tmp_path: Path, films: list[Video], files: dict[int, Path]) -> Iterator[object]:
    def write(choice: Choice = EVERYTHING, layout: str = "imagefolder", name: str = "out", videos=films):
        path = tmp_path / name
        planned = plan(videos, choice)
        card = write_dataset(path, SOURCE, videos, planned, choice, layout, lambda one: files[one.task.id])
        return path, card

    return write


def numbers(path: Path) -> dict[str, list[int | None]]:
    """By folder the numbers in its pictures."""
    found: dict[str, list[int | None]] = {}
    for file in sorted(path.rglob("*.jpg")):
        found.setdefault(str(file.parent.relative_to(path)), []).append(number_in(file.read_bytes()))
    return found


def test_each_picture_is_exactly_the_frame_that_was_labelled(export) -> None:
    path, _ = export()
    assert numbers(path) == {
        "cat": [100 * film + frame for film in (1, 2, 3) for frame in range(3, 9)],
        "a_b": [100 * film + frame for film in (1, 2, 3) for frame in range(20, 24)],
    }
    assert (path / "cat" / "film_1_task1_frame000003.jpg").exists()


def test_a_zip_holds_the_same(export) -> None:
    path, _ = export(Choice(every=3), name="out.zip")
    with zipfile.ZipFile(path) as archive:
        assert {name: number_in(archive.read(name)) for name in archive.namelist() if "task2" in name} == {
            "cat/film_2_task2_frame000003.jpg": 203,
            "cat/film_2_task2_frame000006.jpg": 206,
            "a_b/film_2_task2_frame000020.jpg": 220,
            "a_b/film_2_task2_frame000023.jpg": 223,
        }
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_card_says_what_it_is_made_of(export) -> None:
    path, card = export(Choice(min_confidence=0.9))
    assert json.loads((path / "dataset.json").read_text()) == json.loads(json.dumps(card))
    assert card["title"] == "A street"
    assert card["license"] == "cc-by-4.0"
    assert card["counts"] == {"": {"cat": 18}}
    assert card["tasks"][0] == {
        "task": 1,
        "video": "film 1.mp4",
        "part": None,
        "pictures": 6,
        "version": "cold-v2",
        "annotators": [3],
    }


def test_a_split_has_a_folder_a_part(export) -> None:
    path, card = export(Choice(shares=(0.4, 0.3, 0.3)))
    assert {part: labels["cat"] for part, labels in card["counts"].items()} == {"train": 6, "val": 6, "test": 6}
    assert set(numbers(path)) == {f"{part}/{label}" for part in ("train", "val", "test") for label in ("cat", "a_b")}


def test_the_preview_names_the_folders(films: list[Video]) -> None:
    assert tree(plan(films, Choice()), SOURCE, Choice()) == ["a_b/  12", "cat/  18"]


def test_pictures_that_look_alike_are_left_out(tmp_path: Path) -> None:
    """Forty frames of which every ten are the same."""
    import av
    import numpy as np

    from benchmarks.alignment.barcode import draw

    with av.open(str(tmp_path / "still.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for at in range(40):
            picture = np.repeat(draw(1 + at // 10 * 37, 128, 64)[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    still = video(1, [Run(0, 40, "cat", 1.0, "human")], tmp_path / "still.mp4")
    choice = Choice(near=4)
    path = tmp_path / "out"
    card = write_dataset(
        path, SOURCE, [still], plan([still], choice), choice, "imagefolder", lambda _: tmp_path / "still.mp4"
    )
    assert card["counts"] == {"": {"cat": 4}}
    assert numbers(path) == {"cat": [1, 38, 75, 112]}


def test_an_interrupted_export_decodes_only_what_is_missing(tmp_path: Path, films, files) -> None:
    choice, path = Choice(), tmp_path / "out.zip"

    def interrupted(one: Video) -> Path:
        if one.task.id == 3:
            raise KeyboardInterrupt
        return files[one.task.id]

    with pytest.raises(KeyboardInterrupt):
        write_dataset(path, SOURCE, films, plan(films, choice), choice, "imagefolder", interrupted)
    for number in (1, 2):
        files[number].write_bytes(b"gone")
    card = write_dataset(
        path, SOURCE, films, plan(films, choice), choice, "imagefolder", lambda one: files[one.task.id]
    )
    assert card["counts"] == {"": {"a/b": 12, "cat": 18}}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert number_in(archive.read("cat/film_1_task1_frame000008.jpg")) == 108


def test_hugging_faces_imagefolder_has_a_list_of_its_pictures(export) -> None:
    path, _ = export(Choice(shares=(0.4, 0.3, 0.3)), layout="huggingface")
    rows = [json.loads(line) for line in (path / "train" / "metadata.jsonl").read_text().splitlines()]
    assert len(rows) == 10
    for row in rows:
        assert number_in((path / "train" / row["file_name"]).read_bytes()) == 100 * row["task"] + row["frame"]
        assert row["label"] in ("cat", "a/b")
    assert (path / "README.md").read_text().startswith("---\nlicense: cc-by-4.0\n")


def test_a_video_that_is_gone_is_left_out_and_named(tmp_path: Path, films, files) -> None:
    files[2].write_bytes(b"no video")
    choice, path = Choice(), tmp_path / "out"
    card = write_dataset(
        path, SOURCE, films, plan(films, choice), choice, "imagefolder", lambda one: files[one.task.id]
    )
    assert card["counts"] == {"": {"a/b": 8, "cat": 12}}
    assert [sentence[:21] for sentence in card["left_out"]] == ["Task 2 is left out: 2"]
