"""How a project trains when somebody has chosen it: until the extra params are followed again, or say something new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml_backend.errors import SettingsError
from ml_backend.project_settings import BlitzSettings
from ml_backend.projects import training_choice
from ml_backend.projects.registry import Known

EXTRA_PARAMS = {"mode": "cold", "min_frames": 3, "blitz": {"cycles": 7}}
PROJECT = Known("7.1769860800", "<View/>", EXTRA_PARAMS)


def chosen(data_dir: Path, kind: str, has_file: bool = False, **blitz: Any) -> None:
    training_choice.choose(data_dir, PROJECT, kind, blitz, has_file=has_file)


def test_it_counts_instead_of_the_extra_params_which_say_the_rest(tmp_path: Path) -> None:
    assert training_choice.settings_of(tmp_path, PROJECT) == PROJECT.settings
    chosen(tmp_path, "blitz", fit="finetune", frame_step=2)
    expected = BlitzSettings(fit="finetune", cycles=7, frame_step=2)
    assert training_choice.settings_of(tmp_path, PROJECT) == replace(PROJECT.settings, mode="blitz", blitz=expected)
    assert training_choice.settings_of(tmp_path, replace(PROJECT, key="8.1")) == PROJECT.settings


def test_the_extra_params_are_followed_again_when_somebody_says_so(tmp_path: Path) -> None:
    chosen(tmp_path, "blitz")
    chosen(tmp_path, "extra-params")
    chosen(tmp_path, "extra-params")
    assert training_choice.in_force(tmp_path, PROJECT) is None
    assert training_choice.settings_of(tmp_path, PROJECT).mode == "cold"


@pytest.mark.parametrize("said", [{"mode": "auto"}, {"blitz": {"cycles": 8}}, {"custom_model": "bird.py"}])
def test_or_when_they_say_something_new_of_training(tmp_path: Path, said: dict[str, Any]) -> None:
    chosen(tmp_path, "blitz")
    changed = replace(PROJECT, extra_params={**EXTRA_PARAMS, **said})
    assert training_choice.settings_of(tmp_path, changed) == changed.settings


def test_but_not_when_they_say_something_new_of_suggestions(tmp_path: Path) -> None:
    chosen(tmp_path, "blitz")
    changed = replace(PROJECT, extra_params={**EXTRA_PARAMS, "frames_per_video": 5})
    found = training_choice.settings_of(tmp_path, changed)
    assert (found.mode, found.frames_per_video) == ("blitz", 5)


@pytest.mark.parametrize(
    ("kind", "blitz", "message"),
    [
        ("Blitz", {}, "'Blitz' cannot be trained"),
        ("auto", {}, "'auto' cannot be trained"),
        ("blitz", {"cycles": 101}, "blitz.cycles cannot be set: 101 is not between 1 and 100"),
        ("blitz", {"cycles": "x"}, "blitz.cycles cannot be set: 'x' has the wrong type"),
        ("blitz", {"validation_split": float("nan")}, "blitz.validation_split cannot be set"),
        ("blitz", {"fit": "all"}, "'all' is not one of 'head', 'finetune'"),
        ("blitz", {"epochs": 3}, "blitz.epochs cannot be set: there is no such setting"),
        ("custom", {}, "No model file is named"),
    ],
)
def test_what_is_no_choice_is_refused_and_changes_nothing(
    tmp_path: Path, kind: str, blitz: dict[str, Any], message: str
) -> None:
    chosen(tmp_path, "blitz", image_size=200)
    before = training_choice.in_force(tmp_path, PROJECT)
    with pytest.raises(SettingsError, match=message):
        chosen(tmp_path, kind, **blitz)
    assert training_choice.in_force(tmp_path, PROJECT) == before


def test_custom_needs_a_file_of_the_installation_or_of_the_project(tmp_path: Path) -> None:
    chosen(tmp_path, "custom", has_file=True)
    assert training_choice.settings_of(tmp_path, PROJECT).mode == "custom"
    named = replace(PROJECT, extra_params={"custom_model": "bird.py"})
    assert training_choice.choose(tmp_path, named, "custom", {}, has_file=False)


class TestAFileThatIsChosen:
    @pytest.fixture(autouse=True)
    def there(self, tmp_path: Path) -> None:
        folder = tmp_path / "custom_models"
        folder.mkdir()
        for name in ("bird.py", "bird.onnx", "bird.json", ".hidden.py", "_part.py"):
            (folder / name).write_text("")
        (folder / "folder.pt").mkdir()
        (tmp_path / "secret.py").write_text("")

    def choose(self, data_dir: Path, file: str, kind: str = "custom") -> None:
        training_choice.choose(data_dir, PROJECT, kind, {}, has_file=False, file=file)

    def test_is_one_of_the_folder_for_them(self, tmp_path: Path) -> None:
        assert training_choice.files(tmp_path) == ["bird.onnx", "bird.py"]
        self.choose(tmp_path, "bird.onnx")
        found = training_choice.settings_of(tmp_path, PROJECT)
        assert (found.mode, found.custom_model) == ("custom", "bird.onnx")

    def test_gives_way_to_one_that_the_extra_params_name_later(self, tmp_path: Path) -> None:
        self.choose(tmp_path, "bird.onnx")
        changed = replace(PROJECT, extra_params={**EXTRA_PARAMS, "custom_model": "bird.py"})
        assert training_choice.settings_of(tmp_path, changed).custom_model == "bird.py"

    @pytest.mark.parametrize(
        "file", ["../secret.py", "./bird.py", "/etc/passwd", "bird.json", ".hidden.py", "folder.pt", "", "missing.py"]
    )
    def test_is_never_a_path_nor_anything_else(self, tmp_path: Path, file: str) -> None:
        with pytest.raises(SettingsError, match="cannot be used for custom"):
            self.choose(tmp_path, file)
        assert training_choice.in_force(tmp_path, PROJECT) is None

    def test_belongs_to_no_other_kind(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be used for cold"):
            self.choose(tmp_path, "bird.py", "cold")


def test_without_a_folder_there_is_no_file_to_choose(tmp_path: Path) -> None:
    assert training_choice.files(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "cold"}', '{"kind": "cold", "blitz": {"x": 1}}'])
def test_a_damaged_file_is_none(tmp_path: Path, content: str) -> None:
    chosen(tmp_path, "blitz")
    (tmp_path / "projects" / PROJECT.key / "training.json").write_text(content)
    assert training_choice.in_force(tmp_path, PROJECT) is None
