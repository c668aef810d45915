"""What outsiders may import: the names that both packages export, and what importing them brings along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ml_backend
import sampling
from ml_backend.cli import app
from ml_backend.errors import ColdblitzError
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

ML_BACKEND = ["Coldblitz", "ColdblitzError", "ModelVersion", "RegionId", "Settings", "__version__", "create_app"]
SAMPLING = [
    *("Candidates", "Quality", "Strategy"),
    *("at_random", "auto", "boundary", "disagreement", "diverse", "embedding_differences", "entropy", "entropy_of"),
    *(
        "good",
        "grey_differences",
        "groups",
        "hash_differences",
        "hash_numbers",
        "hash_pairs",
        "image_hashes",
        "instead",
        "k_centre",
    ),
    *("least_certain_first", "margin", "per_shot", "prompted", "quality", "rare", "score_among", "shots"),
    *("telling", "thin", "uncertain", "uniform", "unique", "unique_stream"),
]


def loaded_by(statement: str) -> set[str]:
    """All modules that a fresh interpreter has loaded after `statement`, beyond those it loads anyway."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_packages_export_these_names() -> None:
    assert ml_backend.__all__ == sorted(ML_BACKEND)
    assert sampling.__all__ == sorted(SAMPLING)


@pytest.mark.parametrize("name", SAMPLING)
def test_a_strategy_is_what_its_name_says_although_its_module_has_the_same(name: str) -> None:
    assert callable(getattr(sampling, name))


@pytest.mark.filterwarnings("ignore")  # upstream's imports are of 2022
@pytest.mark.parametrize("name", [name for name in ML_BACKEND if name != "__version__"])
def test_a_name_of_the_backend_is_the_thing_itself(name: str) -> None:
    assert getattr(ml_backend, name).__name__ == name
    assert name in dir(ml_backend)


def test_they_are_those_that_the_backend_uses() -> None:
    assert (ml_backend.Settings, ml_backend.ColdblitzError) == (Settings, ColdblitzError)
    assert ml_backend.create_app is create_app


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ml_backend' has no attribute 'Label'"):
        ml_backend.Label  # noqa: B018


def test_importing_the_backend_loads_no_module_of_it() -> None:
    loaded = loaded_by("import ml_backend")
    assert {module for module in loaded if module.startswith("ml_backend.")} == set()
    assert {module.split(".")[0] for module in loaded} <= {*sys.stdlib_module_names, "ml_backend"}


def test_importing_sampling_needs_numpy_and_scipy_alone() -> None:
    loaded = {module.split(".")[0] for module in loaded_by("import sampling")}
    assert "scipy" in loaded
    assert not loaded & {"ml_backend", "torch", "cv2", "av", "flask"}


def test_the_command_tells_the_version() -> None:
    from typer.testing import CliRunner

    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"coldblitz {ml_backend.__version__}\n")


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((Path(__file__).resolve().parents[1] / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["version"], cited["license"]) == (ml_backend.__version__, "Apache-2.0")
