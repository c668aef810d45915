"""Short scenes, drawn and encoded once, whose every box is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from filming import Filming

from benchmarks.objects.scenes import Filmed, Scene, film


@pytest.fixture(scope="session")
def filming(tmp_path_factory: pytest.TempPathFactory) -> Filming:
    folder: Path = tmp_path_factory.mktemp("scenes")
    done: dict[str, Filmed] = {}

    def make(scene: Scene) -> Filmed:
        if scene.name not in done:
            done[scene.name] = film(scene, folder)
        return done[scene.name]

    return make
