"""Labels, names and other people's words are printed as they are, whatever a terminal library would make of them."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from rich.table import Table

from ml_backend.commands.jobs import report
from ml_backend.commands.terminal import progress_bars, terminal

ROOT = Path(__file__).resolve().parents[2] / "ml_backend"
ODD = ["[/x]", "[bold]", "[red]cat[/red]", ":cat:", "[link=http://evil.example]x[/link]", "\\[x]", "a[1]"]


@pytest.mark.parametrize("label", ODD)
def test_a_label_is_text_wherever_it_stands(label: str) -> None:
    written = io.StringIO()
    console = terminal(file=written, width=200)
    table = Table("label", label, title=label)
    table.add_row("frames", label)
    console.print(label)
    console.print(table)
    assert written.getvalue().count(label) == 4


@pytest.mark.parametrize("label", ODD)
def test_what_a_job_says_of_it_too(label: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([{"job": "train", "state": "finished", "text": f"No example of {label}."}], False, of="job")
    assert label in capsys.readouterr().out


@pytest.mark.parametrize("label", ODD)
def test_and_a_bar(label: str) -> None:
    with progress_bars(quiet=False) as bars:
        bars.console.file = io.StringIO()
        bars.add_task(label, total=1)
        [text] = bars.make_tasks_table(bars.tasks).columns[0].cells
        assert str(text) == label


@pytest.mark.parametrize(
    "path", [ROOT / "cli.py", *sorted((ROOT / "commands").glob("*.py"))], ids=lambda path: path.stem
)
def test_no_command_prints_otherwise(path: Path) -> None:
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    if path.stem != "terminal":
        assert not {name for name in called if name.split(".")[-1] in ("Console", "Progress", "track", "from_markup")}
