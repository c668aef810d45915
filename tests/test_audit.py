"""The check of the lock files for releases with known vulnerabilities, without a network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ranges(audit: ModuleType) -> list[tuple[object, str]]:
    listed: list[tuple[object, str]] = audit.known((ROOT / "requirements" / "known-vulnerable.txt").read_text())
    return listed


def test_what_we_install_is_not_on_the_list(audit: ModuleType) -> None:
    assert audit.main([]) == 0


@pytest.mark.parametrize(
    "pin", ["flask==1.1.2", "Flask==2.3.1", "werkzeug==2.0.2", "jinja2==3.0.3", "requests==2.26.0", "torch==2.5.1"]
)
def test_what_label_studio_ml_would_install_is_found(
    audit: ModuleType, ranges: list[tuple[object, str]], pin: str
) -> None:
    found = audit.vulnerable(audit.pins(f"{pin} \\\n    --hash=sha256:0\nclick==8.1.0\n"), ranges)
    assert found
    assert all(sentence.lower().startswith(pin.lower().replace("==", " ")) and "CVE-" in sentence for sentence in found)


@pytest.mark.parametrize("pin", ["flask==3.1.0", "werkzeug==3.1.3", "an-unknown-one==1.0"])
def test_a_sound_release_is_not(audit: ModuleType, ranges: list[tuple[object, str]], pin: str) -> None:
    assert audit.vulnerable(audit.pins(pin), ranges) == []


def test_the_locks_are_read_whole(audit: ModuleType) -> None:
    for name in audit.LOCKS:
        text = (ROOT / "requirements" / name).read_text()
        assert len(audit.pins(text)) == text.count("==")


def test_every_line_of_the_list_says_what_is_wrong(ranges: list[tuple[object, str]]) -> None:
    assert len(ranges) > 20
    assert all(why.startswith("CVE-") for _, why in ranges)
