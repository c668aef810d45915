"""`coldblitz pseudo-label`: what it prints, how it ends, and that it needs nothing but the videos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from boxed_film import boxed_film
from typer.testing import CliRunner, Result

from ml_backend.cli import app
from ml_backend.errors import SettingsError


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boxed_film(tmp_path_factory.mktemp("film") / "ball [x].mp4", seconds=4).path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["pseudo-label", *map(str, arguments)])


def test_it_says_what_it_has_written(film: Path, tmp_path: Path) -> None:
    told = run(film, "--detector", "motion", "--out", tmp_path / "coco.json", "--class", "object=ball")
    assert told.exit_code == 0, told.output
    assert "ball [x].mp4: 4 frames, 4 boxes, 1 tracks" in told.output
    assert [each["name"] for each in json.loads((tmp_path / "coco.json").read_text())["categories"]] == ["ball"]


def test_a_researchers_detector_may_lie_anywhere(film: Path, tmp_path: Path) -> None:
    file = Path(__file__).resolve().parents[2] / "docs" / "custom-models" / "red_things.py"
    told = run(film, "--detector", f"custom:{file}", "-o", tmp_path / "coco.json", "--class", "red thing=ball")
    assert told.exit_code == 0, told.output
    assert "ball [x].mp4: 4 frames, 4 boxes, 1 tracks" in told.output
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert coco["info"]["detector"] == "custom:red_things.py"
    assert [each["name"] for each in coco["categories"]] == ["ball"]


def test_a_detector_that_fails_on_a_video_leaves_it_out(film: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("labels = ['cat']\ndef detect(frames):\n    return 1 / 0\n")
    told = run(film, "--detector", f"custom:{tmp_path / 'mine.py'}", "-o", tmp_path / "coco.json")
    assert told.exit_code == 1
    assert "ball [x].mp4 is left out: mine.py, line 3: ZeroDivisionError" in told.output
    assert not (tmp_path / "coco.json").exists()


def test_a_network_runs_with_weights_of_this_machine(film: Path, tmp_path: Path) -> None:
    import torch
    from torchvision import models

    name = "ssdlite320_mobilenet_v3_large"
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=3)
    torch.save(model.state_dict(), tmp_path / "mine.pth")
    (tmp_path / "mine.json").write_text('{"labels": ["mouse", "rat"]}')
    chosen = ("--detector", f"torchvision/{name}", "--weights", tmp_path / "mine.pth")
    told = run(film, *chosen, "-o", tmp_path / "coco.json", "--every", "50")
    assert told.exit_code == 0, told.output
    categories = json.loads((tmp_path / "coco.json").read_text())["categories"]
    assert [each["name"] for each in categories] == ["mouse", "rat"]
    refused = run(film, *chosen, "-o", tmp_path / "other.json", "--class", "cat")
    assert "It has mouse, rat" in str(refused.exception)


def test_a_broken_video_is_one_sentence_and_exit_code_1(film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    told = run(broken, film, "-o", tmp_path / "coco.json")
    assert told.exit_code == 1
    assert "broken.mp4 is left out: broken.mp4 is not a video, or its header is damaged." in told.output
    assert "4 boxes" in told.output
    assert (tmp_path / "coco.json").exists()
    told = run(broken, "-o", tmp_path / "other.json")
    assert told.exit_code == 1
    assert "nothing is written" in told.output
    assert not (tmp_path / "other.json").exists()


def test_scripts_get_json(film: Path, tmp_path: Path) -> None:
    told = run(film, "-o", tmp_path / "yolo", "--format", "yolo", "--every", "20", "--json")
    assert told.exit_code == 0
    answer = json.loads(told.stdout)
    assert answer["output"] == str(tmp_path / "yolo")
    assert answer["videos"][0]["frames"] == len(list((tmp_path / "yolo" / "images").iterdir())) == 5


def test_what_is_there_is_refused_unless_it_may_be_overwritten(film: Path, tmp_path: Path) -> None:
    arguments = (film, "-o", tmp_path / "coco.json", "--images", tmp_path / "images")
    assert run(*arguments, "--every", "10").exit_code == 0
    before = (tmp_path / "coco.json").read_text()
    assert isinstance(run(*arguments).exception, SettingsError)
    assert (tmp_path / "coco.json").read_text() == before
    assert len(list((tmp_path / "images").glob("*.jpg"))) == 10
    assert run(*arguments, "--every", "50", "--overwrite").exit_code == 0
    assert len(list((tmp_path / "images").glob("*.jpg"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "5", "--key-frames"], "two ways to take frames"),
        (["--min-size", "20", "--max-size", "10"], "No box has at least 20"),
        (["--class", "cat"], "no class 'cat'"),
        (["--class", "object="], "no name behind"),
        (["--class", "object=mouse", "--class", "object=rat"], "given twice"),
        (["--detector", "people", "--class", "object"], "It has person"),
        (["--detector", "yolo"], "is not one of 'motion'"),
        (["--detector", "none"], "nothing to write"),
        (["--detector", "torchvision/fcos"], "torchvision has no detector 'fcos'; use fcos_resnet50_fpn"),
        (["--detector", "custom:mine.pt"], "is not the name of a .py or .onnx file"),
        (["--weights", "mine.pth"], "--weights changes nothing with --detector motion"),
        (["--images", "yolo", "--format", "yolo"], "changes nothing"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    film: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    told = run(film, "-o", tmp_path / "coco.json", *arguments)
    assert isinstance(told.exception, SettingsError)
    assert message in str(told.exception)
    assert not list(tmp_path.iterdir())


def test_coco_is_a_json_file(film: Path, tmp_path: Path) -> None:
    assert "does not end in .json" in str(run(film, "-o", tmp_path / "coco").exception)


def test_people_are_looked_for_when_asked(film: Path, tmp_path: Path) -> None:
    told = run(film, "-o", tmp_path / "coco.json", "--detector", "people", "--boxed-only")
    assert told.exit_code == 0
    assert [each["name"] for each in json.loads((tmp_path / "coco.json").read_text())["categories"]] == ["person"]


def test_it_needs_no_label_studio_no_redis_and_no_torch(film: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from ml_backend.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "pseudo-label", str(film), "-o", str(tmp_path / "coco.json")]
    told = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, timeout=120, check=True)
    loaded = set(told.stderr.split())
    assert "av" in loaded
    assert not loaded & {"torch", "torchvision", "transformers", "label_studio_sdk", "flask"}
