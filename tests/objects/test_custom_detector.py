"""A researcher's own detector: a Python file or an ONNX network; whatever is wrong with it is one sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from boxed_film import boxed_film
from onnx_boxes import onnx_of_boxes

from ml_backend.errors import CustomModelError
from ml_backend.objects.boxes import in_shares, iou
from ml_backend.objects.choosing import Places, make_detector, stamp
from ml_backend.objects.detector import Limits, detect
from ml_backend.objects.finder import find_tracks
from ml_backend.video.timeline import read_timeline

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "custom-models"
GREY = np.full((90, 160, 3), 128, np.uint8)
ROW = '[("cat", 0.75, 0.25, 0.5, 0.25, 0.5)]'


def written(folder: Path, code: str, name: str = "detector.py") -> Places:
    (folder / name).write_text(code)
    return Places(files=folder)


def answering(folder: Path, rows: str, labels: str = '["cat", "dog"]') -> Places:
    return written(folder, f"labels = {labels}\ndef detect(frames):\n    return [{rows} for _ in frames]\n")


def test_the_example_of_the_documentation_follows_what_does_not_move(tmp_path: Path) -> None:
    film = boxed_film(tmp_path / "ball.mp4", seconds=2, moving=False)
    detector = make_detector("custom:red_things.py", Places(files=EXAMPLES))
    assert (detector.names, detector.side, detector.rate) == (("red thing",), 640, 5.0)
    [track] = find_tracks(film.path, read_timeline(film.path), detector)
    assert track.label == "red thing"
    assert len(track) >= 45
    truth = in_shares(film.boxes[track.frames], *film.size)
    assert float(iou(track.boxes, truth).min()) > 0.85


def test_boxes_of_a_python_file_are_read_under_their_labels(tmp_path: Path) -> None:
    detector = make_detector("custom", answering(tmp_path, ROW))
    [found, again] = detect(detector, [GREY, GREY], Limits())
    assert found.names == again.names == ("cat",)
    np.testing.assert_allclose(found.boxes, [[0.25, 0.5, 0.25, 0.5]])
    np.testing.assert_allclose(found.scores, [0.75])
    assert (detector.side, detector.rate) == (640, 5.0)


def test_frames_come_as_one_array_and_a_file_says_how_large_and_how_often(tmp_path: Path) -> None:
    code = (
        "labels = ['cat']\ninput_size = 320\nrate = 2\n"
        "def detect(frames):\n    assert frames.shape == (2, 90, 160, 3) and frames.dtype == 'uint8'\n    return [[], []]\n"
    )
    detector = make_detector("custom:mine.py", written(tmp_path, code, "mine.py"))
    assert (detector.side, detector.rate) == (320, 2.0)
    assert [len(each) for each in detect(detector, [GREY, GREY], Limits())] == [0, 0]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1 / 0", "detector.py, line 3: ZeroDivisionError"),
        ("exit()", "detector.py, line 3: SystemExit"),
        ("[('cat', 0.5, 0, 0, 1)]", r"gave \('cat', 0.5, 0, 0, 1\) for a frame"),
        ("[('cat', 'sure', 0, 0, 1, 1)]", "for a frame"),
        ("[None]", "for a frame"),
        ("7", "gave 7 for a frame"),
        ("[('cat', float('nan'), 0, 0, 1, 1)]", "not numbers"),
        ("[('cat', 0.5, 10, 20, 60, 40)]", "between 0 and 1"),
        ("[('horse', 0.5, 0, 0, 1, 1)]", "unknown class 'horse'"),
        ("[('cat', 0.5, 0, 0, 1, 1)] * 5000", "5000 boxes for one picture"),
    ],
)
def test_a_wrong_answer_is_one_sentence(rows: str, said: str, tmp_path: Path) -> None:
    detector = make_detector("custom", answering(tmp_path, rows))
    with pytest.raises(CustomModelError, match=said) as error:
        detect(detector, [GREY], Limits())
    assert error.value.remedy


def test_an_answer_for_too_few_frames_is_refused(tmp_path: Path) -> None:
    detector = make_detector("custom", written(tmp_path, "labels = ['cat']\ndef detect(frames):\n    return [[]]\n"))
    with pytest.raises(CustomModelError, match="answered for 1 of 2 frames"):
        detect(detector, [GREY, GREY], Limits())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("labels = ['cat']\n", "has no function detect"),
        ("def detect(frames): ...\n", "has no list called labels"),
        ("labels = ['cat', 'cat']\ndef detect(frames): ...\n", "distinct"),
        ("labels = ['cat']\ninput_size = 3\ndef detect(frames): ...\n", "input_size of detector.py is 3"),
        ("labels = ['cat']\nrate = '5'\ndef detect(frames): ...\n", "rate of detector.py is '5'"),
        ("labels = [\n", "detector.py, line 1: SyntaxError"),
        ("import nothing_of_that_name\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_file_that_cannot_be_a_detector_is_refused_with_its_line(code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(CustomModelError, match=said):
        make_detector("custom", written(tmp_path, code))


def test_a_file_that_is_not_there_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(CustomModelError, match=r"no detector\.py or detector\.onnx in"):
        make_detector("custom", Places(files=tmp_path))
    with pytest.raises(CustomModelError, match=r"no “mine\.py” in"):
        make_detector("custom:mine.py", Places(files=tmp_path))


def test_a_changed_file_is_another_detector(tmp_path: Path) -> None:
    places = answering(tmp_path, "[]")
    before = stamp("custom", places)
    assert stamp("custom", places) == before != stamp("custom:other.py", places)
    answering(tmp_path, ROW)
    assert stamp("custom", places) != before


class TestOnnx:
    BOXES = ((0.25, 0.5, 0.5, 1.0), (0.26, 0.5, 0.5, 1.0), (0.0, 0.0, 0.1, 0.2))
    SCORES = ((1.0, 0.0), (1.8, 0.0), (0.2, 1.0))

    def file(self, folder: Path, about: object) -> Places:
        (folder / "detector.onnx").write_bytes(onnx_of_boxes(self.BOXES, self.SCORES, 32))
        (folder / "detector.json").write_text(json.dumps(about))
        return Places(files=folder)

    def test_its_first_output_is_boxes_and_its_second_scores(self, tmp_path: Path) -> None:
        detector = make_detector("custom", self.file(tmp_path, {"labels": ["cat", "dog"], "size": 32}))
        assert (detector.side, detector.names) == (64, ("cat", "dog"))
        [bright, half] = detect(detector, [np.full((90, 160, 3), 127.5, np.uint8), GREY // 2], Limits())
        # The picture's brightness is what it multiplies its scores by: it has seen them.
        np.testing.assert_allclose(half.scores / bright.scores, 64 / 127, atol=0.02)
        # Of two boxes on one object the surer one.
        assert bright.names == ("cat", "dog")
        np.testing.assert_allclose(bright.boxes, [[0.26, 0.5, 0.24, 0.5], [0, 0, 0.1, 0.2]], atol=1e-6)

    def test_one_without_what_describes_it_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CustomModelError, match=r"comes without detector\.json"):
            make_detector("custom", self.file(tmp_path, []))

    def test_as_many_scores_as_labels_are_needed(self, tmp_path: Path) -> None:
        detector = make_detector("custom", self.file(tmp_path, {"labels": ["cat"], "size": 32}))
        with pytest.raises(CustomModelError, match=r"scores of shape \(3, 2\)"):
            detect(detector, [GREY], Limits())

    def test_what_is_no_network_is_refused(self, tmp_path: Path) -> None:
        places = self.file(tmp_path, {"labels": ["cat"]})
        (tmp_path / "detector.onnx").write_text("no network")
        with pytest.raises(CustomModelError, match=r"detector\.onnx"):
            make_detector("custom", places)
