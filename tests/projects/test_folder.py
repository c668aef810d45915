"""The folder of a project: where things are, and what is left of it when its project is gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ml_backend
from ml_backend.projects.folder import ProjectFolder

KEY = "7.1769860800"
# As every release has laid them out.
PLACES = {
    **{
        name: name
        for name in (
            "models",
            "detectors",
            "exports",
            "labelled",
            "predictions",
            "order",
            "stopping",
            "views",
            "sheets",
            "playback",
        )
    },
    "pictures": "pictures",
    "bouts": "bouts",
    "tracks": "tracks",
    "submitted_tracks": "submitted_tracks",
    "track_faults": "track_faults",
    "track_questions": "track_questions",
    "account": "labelled/account",
    "training": "training.json",
    "quality": "quality.json",
    "identities": "tasks.rows",
    "video_contents": "contents.rows",
    "task_labels": "task_labels.json",
    "studio": ".studio",
}
MADE_AGAIN = {
    *("predictions", "order", "stopping", "views", "sheets", "playback", "pictures", "bouts"),
    *("tracks", "submitted_tracks", "track_faults", "track_questions"),
}


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    return ProjectFolder(tmp_path, KEY)


@pytest.mark.parametrize(("name", "place"), PLACES.items())
def test_everything_has_its_place(folder: ProjectFolder, tmp_path: Path, name: str, place: str) -> None:
    assert getattr(folder, name) == tmp_path / "projects" / KEY / place
    assert folder.lock("train") == tmp_path / "projects" / KEY / ".train.lock"


def test_these_are_all_places() -> None:
    assert {name for name, kind in vars(ProjectFolder).items() if isinstance(kind, property)} == {
        *PLACES,
        "path",
        "_gone",
    }


def test_nobody_else_says_where_they_are() -> None:
    root = Path(ml_backend.__file__).parent
    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if re.search(r'/ "projects"', path.read_text())}
    assert found == {"projects/folder.py"}


def test_forgetting_leaves_what_cannot_be_made_again(folder: ProjectFolder) -> None:
    for place in PLACES.values():
        (folder.path / place / "x").mkdir(parents=True)
    assert folder.forget()
    left = {name for name, place in PLACES.items() if (folder.path / place / "x").exists()}
    assert left == set(PLACES) - MADE_AGAIN
    gone = folder.seconds_gone()
    assert gone is not None
    assert 0 <= gone < 60
    folder.unmark()
    assert folder.seconds_gone() is None
    folder.remove()
    assert not folder.path.exists()


def test_a_project_without_a_folder_is_forgotten_too(folder: ProjectFolder, tmp_path: Path) -> None:
    assert not folder.forget()
    assert list(tmp_path.iterdir()) == []
    assert list(ProjectFolder.all(tmp_path)) == []


def test_all_folders_are_found(folder: ProjectFolder, tmp_path: Path) -> None:
    folder.models.mkdir(parents=True)
    (tmp_path / "projects" / "a file").touch()
    assert list(ProjectFolder.all(tmp_path)) == [folder]
