"""The pages of the tutorials hold together: what is to be pasted is understood whole, and they are short."""

from __future__ import annotations

import re

import pytest
from tutorial_page import FOLDER, TutorialPage

from ml_backend.demo.tutorials import MAKERS
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.setting_conflicts import ModelFiles, setting_conflicts
from ml_backend.project_settings import parse_project_settings

_WORDS_IN_TEN_MINUTES = 1500
_LARGEST_PICTURE = 150_000


@pytest.mark.parametrize("name", MAKERS)
def test_the_label_config_asks_nothing_that_is_left_alone_and_the_settings_are_about_it(name: str) -> None:
    page = TutorialPage.read(name)
    config = parse_label_config(page.config)
    assert config.left_alone == ()
    assert {question.framerate for question in (*config.questions, *config.tracks)} == {"$fps"}
    _, problems = parse_project_settings(page.extra_params)
    assert problems == ()
    assert setting_conflicts(page.extra_params, config, ModelFiles()) == ()


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_read_in_ten_minutes_and_its_pictures_are_small(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert len(re.findall(r"\w+", text)) <= _WORDS_IN_TEN_MINUTES
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) >= 2
    for picture in pictures:
        assert (FOLDER / picture).stat().st_size <= _LARGEST_PICTURE
