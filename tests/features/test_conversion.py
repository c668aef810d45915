"""A network is converted once for all processes that share a folder, ahead of the first job, and again when it is damaged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml_backend.features.backbones import Backbone
from ml_backend.features.network_conversion import CPU_BATCH, converted
from ml_backend.features.silent_openvino import ov
from ml_backend.features.weights import Weights
from ml_backend.processes import locked

ROOT = Path(__file__).resolve().parents[2]


UNTRAINED = Weights(None, "untrained")


def copied(converted_weights: Path, folder: Path) -> Path:
    """The converted network, as another process has put it into `folder`."""
    for ending in (".bin", ".xml"):
        shutil.copy(converted_weights / f"mobilenet_v2-untrained{ending}", folder)
    return folder / "mobilenet_v2-untrained.xml"


def run(home: Path, code: str) -> list[str]:
    """The words that a process of nobody's home and settings writes."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()


def test_what_was_converted_ahead_needs_no_torch(converted_weights: Path, tmp_path: Path, backbone: Backbone) -> None:
    words = run(
        tmp_path,
        "import sys; from pathlib import Path; from ml_backend.features.backbones import load_backbone; "
        f"backbone = load_backbone('mobilenet_v2', 'none', 'cpu', Path({str(converted_weights)!r})); "
        "print(backbone.key, 'torch' in sys.modules)",
    )
    assert words == [backbone.key, "False"]


@pytest.mark.parametrize("ending", [".xml", ".bin"])
def test_one_that_is_damaged_is_converted_again(ending: str, converted_weights: Path, tmp_path: Path) -> None:
    network = copied(converted_weights, tmp_path)
    damaged = network.with_suffix(ending)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    converted("mobilenet_v2", UNTRAINED, tmp_path)
    assert ov.Core().read_model(network).inputs[0].shape == [CPU_BATCH, 160, 160, 3]
    assert {path.suffix for path in tmp_path.iterdir()} == {".xml", ".bin", ".lock"}


def test_who_waits_for_another_process_to_convert_it_does_not_convert_it_too(
    converted_weights: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path / "mobilenet_v2-untrained.lock"):
            waiting = pool.submit(converted, "mobilenet_v2", UNTRAINED, tmp_path)
            network = copied(converted_weights, tmp_path)
            of_the_other = network.stat().st_ino
        waiting.result()
    assert network.stat().st_ino == of_the_other


class TestOpenVino:
    def test_tells_nobody_that_it_is_used(self, tmp_path: Path) -> None:
        """Its reports begin with a number for the user, kept in the home folder."""
        modules = "ml_backend.features.runtimes, ml_backend.learning.custom.loader"
        assert run(tmp_path, f"import {modules}, sys; print('openvino_telemetry.main' in sys.modules)") == ["False"]
        assert not list(tmp_path.iterdir())

    def test_is_imported_in_one_place(self) -> None:
        modules = [path for path in (ROOT / "ml_backend").rglob("*.py") if path.name != "silent_openvino.py"]
        importing = re.compile(r"^\s*(import|from) openvino\b", re.MULTILINE)
        assert [path.name for path in modules if importing.search(path.read_text(encoding="utf-8"))] == []
