"""Imports point one way, heavy libraries stay in their rooms, and no module grows beyond what fits in a head."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"

# Each room of ml_backend may import those that follow it in its list, itself, and `EVERYWHERE`.
EVERYWHERE = {
    "__version__",
    "errors",
    "annotation",
    "project_settings",
    "described_settings",
    "settings",
    "processes",
    "checks",
    "detector_names",
    "logs",
    "prediction_item",
    "provenance",
    "researcher_files",
    "roi",
    "requests_transport",
    "transport",
    "wording",
}
MAY_USE: dict[str, set[str]] = {
    "store": set(),
    "video": {"store"},
    "features": {"store", "video", "sampling"},
    "learning": {"cards", "features", "store", "video", "sampling"},
    "cards": set(),
    "geometry": set(),
    "objects": {"features", "video", "sampling"},
    "labelstudio": {"video"},
    "queueing": {"labelstudio", "video"},
    "projects": {"cards", "queueing", "learning", "store", "video"},
    "jobs": {
        "cards",
        "geometry",
        "projects",
        "queueing",
        "labelstudio",
        "learning",
        "objects",
        "features",
        "store",
        "video",
        "sampling",
    },
    "export": {
        "cards",
        "formats",
        "geometry",
        "jobs",
        "projects",
        "queueing",
        "labelstudio",
        "learning",
        "objects",
        "features",
        "store",
        "video",
        "sampling",
    },
    "formats": set(),
    "importing": {"formats", "jobs", "labelstudio", "objects", "features", "video"},
    "stats": {"labelstudio"},
    "doctor": {"jobs", "projects", "queueing", "features", "store", "video", "labelstudio"},
    "server": {"cards", "geometry", "projects", "queueing", "labelstudio", "store"},
    "model": {"server", "projects", "queueing", "labelstudio"},
    "serve": {"projects", "queueing", "store"},
    "_wsgi": {"server", "projects", "store"},
    "commands": {
        "cards",
        "doctor",
        "export",
        "importing",
        "objects",
        "stats",
        "geometry",
        "jobs",
        "projects",
        "queueing",
        "learning",
        "store",
        "video",
        "labelstudio",
    },
    "cli": {"serve", "commands", "jobs", "projects", "store", "demo"},
    "demo": {"labelstudio", "video"},
    "project_settings": set(),
    "described_settings": set(),
    "settings": set(),
    "processes": set(),
    "errors": set(),
    "checks": set(),
    "detector_names": set(),
    "logs": set(),
    "prediction_item": set(),
    "provenance": set(),
    "researcher_files": set(),
    "roi": set(),
    "requests_transport": set(),
    "transport": set(),
    "wording": set(),
    "annotation": {"video"},
    "sampling": set(),
}
# The same for the rooms of jobs; beside them stands what every job needs.
JOBS_MAY_USE: dict[str, set[str]] = {
    "companion": set(),
    "individuals": set(),
    "training": {"companion", "individuals"},
    "predictions": {"companion", "individuals", "training"},
    "suggestions": {"companion", "individuals", "predictions"},
    "objects": {"individuals", "predictions"},
    "reconciling": {"companion", "training", "predictions"},
}
HEAVY_ROOMS = {
    "torch": {"features", "learning"},
    "transformers": {"features"},
    "flask": {"server", "model", "_wsgi", "demo"},
    "label_studio_ml": {"model"},
}


def modules() -> list[Path]:
    return sorted([*(ROOT / "ml_backend").rglob("*.py"), *(ROOT / "sampling").rglob("*.py")])


def room(module: str) -> str:
    """`ml_backend.jobs.training.train` is in `jobs`, `sampling.unique` in `sampling`, `ml_backend.commands.check` in `commands`."""
    parts = module.split(".")
    return parts[1] if parts[0] == "ml_backend" and len(parts) > 1 else parts[0]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its head or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ours(module: str) -> bool:
    return module.split(".")[0] in ("ml_backend", "sampling", "benchmarks", "tests")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    here = room(name_of(path))
    if here == "ml_backend":
        # What it exports is loaded when it is asked for: tests/test_public_names.py.
        return
    assert here in MAY_USE, f"{here} is a new room: say in MAY_USE what it may import"
    used = {room(module) for module in imports(path) if is_ours(module)}
    allowed = MAY_USE[here] | {here} | (EVERYWHERE if here != "sampling" else set())
    assert used <= allowed, f"{name_of(path)} imports {sorted(used - allowed)}"


def room_of_jobs(module: str) -> str | None:
    """`ml_backend.jobs.training.train` is in `training`, `ml_backend.jobs.job` in none."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["ml_backend", "jobs"] and parts[2:] and parts[2] in JOBS_MAY_USE else None


@pytest.mark.parametrize("path", [p for p in modules() if room(name_of(p)) == "jobs"], ids=name_of)
def test_the_rooms_of_jobs_point_one_way_too(path: Path) -> None:
    here = room_of_jobs(name_of(path))
    allowed = {None, here} | (JOBS_MAY_USE[here] if here else set())
    used = {room_of_jobs(module) for module in imports(path)}
    assert used <= allowed, f"{name_of(path)} imports {sorted(map(str, used - allowed))}"


def table_of_packages() -> dict[str, set[str]]:
    """What docs/architecture.md says that each package may import."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    return {package: set(re.findall(r"`(\w+)`", uses)) for package, uses in rows}


def test_the_documentation_says_the_same() -> None:
    packages = {path.name for path in (ROOT / "ml_backend").iterdir() if (path / "__init__.py").exists()} | {"sampling"}
    assert table_of_packages() == {name: MAY_USE[name] for name in packages}


def test_the_files_that_the_documentation_names_are_there() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", ARCHITECTURE.read_text()))
    assert len(named) > 40
    assert {name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "ml_backend"))} == set()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    here = room(name_of(path))
    for module in imports(path):
        library = module.split(".")[0]
        library = "torch" if library == "torchvision" else library
        assert here in HEAVY_ROOMS.get(library, {here}), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in modules() if room(name_of(p)) == "sampling"], ids=name_of)
def test_sampling_is_arrays_in_arrays_out(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "scipy", "imagehash", "sampling"}
    assert {module.split(".")[0] for module in imports(path)} <= allowed


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_fits_in_a_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_web_process_loads_nothing_heavy() -> None:
    loaded = loaded_by("import ml_backend.server.app")
    assert "flask" in loaded
    assert not loaded & {
        "torch",
        "torchvision",
        "transformers",
        "openvino",
        "label_studio_ml",
        "label_studio_sdk",
        "cv2",
        "norfair",
        "requests",
        "sklearn",
    }


def test_a_worker_loads_neither_flask_nor_torch_before_a_job_needs_it() -> None:
    loaded = loaded_by("import ml_backend.jobs.worker, ml_backend.jobs.reconciling.reconcile")
    assert "rq" in loaded
    assert not loaded & {"flask", "torch", "transformers", "label_studio_ml"}


def test_no_two_test_files_share_a_name() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, number in names.items() if number > 1] == [], "pytest imports the first of them only"
