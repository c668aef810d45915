"""The researcher's own model file: loaded, checked, run, and blamed with file and line."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import dark_then_bright
from onnxfile import onnx_of_channel_means
from torch import nn

from ml_backend.errors import CustomModelError, StorageError
from ml_backend.learning.custom.model import custom_file, load_custom, video_probabilities
from ml_backend.learning.custom.versions import load_custom_version, save_custom
from ml_backend.learning.versions import list_versions
from ml_backend.video.timeline import read_timeline

LABELS = ("bright", "dark")

BRIGHTNESS = """
import numpy as np
labels = ["bright", "dark"]
input_size = 32

def predict(frames):
    bright = frames.mean(axis=(1, 2, 3)) / 255
    return np.stack([bright, 1 - bright], axis=1)
"""

DISSERTATION = """
import cv2

def custom_model_predict(img_path):
    bright = cv2.imread(img_path).mean() / 255
    return ("bright", bright) if bright > 0.5 else ("dark", 1 - bright)
"""


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def file(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return file


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten dark frames, then ten bright ones, encoded."""
    return dark_then_bright(tmp_path_factory.mktemp("film") / "film.mp4", 10, 10)


@pytest.mark.parametrize("text", [BRIGHTNESS, DISSERTATION])
def test_every_frame_of_a_video_is_predicted(write, film: Path, text: str) -> None:  # type: ignore[no-untyped-def]
    model = load_custom(write(text), LABELS)
    told: list[float] = []
    p = video_probabilities(model, film, read_timeline(film), exclusive=True, progress=told.append)
    assert p.shape == (20, 2)
    assert p.argmax(axis=1).tolist() == [1] * 10 + [0] * 10
    assert told[-1] == 1


class TestLabels:
    def test_words_are_mapped_to_labels_and_the_surest_of_several_counts(self, write) -> None:  # type: ignore[no-untyped-def]
        model = load_custom(write(BRIGHTNESS), ("day", "any"), {"bright": "day", "dark, dim": "any"})
        assert model.probabilities(np.full((1, 32, 32, 3), 255, np.uint8)).tolist() == [[1, 0]]

    def test_labels_the_project_does_not_have_are_ignored_and_named(self, write) -> None:  # type: ignore[no-untyped-def]
        model = load_custom(write(BRIGHTNESS), ("dark", "fog"))
        assert model.ignored == ("bright",)
        assert model.columns == ((1,), ())

    def test_a_model_that_knows_none_of_the_labels_is_refused(self, write) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(CustomModelError, match="none of which is a label of the project"):
            load_custom(write(BRIGHTNESS), ("cat",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labels = ['bright']\n\ndef predict(frames)\n", "mine.py, line 3: SyntaxError"),
        ("import not_there_at_all", "mine.py, line 1: ModuleNotFoundError"),
        ("labels = ['bright']\ndef predict(frames):\n    return 1 / 0", "mine.py, line 3: ZeroDivisionError"),
        ("import sys\nsys.exit(3)", "mine.py, line 2: SystemExit"),
        ("labels = ['bright']", "no function predict"),
        ("def predict(frames):\n    return frames", "no list called labels"),
        ("labels = []\ndef predict(frames):\n    return frames", "The labels of mine.py"),
        ("labels = ['bright', 'bright']\ndef predict(frames):\n    return frames", "The labels of mine.py"),
        ("labels = ['bright']\ninput_size = 'big'\ndef predict(frames):\n    return frames", "input size"),
        ("labels = ['bright']\ndef predict(frames):\n    return frames[:, 0, 0, :2] / 255", r"shape \(2, 2\)"),
        ("labels = ['bright']\ndef predict(frames):\n    return [[7.0]] * len(frames)", "outside 0..1"),
        ("labels = ['bright']\ndef predict(frames):\n    return [[float('nan')]] * len(frames)", "outside 0..1"),
        ("labels = ['bright']\ndef predict(frames):\n    return 'yes'", "no array"),
        ("def custom_model_predict(path):\n    return 'bright'", r"Return \(label, confidence\)"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(write, text: str, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CustomModelError, match=said):
        load_custom(write(text), LABELS)


class Runs:
    """Unpickled, it writes a file: what an attacker would do more with."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.path, "w"))


class TestNetworks:
    class Brightness(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bright = x.mean(dim=(1, 2, 3))
            return torch.stack([bright, 1 - bright], dim=1) * 20

    @pytest.fixture(params=["pt", "pt2", "onnx"])
    def network(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        path = tmp_path / f"net.{request.param}"
        example = torch.rand(2, 3, 16, 16)
        if request.param == "pt":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch deprecates making TorchScript; old files still have to run
                torch.jit.save(torch.jit.trace(self.Brightness(), example), str(path))
        elif request.param == "pt2":
            batch = torch.export.Dim("batch", min=1, max=64)
            torch.export.save(torch.export.export(self.Brightness(), (example,), dynamic_shapes=({0: batch},)), path)
        else:
            path.write_bytes(onnx_of_channel_means())
        onnx = {"labels": ["bright", "dark", "blue"], "mean": [0, 1, 0], "std": [1, -1, 1]}
        described = onnx if request.param == "onnx" else {"labels": LABELS, "activation": "softmax"}
        (tmp_path / "net.json").write_text(json.dumps({**described, "size": 16}))
        return path

    def test_networks_run_with_the_json_beside_them(self, network: Path) -> None:
        model = load_custom(network, LABELS)
        pictures = np.stack([np.full((16, 16, 3), 255, np.uint8), np.zeros((16, 16, 3), np.uint8)])
        assert model.probabilities(pictures).argmax(axis=1).tolist() == [0, 1]

    def test_without_it_the_message_shows_what_to_write(self, network: Path) -> None:
        network.with_suffix(".json").unlink()
        with pytest.raises(CustomModelError, match='"labels"'):
            load_custom(network, LABELS)

    def test_what_is_pickled_into_an_exported_network_is_not_run(self, tmp_path: Path) -> None:
        good, bad, witness = tmp_path / "good.pt2", tmp_path / "net.pt2", tmp_path / "witness"
        torch.export.save(torch.export.export(self.Brightness(), (torch.rand(2, 3, 16, 16),)), good)
        (tmp_path / "net.json").write_text(json.dumps({"labels": LABELS, "size": 16}))
        pickled = io.BytesIO()
        torch.save(Runs(str(witness)), pickled)
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
            for name in source.namelist():
                target.writestr(name, pickled.getvalue() if name.endswith("model.pt") else source.read(name))
        with pytest.raises(CustomModelError, match=r"net\.pt2"):
            load_custom(bad, LABELS)
        assert not witness.exists()
        assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ

    def test_a_damaged_file_is_said_to_be(self, network: Path) -> None:
        network.write_bytes(b"nothing")
        with pytest.raises(CustomModelError, match=network.name):
            load_custom(network, LABELS)


class TestFolder:
    @pytest.mark.parametrize("name", ["../mine.py", "/etc/passwd", "other.py", "mine.txt", ""])
    def test_only_model_files_inside_the_folder_are_found(self, write, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]
        write(BRIGHTNESS)
        inside = tmp_path / "custom_models"
        inside.mkdir()
        (inside / "mine.txt").write_text("no model")
        with pytest.raises(CustomModelError, match="no custom model"):
            custom_file(inside, name)

    def test_a_link_out_of_the_folder_is_not_followed(self, write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        inside = tmp_path / "custom_models"
        inside.mkdir()
        (inside / "link.py").symlink_to(write(BRIGHTNESS))
        with pytest.raises(CustomModelError, match="no custom model"):
            custom_file(inside, "link.py")


class TestVersions:
    def test_a_version_is_a_copy_that_survives_changes_of_the_file(self, write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        file, root = write(BRIGHTNESS, "my-model.py"), tmp_path / "models"
        assert save_custom(root, load_custom(file, LABELS), exclusive=True).name == "custom-my_model-v1"
        assert save_custom(root, load_custom(file, LABELS), exclusive=True).name == "custom-my_model-v1"
        file.write_text(BRIGHTNESS + "\n# changed\n")
        assert save_custom(root, load_custom(file, LABELS), exclusive=True).name == "custom-my_model-v2"
        assert "changed" not in load_custom_version(root, "custom-my_model-v1").file.read_text()
        assert len(list_versions(root)) == 2

    def test_a_changed_copy_is_not_run_as_the_version_it_was(self, write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        root = tmp_path / "models"
        card = save_custom(root, load_custom(write(BRIGHTNESS), LABELS), exclusive=True)
        (root / card.name / "mine.py").write_text(BRIGHTNESS + "#")
        with pytest.raises(StorageError, match="damaged"):
            load_custom_version(root, card.name)


class TestExamples:
    """The files of docs/custom-models do what their page says."""

    folder = Path(__file__).parents[2] / "docs" / "custom-models"

    def test_the_template_loads_as_it_is(self) -> None:
        model = load_custom(self.folder / "template.py", ("first", "second"))
        assert model.size == (224, 224)

    def test_brightness_tells_day_from_night(self) -> None:
        model = load_custom(self.folder / "brightness.py", ("day", "night"))
        assert model.probabilities(np.full((1, 32, 32, 3), 230, np.uint8))[0].tolist() == pytest.approx(
            [1, 0], abs=0.01
        )

    def test_the_older_form_needs_no_list_of_labels(self) -> None:
        model = load_custom(self.folder / "one_picture.py", ("warm", "cold"))
        blue = np.zeros((1, 224, 224, 3), np.uint8)
        blue[..., 2] = 255
        assert model.probabilities(blue)[0].tolist() == pytest.approx([0.1, 0.9], abs=1e-6)
