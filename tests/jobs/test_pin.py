"""Which version may be pinned over which, and which versions are ours."""

from __future__ import annotations

import pytest
from known_project import predicted, project
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.pinning import pin
from ml_backend.jobs.project import open_project
from ml_backend.labelstudio.regions import is_ours


@pytest.mark.parametrize(
    ("version", "ours"),
    [
        ("keyframes-v1", True),
        ("cold-v1", True),
        ("blitz-v12", True),
        ("custom-pose-v3", True),
        ("custom-a b-v3", False),
        ("", False),
        ("cold", False),
        ("cold-v", False),
        ("my-cold-v1", False),
        ("cold-v1-old", False),
        ("Coldblitz", False),
        ("undefined", False),
        ("custom-../../x-v1", False),
    ],
)
def test_our_versions_are_told_from_others_by_their_name(version: str, ours: bool) -> None:
    assert is_ours(version) == ours


class TestPinning:
    @pytest.mark.parametrize(
        ("before", "version", "after"),
        [
            ("", "keyframes-v1", "keyframes-v1"),
            ("Coldblitz", "keyframes-v1", "keyframes-v1"),  # a backend's title: the stream shows nothing under it
            ("detector-7", "keyframes-v1", "detector-7"),  # somebody's own choice
            ("detector-7", "cold-v1", "cold-v1"),
            ("keyframes-v1", "cold-v1", "cold-v1"),
            ("cold-v1", "cold-v2", "cold-v2"),
            ("cold-v2", "cold-v2", "cold-v2"),
        ],
    )
    def test_suggestions_do_not_push_aside_another_models_version(
        self, context: JobContext, studio: Studio, before: str, version: str, after: str
    ) -> None:
        for each in ("detector-7", "cold-v1"):
            predicted(studio, 1, each)
        project(studio)["model_version"] = before
        pin(open_project(context, KEY), version)
        assert project(studio)["model_version"] == after
