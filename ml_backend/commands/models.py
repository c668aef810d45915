"""`coldblitz models`: the model versions of a project."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from ml_backend.commands.backend import Url, backend
from ml_backend.commands.terminal import terminal
from ml_backend.wording import some

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
        terminal().print_json(json.dumps(rows))
        return
    table = Table("version", "active", "videos", "labeled frames", "macro-F1 on held-out videos", "created")
    for row in rows:
        table.add_row(
            row["name"],
            "yes" if row["active"] else "",
            str(row["videos"]),
            str(row["labelled_frames"]),
            _score(row["macro_f1"], row["macro_f1_interval"]),
            row["created"],
        )
    terminal().print(table)


@app.command()
def show(project: Project, version: Version, url: Url = None, as_json: AsJson = False) -> None:
    """A version's model card. Example: coldblitz models show 1 cold-v3"""
    card = backend(url).model_card(project, version)
    if as_json:
        terminal().print_json(json.dumps(card))
        return
    for table in _tables(card):
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


def _tables(card: Mapping[str, Any]) -> Iterator[Table]:
    metrics = card["metrics"] if "judgement" in card["metrics"] else card["metrics"].get("quick") or {}
    yield _pairs(f"Model card of {card['name']}", _origin(card))
    yield _pairs("Score on held-out videos", _scores(card, metrics))
    if metrics.get("labels"):
        yield _label_table(metrics["labels"])
    if metrics.get("confusion"):
        yield _confusion(metrics["confusion"])
    if metrics.get("reliability"):
        yield _reliability(metrics["reliability"])
    if len(card["learning_curve"]) > 1:
        yield _curve(card["learning_curve"])


def _origin(card: Mapping[str, Any]) -> dict[str, str]:
    settings = card["settings"]
    ids = ", ".join(sorted(card["annotations"], key=lambda number: (len(number), number)))
    seconds, size = card["train_seconds"], card["file_bytes"]
    asked = {name: value for name, value in settings.items() if name not in _OF_THE_BACKBONE}
    found = {
        "kind": card["kind"],
        "created": card["created"],
        "decision": card["decision"] or "none yet",
        "labels": ", ".join(card["labels"]) + (" (one per frame)" if card["exclusive"] else " (several per frame)"),
        "never predicted": some(card["lacking"]) or "none",
        "learned from": f"{card['labelled_frames']} frames of {card['videos']} videos",
        "annotations": f"{len(card['annotations'])}, hash {card['annotations_hash']}" + (f": {ids}" if ids else ""),
        "backbone": card["backbone"] + (" (untrained)" if settings.get("backbone_trained") is False else ""),
        "its weights": settings.get("backbone_source") or "not noted",
        "their license": settings.get("backbone_license") or "not noted",
        "settings": ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None) or "none",
        "seed": str(card["seed"]),
        "training": "not measured" if seconds is None else f"{seconds:.2f} s",
        "file": ("" if size is None else f"{size / 1e6:.2f} MB, ") + f"sha256 {card['weights_sha256']}",
    }
    if card["kind"].startswith("custom-"):
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


def _scores(card: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, str]:
    if not metrics:
        return {"judgement": "Not measured yet."}
    quick = (
        "" if metrics is card["metrics"] else " (quick check with two folds; the full evaluation follows the roll-out)"
    )
    segments = metrics.get("segments") or {}
    counts = " ({found} of {true} found, {predicted} predicted)".format(**segments) if segments.get("true") else ""
    return {
        "judgement": metrics["judgement"] + quick,
        "frames": str(metrics["frames"]),
        "macro-F1": _score(metrics.get("macro_f1"), metrics.get("macro_f1_interval")),
        "segment F1 at IoU 0.5": _number(metrics.get("segment_f1")) + counts,
        "boundary error": _number(metrics.get("boundary_error_frames"), " frames", 1),
        "calibration error": _number(metrics.get("calibration_error")),
        "temperature": _number(card["calibration"].get("temperature")),
    }


def _label_table(labels: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("label", "precision", "recall", "F1", "95 % interval", "frames", title="Each label")
    for label, row in labels.items():
        table.add_row(
            label,
            *(_number(row[name]) for name in ("precision", "recall", "f1")),
            _interval(row.get("f1_interval")),
            str(row["support"]),
        )
    return table


def _confusion(confusion: Mapping[str, Sequence[Any]]) -> Table:
    names = list(confusion["labels"])
    table = Table("true \\ predicted", *names, title="Confusion, in frames")
    for label, counts in zip(names, confusion["counts"], strict=True):
        table.add_row(label, *map(str, counts))
    return table


def _reliability(bins: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("confidence", "decisions", "mean confidence", "right", title="Calibration")
    for row in bins:
        table.add_row(
            f"{row['from']:.2f} to {row['to']:.2f}",
            str(row["decisions"]),
            _number(row["confidence"]),
            _number(row["right"]),
        )
    return table


def _curve(curve: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("version", "videos", "labeled frames", "macro-F1", title="Learning curve")
    for row in curve:
        table.add_row(row["name"], str(row["videos"]), str(row["labelled_frames"]), _number(row["macro_f1"]))
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
