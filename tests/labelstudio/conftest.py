from __future__ import annotations

from collections.abc import Iterator

import pytest
from loopback import serving
from told_studio import LEGACY, Studio

from ml_backend.labelstudio.studio import LabelStudio


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Studio, str]]:
    studio = Studio()
    with serving(studio) as address:
        yield studio, address


@pytest.fixture
def studio(server: tuple[Studio, str]) -> Studio:
    studio, _ = server
    studio.asked, studio.answers = [], {}
    return studio


@pytest.fixture
def url(server: tuple[Studio, str]) -> str:
    return server[1]


@pytest.fixture(scope="module")
def client(server: tuple[Studio, str]) -> LabelStudio:
    return LabelStudio(server[1] + "/", LEGACY, timeout=5)
