"""One real Label Studio and one real `coldblitz serve` for a whole session of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ml_backend.demo.process import Backend, coldblitz
from ml_backend.demo.studio import Studio, environment_folder, label_studio


@pytest.fixture(scope="session")
def studio() -> Iterator[Studio]:
    if not (environment_folder() / "bin" / "label-studio").exists():
        pytest.skip("no Label Studio: `make setup` installs it")
    with label_studio() as running:
        yield running


@pytest.fixture(scope="session")
def backend(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The product without any weights: what the tests promise must hold on a machine that can download none."""
    data = tmp_path_factory.mktemp("backend")
    with coldblitz(studio.url, studio.token, data, settings={"BACKBONE_WEIGHTS": "none"}) as running:
        yield running
