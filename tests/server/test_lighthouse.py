"""Lighthouse, of the version that tests/lighthouse pins, on every page of the dashboard (slow: some five seconds a page)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import dashboard_scene as scene
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_HERE = Path(__file__).resolve().parents[1] / "lighthouse"
_LEAST = {"performance": 95, "accessibility": 100, "best-practices": 100}
# Chromium itself logs the status of the error's page, whatever is on it.
_UNAVOIDABLE = {"an error": {"errors-in-console"}}


@pytest.fixture
def audits(chromium: str, address: str) -> dict[str, Any]:
    """What Lighthouse says of each page."""
    node = shutil.which("node")
    if node is None or not (_HERE / "node_modules" / "lighthouse").is_dir():
        pytest.skip("no Lighthouse: it needs node 18.16 or newer and npm, and then `make browser` installs it")
    pages = {name: address + path for name, path in scene.PAGES.items()}
    asked = json.dumps({"chromium": chromium, "pages": pages})
    done = subprocess.run([node, "audit.mjs"], cwd=_HERE, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_page_is_fast_accessible_and_well_made(audits: dict[str, Any]) -> None:
    assert audits.keys() == scene.PAGES.keys()
    for name, found in audits.items():
        assert found["error"] is None, name
        told = {audit: why for audit, why in found["faults"].items() if audit not in _UNAVOIDABLE.get(name, ())}
        least = _LEAST if told == found["faults"] else {**_LEAST, "best-practices": 95}
        assert found["scores"].keys() == least.keys(), name
        short = {category: score for category, score in found["scores"].items() if score < least[category]}
        assert not short, f"{name}: {short}, {told}"
