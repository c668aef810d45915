"""`coldblitz models`: the model versions of a project. `coldblitz custom`: a researcher's own file, tried before a project needs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_backend.cards.measurements import ConfusionTable, LabelScore, ReliabilityBin
from ml_backend.cards.model_card import ModelCard
from ml_backend.commands.backend import Url, backend
from ml_backend.commands.terminal import terminal
from ml_backend.errors import ColdblitzError
from ml_backend.projects.model_versions import CardInLine, CurvePoint
from ml_backend.settings import Settings
from ml_backend.wording import listed, some

if TYPE_CHECKING:
    from ml_backend.learning.custom.check import CustomCheck


app = typer.Typer(help="Model versions of a project.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(help="Number of the project in Label Studio.")]
Version = Annotated[str, typer.Argument(help="A model version, for example cold-v3.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# Kept with a version's settings, and shown apart from them.
_OF_THE_BACKBONE = ("fingerprint", "backbone_trained", "backbone_source", "backbone_license")


@app.command(name="list")
def list_(project: Project, url: Url = None, as_json: AsJson = False) -> None:
    """All versions, the oldest first. Example: coldblitz models list 1"""
    rows = backend(url).models(project)
    if as_json:
        terminal().print_json(json.dumps([row.as_json() for row in rows]))
        return
    table = Table("version", "active", "videos", "labeled frames", "macro-F1 on held-out videos", "created")
    for row in rows:
        table.add_row(
            row.name,
            "yes" if row.active else "",
            str(row.videos),
            str(row.labelled_frames),
            _score(row.macro_f1, row.macro_f1_interval),
            row.created,
        )
    terminal().print(table)


@app.command()
def show(project: Project, version: Version, url: Url = None, as_json: AsJson = False) -> None:
    """A version's model card. Example: coldblitz models show 1 cold-v3"""
    shown = backend(url).model_card(project, version)
    if as_json:
        terminal().print_json(json.dumps(shown.as_json()))
        return
    for table in _tables(shown):
        terminal().print(table)


@app.command()
def activate(project: Project, version: Version, url: Url = None, as_json: AsJson = False) -> None:
    """Rolls a version out, be it an older one or one kept back. Example: coldblitz models activate 1 cold-v2"""
    backend(url).activate(project, version)
    _tell({"wanted": version}, f"{version} is being rolled out; see `coldblitz status`.", as_json)


@app.command()
def delete(project: Project, version: Version, url: Url = None, as_json: AsJson = False) -> None:
    """Removes a version's files; its predictions stay in Label Studio. Example: coldblitz models delete 1 cold-v1"""
    backend(url).delete(project, version)
    _tell({"deleted": version}, f"{version} is deleted.", as_json)


def _tell(done: Mapping[str, str], sentence: str, as_json: bool) -> None:
    terminal().print_json(json.dumps(done)) if as_json else terminal().print(sentence)


def _tables(shown: CardInLine) -> Iterator[Table]:
    card, metrics = shown.card, shown.card.measured
    yield _pairs(f"Model card of {card.name}", _origin(card))
    yield _pairs("Score on held-out videos", _scores(card))
    if metrics.labels:
        yield _label_table(metrics.labels)
    if metrics.confusion:
        yield _confusion(metrics.confusion)
    if metrics.reliability:
        yield _reliability(metrics.reliability)
    if len(shown.learning_curve) > 1:
        yield _curve(shown.learning_curve)


def _origin(card: ModelCard) -> dict[str, str]:
    settings = card.settings
    ids = ", ".join(sorted(card.annotations, key=lambda number: (len(number), number)))
    seconds, size = card.train_seconds, card.file_bytes
    asked = {name: value for name, value in settings.items() if name not in _OF_THE_BACKBONE}
    found = {
        "kind": card.kind,
        "created": card.created,
        "decision": card.decision or "none yet",
        **({"comes from": card.comes_from} if card.origin else {}),
        "labels": listed(card.labels) + (" (one per frame)" if card.exclusive else " (several per frame)"),
        "never predicted": some(card.lacking) or "none",
        "learned from": f"{card.labelled_frames} frames of {card.videos} videos",
        "annotations": f"{len(card.annotations)}, hash {card.annotations_hash}" + (f": {ids}" if ids else ""),
        "backbone": card.backbone + (" (untrained)" if settings.get("backbone_trained") is False else ""),
        "its weights": str(settings.get("backbone_source") or "not noted"),
        "their license": str(settings.get("backbone_license") or "not noted"),
        "settings": ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None) or "none",
        "seed": str(card.seed),
        "training": "not measured" if seconds is None else f"{seconds:.2f} s",
        "file": ("" if size is None else f"{size / 1e6:.2f} MB, ") + f"sha256 {card.weights_sha256}",
    }
    if card.kind.startswith("custom-"):
        for learnt in (
            "learned from",
            "annotations",
            "backbone",
            "its weights",
            "their license",
            "settings",
            "seed",
            "training",
        ):
            del found[learnt]
    return found


def _scores(card: ModelCard) -> dict[str, str]:
    metrics = card.measured
    if not metrics.judgement:
        return {"judgement": "Not measured yet."}
    quick = "" if card.metrics.is_full else " (quick check with two folds; the full evaluation follows the roll-out)"
    segments = metrics.segments
    counts = (
        f" ({segments.found} of {segments.true} found, {segments.predicted} predicted)"
        if segments and segments.true
        else ""
    )
    return {
        "judgement": metrics.judgement + quick,
        "frames": str(metrics.frames),
        "macro-F1": _score(metrics.macro_f1, metrics.macro_f1_interval),
        "segment F1 at IoU 0.5": _number(metrics.segment_f1) + counts,
        "boundary error": _number(metrics.boundary_error_frames, " frames", 1),
        "calibration error": _number(metrics.calibration_error),
        "temperature": _number(card.calibration.temperature),
    }


def _label_table(labels: Mapping[str, LabelScore]) -> Table:
    table = Table("label", "precision", "recall", "F1", "95 % interval", "frames", title="Each label")
    for label, score in labels.items():
        table.add_row(
            label,
            *map(_number, (score.precision, score.recall, score.f1)),
            _interval(score.f1_interval),
            str(score.support),
        )
    return table


def _confusion(confusion: ConfusionTable) -> Table:
    table = Table("true \\ predicted", *confusion.labels, title="Confusion, in frames")
    for label, counts in zip(confusion.labels, confusion.counts, strict=True):
        table.add_row(label, *map(str, counts))
    return table


def _reliability(bins: Sequence[ReliabilityBin]) -> Table:
    table = Table("confidence", "decisions", "mean confidence", "right", title="Calibration")
    for each in bins:
        table.add_row(
            f"{each.low:.2f} to {each.high:.2f}", str(each.decisions), _number(each.confidence), _number(each.right)
        )
    return table


def _curve(curve: Sequence[CurvePoint]) -> Table:
    table = Table("version", "videos", "labeled frames", "macro-F1", title="Learning curve")
    for point in curve:
        table.add_row(point.name, str(point.videos), str(point.labelled_frames), _number(point.macro_f1))
    return table


def _pairs(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(title=title, show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _score(score: float | None, interval: Sequence[float] | None) -> str:
    return _number(score) + (f" (95 %: {_interval(interval)})" if interval else "")


def _interval(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "too few videos"


def _number(value: float | None, unit: str = "", digits: int = 3) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}{unit}"


custom_app = typer.Typer(help="Your own model file.", no_args_is_help=True)


@custom_app.callback()
def _group() -> None:
    """Keeps `check` a command of its own while it is the only one."""


@custom_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The model file: .py, .pt, .pt2 or .onnx.")],
    video: Annotated[Path, typer.Option(help="A video to run the model on.")],
    project: Annotated[
        int | None, typer.Option(help="Match its labels with the labels of a Label Studio project.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Runs a model file on a video's first frames, as a worker would. Exit code 0: it can be used; 1: it cannot, with the
    file, the line and what to do; 2: the command was not understood. Example: coldblitz custom check mine.py --video film.mp4"""
    from ml_backend.learning.custom.check import check_custom

    labels, mapping = _of_project(project)
    try:
        # What the file itself prints must not end up in our JSON.
        with redirect_stdout(sys.stderr):
            found = check_custom(file, video, labels, mapping)
    except ColdblitzError as error:
        if not as_json:
            raise
        terminal().print_json(json.dumps({"usable": False, "error": error.message, "remedy": error.remedy}))
        raise SystemExit(1) from None
    if as_json:
        terminal().print_json(json.dumps({"usable": True, **asdict(found)}))
    else:
        _print(found, terminal())


def _of_project(project: int | None) -> tuple[tuple[str, ...] | None, dict[str, str] | None]:
    """Labels and `predicted_values` of a project; neither without one."""
    if project is None:
        return None, None
    from ml_backend.jobs.context import JobContext
    from ml_backend.labelstudio.label_config import parse_label_config

    studio = JobContext(Settings.from_environment()).studio
    question = parse_label_config(studio.projects.get(project).label_config).main
    return question.labels, dict(question.predicted_values)


def _print(found: CustomCheck, console: Console) -> None:
    height, width = found.size
    console.print(Text(f"{found.file} can be used.", style="bold green"))
    for name, value in (
        ("labels", listed(found.labels)),
        ("outputs", ", ".join(found.outputs)),
        ("pictures", f"{height} x {width}"),
        (
            "answers",
            f"{found.shape[0]} frames x {found.shape[1]} labels, from {found.lowest:.3f} to {found.highest:.3f}",
        ),
        ("speed", f"{found.frames_per_second:g} frames per second, decoding included"),
        *(
            [
                (
                    "fit",
                    f"{found.fit_seconds:g} seconds to learn 32 frames with made-up labels, and to predict them correctly",
                )
            ]
            if found.fit_seconds is not None
            else []
        ),
    ):
        console.print(Text(f"  {name:<10}{value}"))
    table = Table("frame", "second", *found.labels)
    for row in found.first:
        table.add_row(str(row.index), f"{row.seconds:.3f}", *(f"{p:.3f}" for p in row.probabilities))
    console.print(table)
    for note in found.notes:
        console.print(Text(note, style="yellow"))
