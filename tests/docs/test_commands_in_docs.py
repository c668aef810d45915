"""What the documentation tells a person to type is there: each command and option, each target, and what is cheap is run."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo.clips import SCRIPTS, make_clips

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
# What a wrong option, argument or value raises; typer exports it by its subclass only.
_UsageError = typer.BadParameter.__mro__[1]
# Words of a sentence in ticks, no commands to be typed.
_TYPED = re.compile(r"^(?:[A-Z_]+=\S+ )*((?:coldblitz|make|python) .+)$")


class Line(NamedTuple):
    """`whole`: to be typed as it stands, not only named in a sentence."""

    page: str
    text: str
    whole: bool = True

    @property
    def words(self) -> list[str]:
        """What a shell hands on; a comment is left out."""
        return shlex.split(self.text, comments=True)


def lines(page: Path) -> Iterator[Line]:
    """Commands in code blocks, and in ticks."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    ticked = [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    blocks = [*(line for block in fenced for line in block.splitlines()), *indented]
    for told, whole in [*((line, True) for line in blocks), *((words, False) for words in ticked)]:
        if found := _TYPED.match(told.strip()):
            yield Line(str(page.relative_to(ROOT)), found[1], whole)


TOLD = [line for page in PAGES for line in lines(page)]
OURS = sorted({line for line in TOLD if line.text.startswith("coldblitz ")})
MADE = sorted({line for line in TOLD if line.text.startswith("make ")})
PYTHON = sorted({line for line in TOLD if line.text.startswith("python ")})


def test_they_are_found() -> None:
    assert Line("README.md", "coldblitz check --project 1") in OURS
    assert Line("docs/reliability.md", "coldblitz reconcile 1 --json") in OURS
    assert any(line.text.startswith("make demo CHECK=1") for line in MADE)
    assert any("benchmarks.learning" in line.text for line in PYTHON)


@pytest.mark.parametrize("line", OURS, ids=lambda line: f"{line.page}: {line.text}")
def test_the_command_takes_it(line: Line) -> None:
    told = complaint(line.words[1:])
    assert told is None or (not line.whole and told.startswith("Missing parameter"))


@pytest.mark.parametrize(
    "words", [["sttus"], ["status", "--onc"], ["models", "lst"], ["check", "x.mp4", "--framerate", "many"], ["export"]]
)
def test_what_does_not_exist_would_be_noticed(words: list[str]) -> None:
    """Else the test above would prove nothing."""
    assert complaint(words)


@pytest.mark.parametrize("line", MADE, ids=lambda line: f"{line.page}: {line.text}")
def test_the_target_is_in_the_makefile(line: Line) -> None:
    targets = [word for word in line.words[1:] if "=" not in word]
    assert targets
    assert set(targets) <= TARGETS
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for variable in (word.partition("=")[0] for word in line.words[1:] if "=" in word):
        assert f"$({variable})" in makefile


@pytest.mark.parametrize("line", PYTHON, ids=lambda line: f"{line.page}: {line.text}")
def test_the_module_or_file_is_there_with_its_options(line: Line) -> None:
    what = line.words[1:]
    if what[0] != "-m":
        assert (ROOT / what[0]).is_file()
    elif what[1].startswith("benchmarks."):
        module = ROOT.joinpath(*what[1].split("."))
        source = (module / "__main__.py" if module.is_dir() else module.with_suffix(".py")).read_text(encoding="utf-8")
        if "add_options(" in source:
            source += (ROOT / "benchmarks" / "measured.py").read_text(encoding="utf-8")
        for option in re.findall(r"--[a-z-]+", line.text):
            assert f'"{option}"' in source
    else:
        assert what[1] in ("pytest",)


def test_every_command_shows_an_example_that_it_takes() -> None:
    told = list(examples("", COMMANDS))
    assert len(told) > 10
    for example in told:
        words = shlex.split(example.partition("coldblitz ")[2])
        assert words, f"{example!r} is no command"
        assert complaint(words) is None, example


def test_those_that_need_no_server_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `film.mp4` and `mine.py` there, as the pages have them."""
    (clip,) = make_clips(tmp_path, SCRIPTS[:1])
    clip.path.rename(tmp_path / "film.mp4")
    (tmp_path / "mine.py").write_text((ROOT / "docs" / "custom-models" / "brightness.py").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    offline = [
        line.words[1:]
        for line in OURS
        if line.words[1] in ("check", "custom")
        and "--project" not in line.text
        and "film.mp4" in line.words
        and (line.words[1] == "check" or "mine.py" in line.words)
    ]
    assert len(offline) >= 2
    for words in offline:
        told = CliRunner().invoke(app, words)
        assert told.exit_code == 0, f"{words}: {told.output}"


def test_make_lists_its_targets() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "docs"):
        assert f"make {target}" in told


def complaint(words: list[str]) -> str | None:
    """What the command says to `words` before it does anything; None when it would begin."""
    command = COMMANDS
    while below := getattr(command, "commands", None):
        if not words or words[0] not in below:
            return f"there is no command {' '.join(words[:1])!r}"
        command, words = below[words[0]], words[1:]
    try:
        command.make_context(command.name, list(words))
    except _UsageError as error:
        return str(error)
    return None


def examples(name: str, command: Any) -> Iterator[str]:
    for word, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from examples(f"{name} {word}".strip(), below)
        elif not below.hidden:
            yield " ".join((below.help or "").split()).partition("Example: ")[2]
