"""Nothing that a person can set, call or run is missing from the documentation, and its site holds together."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from ml_backend.described_settings import BLITZ, described_settings
from ml_backend.project_settings import BlitzSettings, ProjectSettings
from ml_backend.settings import _ALIASES, Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` writes it; warnings, such as those of links that lead nowhere, are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


def rows(text: str) -> set[str]:
    """What the first cells of the tables name."""
    cells = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


class TestReadme:
    README = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_every_variable_has_a_line(self) -> None:
        used = set(
            re.findall(r"""(?:environ(?:ment)?\.get\(|environment, )"([A-Z_]+)\"""", sources("settings", "logs"))
        )
        assert {*_ALIASES.values(), "CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"} <= set(
            re.findall(r"`([A-Z_]+)`", self.README)
        )
        assert used >= {field.name.upper() for field in fields(Settings)}
        assert used <= rows(self.README)

    def test_every_extra_param_has_a_line_with_its_default(self) -> None:
        assert {field.name for field in fields(ProjectSettings)} <= rows(self.README)
        for field in fields(ProjectSettings):
            if isinstance(field.default, str | int | float) and not isinstance(field.default, bool):
                shown = f'"{field.default}"' if isinstance(field.default, str) else f"{field.default}"
                assert f"| `{field.name}` | `{shown}` |" in self.README

    def test_every_extra_param_is_explained_as_in_the_form(self) -> None:
        described = described_settings()
        own = {each.name: each.told for each in described if not each.name.startswith(BLITZ)}
        assert own.keys() == {field.name for field in fields(ProjectSettings)} - {BLITZ[:-1]}
        for name, told in own.items():
            assert re.search(rf"^\| `{name}` \| [^|]+ \| {re.escape(told)} \|$", self.README, re.MULTILINE), name
        blitz = [each for each in described if each.name.startswith(BLITZ)]
        assert [each.name for each in blitz] == [f"{BLITZ}{field.name}" for field in fields(BlitzSettings)]
        parts = [f"`{each.name.removeprefix(BLITZ)}` (`{json.dumps(each.default)}`): {each.told}" for each in blitz]
        assert f" {'; '.join(parts)} |\n" in self.README


class TestSite:
    def test_every_page_is_in_the_navigation_once_and_was_written(self, site: Path) -> None:
        navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
        for page in sorted((ROOT / "docs").rglob("*.md")):
            name = page.relative_to(ROOT / "docs")
            assert navigation.count(f": {name}\n") == 1
            folder = name.parent if name.name in ("README.md", "index.md") else name.with_suffix("")
            assert (site / folder / "index.html").is_file()

    def test_nothing_in_it_is_fetched_from_elsewhere(self, site: Path) -> None:
        pages = [path.read_text(encoding="utf-8") for path in site.rglob("*.html")]
        assert len(pages) > 20
        for page in pages:
            for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page):
                assert "//" not in tag.replace("data:", ""), tag
        for style in site.rglob("*.css"):
            assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8"))

    def test_what_is_written_elsewhere_is_put_in(self, site: Path) -> None:
        for page in site.rglob("*.html"):
            assert "<!-- include" not in page.read_text(encoding="utf-8")
        settings = (site / "reference/settings/index.html").read_text(encoding="utf-8")
        assert "<code>CACHE_MAX_BYTES</code>" in settings
        assert "<code>hash_threshold</code>" in settings
        assert "tests/chaos" in (site / "security/index.html").read_text(encoding="utf-8")
        assert "coldblitz_jobs_ended_total" in (site / "reference/metrics/index.html").read_text(encoding="utf-8")

    def test_every_command_and_route_has_a_section(self, site: Path) -> None:
        commands = (site / "reference/commands/index.html").read_text(encoding="utf-8")
        for name in ("serve", "status", "models list", "custom check", "export"):
            assert f">coldblitz {name}<" in commands
        assert "run-worker" not in commands
        api = (site / "reference/http/index.html").read_text(encoding="utf-8")
        described = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
        for path, item in described["paths"].items():
            for method in item.keys() - {"parameters"}:
                assert f">{method.upper()} {path}<" in api
        for name in described["components"]["schemas"]:
            assert f'id="{name.lower()}"' in api

    def test_example_files_can_be_opened(self, site: Path) -> None:
        for example in (ROOT / "docs" / "custom-models").glob("*.py"):
            assert (site / "custom-models" / example.name).read_bytes() == example.read_bytes()
        assert (site / "openapi.yaml").is_file()


def sources(*modules: str) -> str:
    return "\n".join((ROOT / "ml_backend" / f"{name}.py").read_text(encoding="utf-8") for name in modules)
