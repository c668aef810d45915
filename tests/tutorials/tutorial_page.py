"""A tutorial as it is written: its label config, its settings, and its commands, which can be run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ml_backend.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "tutorials"
# The number that the pages give the reader's project.
_PROJECT = "1"


@dataclass(frozen=True)
class TutorialPage:
    """`config`: the label config. `extra_params`: the settings. `drawing`: the command that makes the clips; `commands`: the others."""

    name: str
    config: str
    extra_params: Mapping[str, Any]
    drawing: str
    commands: tuple[str, ...]

    @classmethod
    def read(cls, name: str) -> TutorialPage:
        text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        (config,) = re.findall(r"^```xml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        text = text.replace(config, "")
        lines = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
        (settings,) = (line for line in lines if line.startswith("{"))
        (drawing,) = (line for line in lines if line.startswith("python "))
        commands = tuple(line for line in lines if line.startswith("coldblitz "))
        others = set(lines) - {settings, drawing, *commands}
        assert not others, f"{name}.md has lines of code that no test runs: {others}"
        return cls(name, config, json.loads(settings), drawing, commands)

    def importing(self) -> str:
        (line,) = (line for line in self.commands if line.startswith("coldblitz import "))
        return line

    def draw(self, folder: Path) -> subprocess.Popen[bytes]:
        """Begins to make the clips in `folder`."""
        _, script, *words = shlex.split(self.drawing)
        return subprocess.Popen([sys.executable, str(ROOT / script), *words], cwd=folder, env={"PYTHONPATH": str(ROOT)})


def run(line: str, project: int) -> str:
    """What a command of a page prints about a project, in the current folder; it must succeed."""
    words: list[str] = []
    for word in shlex.split(line, comments=True)[1:]:
        found = sorted(str(path) for path in Path().glob(word)) if "*" in word else []
        words += found or [str(project) if word == _PROJECT else word]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, f"{line}: {told.output}"
    return str(told.output)
