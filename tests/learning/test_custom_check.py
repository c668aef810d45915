"""A model file of each kind, tried on a real video: what it did is told, and what is broken is named."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import dark_then_bright
from onnxfile import onnx_of_channel_means
from torch import nn

from ml_backend.errors import CustomModelError, VideoUnreadable
from ml_backend.learning.custom.check import FRAMES, check_custom

BRIGHTNESS = """
labels = ["bright", "dark"]
input_size = (24, 32)

def predict(frames):
    bright = frames.mean(axis=(1, 2, 3)) / 255
    return [[b, 1 - b] for b in bright]
"""

ONE_PICTURE = """
import cv2

def custom_model_predict(img_path):
    bright = cv2.imread(img_path).mean() / 255
    return ("bright", bright) if bright > 0.5 else ("dark", 1 - bright)
"""


IGNORED = "It answers “{}”, which no label of the project means; that is ignored."


class Brightness(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.mean(dim=(1, 2, 3))
        return torch.stack([bright, 1 - bright], dim=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five dark frames, then bright ones: more than are looked at."""
    return dark_then_bright(tmp_path_factory.mktemp("film") / "film.mp4", 5, FRAMES + 5)


def written(folder: Path, kind: str) -> Path:
    """A good model file of this kind that tells bright from dark."""
    path = folder / {"python": "mine.py", "one picture": "mine.py"}.get(kind, f"mine.{kind}")
    example = torch.rand(2, 3, 16, 16)
    if kind == "python":
        path.write_text(BRIGHTNESS)
    elif kind == "one picture":
        path.write_text(ONE_PICTURE)
    elif kind == "pt":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates making TorchScript; old files still have to run
            torch.jit.save(torch.jit.trace(Brightness(), example), str(path))
    elif kind == "pt2":
        batch = torch.export.Dim("batch", min=1, max=64)
        torch.export.save(torch.export.export(Brightness(), (example,), dynamic_shapes=({0: batch},)), path)
    elif kind == "onnx":
        path.write_bytes(onnx_of_channel_means())
    if kind in ("pt", "pt2"):
        path.with_suffix(".json").write_text(json.dumps({"labels": ["bright", "dark"], "size": 16}))
    elif kind == "onnx":
        # Its outputs are the means of red, green and blue: the second is turned round, the third is not asked for.
        described = {"labels": ["bright", "dark", "blue"], "size": 16, "mean": [0, 1, 0], "std": [1, -1, 1]}
        path.with_suffix(".json").write_text(json.dumps(described))
    return path


@pytest.mark.parametrize("kind", ["python", "one picture", "pt", "pt2", "onnx"])
def test_a_good_file_is_run_on_the_first_frames(kind: str, tmp_path: Path, film: Path) -> None:
    found = check_custom(written(tmp_path, kind), film, ("bright", "dark"))
    assert found.labels == ("bright", "dark")
    assert found.shape == (FRAMES, 2)
    assert found.size == {"python": (24, 32), "one picture": (224, 224)}.get(kind, (16, 16))
    assert 0.05 < found.lowest < 0.2 < 0.8 < found.highest < 0.95
    assert found.frames_per_second > 0
    assert [row.index for row in found.first] == list(range(8))
    assert [row.seconds for row in found.first] == pytest.approx(np.arange(8) / 10)
    best = [found.labels[int(np.argmax(row.probabilities))] for row in found.first]
    assert best == ["dark"] * 5 + ["bright"] * 3
    assert found.notes == (() if kind != "onnx" else (IGNORED.format("blue"),))


@pytest.mark.parametrize("kind", ["python", "one picture"])
def test_without_a_project_the_files_own_labels_stand_in(kind: str, tmp_path: Path, film: Path) -> None:
    found = check_custom(written(tmp_path, kind), film)
    assert set(found.labels) == set(found.outputs) == {"bright", "dark"}
    assert found.notes == ()


class TestNotes:
    def test_outputs_and_labels_that_do_not_meet_are_named(self, tmp_path: Path, film: Path) -> None:
        found = check_custom(written(tmp_path, "python"), film, ("dark", "fog"))
        assert found.labels == ("dark", "fog")
        assert found.outputs == ("bright", "dark")
        assert found.notes == (IGNORED.format("bright"), "It never predicts “fog”.")

    def test_so_are_answers_of_the_one_picture_form(self, tmp_path: Path, film: Path) -> None:
        found = check_custom(written(tmp_path, "one picture"), film, ("dark", "fog"))
        assert IGNORED.format("bright") in found.notes

    def test_predicted_values_map_them(self, tmp_path: Path, film: Path) -> None:
        found = check_custom(
            written(tmp_path, "one picture"), film, ("day", "night"), {"bright": "day", "dark": "night"}
        )
        assert [max(zip(row.probabilities, found.labels, strict=True))[1] for row in found.first][4:6] == [
            "night",
            "day",
        ]
        assert found.notes == ()

    def test_the_same_answer_to_every_frame_is_suspicious(self, tmp_path: Path, film: Path) -> None:
        path = tmp_path / "mine.py"
        path.write_text("labels = ['a']\ndef predict(frames):\n    return [[0.5]] * len(frames)")
        assert "same answer" in check_custom(path, film).notes[0]


class TestLearning:
    TEXT = """
from pathlib import Path
labels = ["bright", "dark"]
input_size = 16
middle = []

def fit(frames, answers):
    assert answers.shape == (32, 2) and answers.dtype.name == "float32"
    middle.append(float(frames.mean()))

def save(folder):
    Path(folder, "middle.txt").write_text(str(middle[0]))

def load(folder):
    middle.append(float(Path(folder, "middle.txt").read_text()))

def predict(frames):
    bright = (frames.mean(axis=(1, 2, 3)) > middle[0]) * 0.8 + 0.1
    return [[b, 1 - b] for b in bright]
"""

    def test_a_file_that_learns_does_so_and_predicts_by_what_a_fresh_load_of_it_reads(
        self, tmp_path: Path, film: Path
    ) -> None:
        path = tmp_path / "mine.py"
        path.write_text(self.TEXT)
        found = check_custom(path, film)
        assert found.fit_seconds is not None
        assert (found.lowest, found.highest) == pytest.approx((0.1, 0.9))
        assert found.notes == ()
        assert [each.name for each in tmp_path.iterdir()] == ["mine.py"]

    def test_an_error_of_fit_has_its_line(self, tmp_path: Path, film: Path) -> None:
        path = tmp_path / "mine.py"
        path.write_text(self.TEXT.replace("frames.mean())", "answers.mean()).as_integer_ratio()"))
        with pytest.raises(CustomModelError, match=r"mine.py, line 9: ValueError"):
            check_custom(path, film)

    def test_a_fit_that_is_not_called_is_said_to_be_so(self, tmp_path: Path, film: Path) -> None:
        path = tmp_path / "mine.py"
        path.write_text(BRIGHTNESS + "\ndef fit(frames, answers):\n    raise AssertionError\n")
        found = check_custom(path, film)
        assert found.fit_seconds is None
        (note,) = found.notes
        assert "fit is not called, since it has no save(folder) and load(folder)" in note


class TestBroken:
    @pytest.mark.parametrize("kind", ["python", "one picture"])
    def test_an_error_that_only_real_frames_meet_has_its_line(self, kind: str, tmp_path: Path, film: Path) -> None:
        path = written(tmp_path, kind)
        condition = "frames.mean() > 1" if kind == "python" else "cv2.imread(img_path).mean() > 1"
        lines = path.read_text().splitlines()
        at = next(number for number, line in enumerate(lines) if line.startswith("def ")) + 1
        lines.insert(at, f"    assert not {condition}, 'not black'")
        path.write_text("\n".join(lines))
        with pytest.raises(CustomModelError, match=f"mine.py, line {at + 1}: AssertionError: not black"):
            check_custom(path, film)

    def test_a_relative_path_has_it_too(self, tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mine.py").write_text("labels = ['a']\ndef predict(frames):\n    return frames.no")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CustomModelError, match=r"mine.py, line 3: AttributeError"):
            check_custom(Path("mine.py"), film)

    @pytest.mark.parametrize("kind", ["pt", "pt2", "onnx"])
    def test_a_network_that_is_damaged_or_comes_alone(self, kind: str, tmp_path: Path, film: Path) -> None:
        path = tmp_path / f"mine.{kind}"
        path.write_bytes(b"nothing")
        with pytest.raises(CustomModelError, match=r"mine\."):
            check_custom(path, film)
        path.with_suffix(".json").write_text('{"labels": ["bright", "dark"]}')
        with pytest.raises(CustomModelError, match=f"mine.{kind}"):
            check_custom(path, film)

    @pytest.mark.parametrize("kind", ["pt", "pt2"])
    def test_a_network_whose_labels_are_miscounted(self, kind: str, tmp_path: Path, film: Path) -> None:
        path = written(tmp_path, kind)
        path.with_suffix(".json").write_text('{"labels": ["a", "b", "c"], "size": 16}')
        with pytest.raises(CustomModelError, match=r"shape \(2, 2\) for 2 frames and 3 labels"):
            check_custom(path, film)

    def test_a_file_that_reads_its_neighbours_cannot_be_copied(self, tmp_path: Path, film: Path) -> None:
        (tmp_path / "weights.txt").write_text("0.5")
        path = tmp_path / "mine.py"
        path.write_text(
            "from pathlib import Path\n"
            "labels = ['a']\n"
            "weight = float(Path(__file__).with_name('weights.txt').read_text())\n"
            "def predict(frames):\n    return [[weight]] * len(frames)\n"
        )
        with pytest.raises(CustomModelError, match=r"a copy elsewhere does not: mine.py, line 3") as raised:
            check_custom(path, film)
        assert "full paths" in raised.value.remedy

    def test_a_file_that_is_no_video(self, tmp_path: Path) -> None:
        with pytest.raises(VideoUnreadable):
            check_custom(written(tmp_path, "python"), written(tmp_path, "python"))
