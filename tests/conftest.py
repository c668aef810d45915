"""What all tests share: they see none of the person's own settings, and find the real videos when there are some."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from real_studio import backend, studio

from ml_backend import logs

__all__ = ["backend", "studio"]

# A busy machine is no failure.
settings.register_profile("coldblitz", deadline=None)
settings.load_profile("coldblitz")

_OURS = (
    "LABEL_STUDIO_",
    "BASIC_AUTH_",
    "BACKBONE",
    "REDIS_URL",
    "DATA_DIR",
    "CUSTOM_MODEL",
    "WORKERS",
    "DEVICE",
    "EMBEDDING_RUNTIME",
    "PORT",
    "HOST",
    "ALLOW_NO_LOGIN",
    "VIDEO_HOSTS",
)

# What is run in the background of a shell ignores Ctrl+C, and so do its children; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# At import, so that it also holds for fixtures of the whole session.
for name in [name for name in os.environ if name.startswith(_OURS)]:
    del os.environ[name]


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    """What a test hides is not hidden from the texts of the next one."""
    before = set(logs._hidden)
    yield
    logs._hidden.clear()
    logs._hidden.update(before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real labelled videos and weights (`COLDBLITZ_DATA`, or `shared/data` beside the checkout)."""
    checkout = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("COLDBLITZ_DATA") or checkout.parent / "shared" / "data")
    if not (folder / "videos" / "labels.json").exists():
        pytest.skip(f"no real videos at {folder}")
    return folder


@pytest.fixture(scope="session")
def converted_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the untrained backbone as `coldblitz serve` converts it ahead of the first job, which takes ten seconds."""
    data = tmp_path_factory.mktemp("converted")
    settings = {"LABEL_STUDIO_URL": "http://studio.invalid", "LABEL_STUDIO_API_KEY": "x", "BACKBONE_WEIGHTS": "none"}
    environment = {**os.environ, **settings, "DATA_DIR": str(data)}
    subprocess.run([sys.executable, "-m", "ml_backend.features.backbones"], env=environment, check=True)
    return data / "weights"


@pytest.fixture(scope="session")
def warm(converted_weights: Path) -> Callable[[Path], Path]:
    """Puts the converted backbone into a data folder, as one that was used before has it; returns the folder."""

    def put(data: Path) -> Path:
        shutil.copytree(converted_weights, data / "weights", dirs_exist_ok=True)
        return data

    return put
