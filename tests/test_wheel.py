"""The wheel: that what it requires goes together, and that it works where nothing but that is installed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
import requests
from loopback import closed_port
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ml_backend

ROOT = Path(__file__).resolve().parents[1]
UPSTREAM = "label-studio-ml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def required(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the wheel's metadata requires, in the words of the wheel."""
    folder = tmp_path_factory.mktemp("metadata")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, folder], check=True)
    (found,) = distributions(path=[str(folder)])
    assert found.version == ml_backend.__version__
    return found.requires or []


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text()
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def wanted_by(requirements: list[str], extra: str = "") -> Iterator[Requirement]:
    """Those that hold on this machine."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def closure(requirements: list[str]) -> dict[str, tuple[Distribution, list[tuple[str, Requirement]]]]:
    """All that `requirements` bring, by name: what is installed of it, and who wants it how."""
    found: dict[str, tuple[Distribution, list[tuple[str, Requirement]]]] = {}
    waiting = [("coldblitz", each) for each in wanted_by(requirements)]
    seen = set()
    while waiting:
        who, wish = waiting.pop()
        name = canonicalize_name(wish.name)
        installed = found.setdefault(name, (distribution(name), []))
        installed[1].append((who, wish))
        for extra in ("", *wish.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(name, each) for each in wanted_by(installed[0].requires or [], extra)]
    return found


def contradictions(requirements: list[str]) -> list[str]:
    """Who wants what the lock does not pin like that."""
    pinned = pins("product.lock")
    return [
        f"{who} wants {wish}, and the lock has {pinned.get(name)}"
        for name, (_, wishes) in closure(requirements).items()
        for who, wish in wishes
        if name not in pinned or not wish.specifier.contains(pinned[name], prereleases=True)
    ]


def test_all_that_is_required_goes_together(required: list[str]) -> None:
    """The lock is one answer that pip's resolver can find."""
    assert contradictions(required) == []


def test_with_upstreams_package_it_would_not(required: list[str]) -> None:
    assert any(f"{UPSTREAM} wants flask" in each.lower() for each in contradictions([*required, f"{UPSTREAM}==1.0.9"]))


def test_upstreams_package_is_in_the_locks_and_not_among_the_requirements(required: list[str]) -> None:
    assert UPSTREAM not in {canonicalize_name(Requirement(each).name) for each in required}
    assert pins("product.lock")[UPSTREAM] == pins("dev.lock")[UPSTREAM] == "1.0.9"


@pytest.fixture(scope="module")
def installed(wheel: Path, required: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with the wheel and what it requires, taken from this one, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    libraries = folder / "libraries"
    libraries.mkdir()
    for installed, _ in closure(required).values():
        for top in {Path(file).parts[0] for file in installed.files or [] if not file.is_absolute()} - {".."}:
            if not (libraries / top).exists():
                (libraries / top).symlink_to(installed.locate_file(top))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    scripts = folder / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    (site,) = (folder / "venv").glob("lib/python3*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n")
    return scripts


def environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **more}


def run(tmp_path: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)


def test_the_command_tells_its_version(installed: Path, tmp_path: Path) -> None:
    told = run(tmp_path, installed / "coldblitz", "--version")
    assert (told.stdout, told.stderr) == (f"coldblitz {ml_backend.__version__}\n", "")


def test_both_packages_are_imported(installed: Path, tmp_path: Path) -> None:
    code = "import ml_backend, sampling; print(ml_backend.__file__); sampling.auto; ml_backend.create_app"
    told = run(tmp_path, installed / "python", "-c", code)
    assert told.stderr == ""
    assert Path(told.stdout).is_relative_to(installed.parent)


def imported(path: Path) -> Iterator[str]:
    """The libraries that a file imports, at its head or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_nothing_is_imported_that_is_not_required(installed: Path, tmp_path: Path) -> None:
    """But for what comes with an extra, and upstream's package."""
    used = {
        name
        for package in ("ml_backend", "sampling")
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
    }
    code = (
        "import importlib.util, sys; print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
    )
    told = run(tmp_path, installed / "python", "-c", code, *sorted(used))
    assert "flask" in used
    assert set(told.stdout.split()) == {"huggingface_hub", "label_studio_ml", "transformers"}


def test_the_class_for_upstreams_server_says_how_to_get_that(installed: Path, tmp_path: Path) -> None:
    told = run(tmp_path, installed / "python", "-c", "import ml_backend.model")
    assert re.search(r"^ImportError: .*label-studio-ml.*: pip install --no-deps", told.stderr, re.MULTILINE)


def test_it_serves(installed: Path, tmp_path: Path) -> None:
    port = closed_port()
    settings = {
        "LABEL_STUDIO_URL": f"http://127.0.0.1:{closed_port()}",
        "LABEL_STUDIO_API_KEY": "the-token",
        "DATA_DIR": str(tmp_path / "data"),
        "BACKBONE_WEIGHTS": "none",
        "PORT": str(port),
    }
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [installed / "coldblitz", "serve"], cwd=tmp_path, env=environment(**settings), stdout=log, stderr=log
        )
        try:
            assert answer_of(f"http://127.0.0.1:{port}/health", process) == 200, (tmp_path / "log").read_text()
        finally:
            process.terminate()
            assert process.wait(60) == 0, (tmp_path / "log").read_text()


def answer_of(url: str, process: subprocess.Popen[bytes]) -> int | None:
    """The status, as soon as there is one; None when the process ends before."""
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        try:
            return requests.get(url, timeout=5).status_code
        except requests.RequestException:
            time.sleep(0.2)
    return None
