"""One real Label Studio for a whole session of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ml_backend.demo.studio import Studio, environment_folder, label_studio


@pytest.fixture(scope="session")
def studio() -> Iterator[Studio]:
    if not (environment_folder() / "bin" / "label-studio").exists():
        pytest.skip("no Label Studio: `make setup` installs it")
    with label_studio() as running:
        yield running
