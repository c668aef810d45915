"""A project's model versions: how good each is on videos it has not seen, which one people see, and the form that starts a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flask import render_template, request
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from ml_backend.project_settings import range_of
from ml_backend.projects import model_versions, registry, training_choice
from ml_backend.projects.training_choice import EXTRA_PARAMS, TrainingChoice
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.server.dashboard import charts
from ml_backend.server.dashboard.jobs_page import curves
from ml_backend.server.dashboard.site import ProjectPage, blueprint, done, project_page
from ml_backend.server.label_studio_routes import backend

# What a person may choose of Blitz beside `fit`, with a few words on each; all but the first concern the fine-tuned network.
_KNOBS = {
    "cycles": ("Epochs", "at most"),
    "validation_split": ("Held out", "share of the videos"),
    "early_stopping": ("Early stopping", "after this many epochs without improvement"),
    "image_size": ("Image size", "side in pixels"),
    "frame_step": ("Frame step", "train on every n-th frame"),
}
_FRACTIONS = {"validation_split"}
_SAID = {"cold": "Cold", "blitz": "Blitz", "custom": "custom"}


@dataclass(frozen=True)
class Knob:
    """A number of the form, which goes from `least` to `most` in steps."""

    name: str
    title: str
    told: str
    value: float
    least: float
    most: float
    step: str


@dataclass(frozen=True)
class TrainingForm:
    """`kind`: what is chosen now. `own`: the mode that the extra params say. `named`: the model file that they or CUSTOM_MODEL
    name. `files`: those to choose from. `file`: the one that is chosen."""

    kind: str
    own: str
    named: str | None
    files: tuple[str, ...]
    file: str | None
    fit: str
    knobs: tuple[Knob, ...]


def training_form(project: ProjectPage) -> TrainingForm:
    """As the next training would be."""
    settings, data_dir = backend().settings, backend().settings.data_dir
    made = training_choice.in_force(data_dir, project.known)
    own = project.known.settings
    blitz = asdict(made.blitz if made else own.blitz)
    return TrainingForm(
        made.kind if made else EXTRA_PARAMS,
        own.mode,
        own.custom_model or (settings.custom_model.name if settings.custom_model else None),
        tuple(training_choice.files(data_dir)),
        made.file if made else None,
        blitz["fit"],
        tuple(
            Knob(name, title, told, blitz[name], *range_of(f"blitz.{name}"), "any" if name in _FRACTIONS else "1")
            for name, (title, told) in _KNOBS.items()
        ),
    )


@blueprint.post("/dashboard/projects/<int:project_id>/train")
def start_training(project_id: int) -> Response:
    """Without a kind in the form: as it is chosen already."""
    project, settings = project_page(project_id), backend().settings
    kind, said = request.form.get("kind"), ""
    if kind is not None:
        made = training_choice.choose(
            settings.data_dir,
            project.known,
            kind,
            _chosen(request.form) if kind == "blitz" else {},
            has_file=settings.custom_model is not None,
            file=(request.form.get("file") or None) if kind == "custom" else None,
        )
        said = f" {_told(made)}"
    queue(backend().redis, "train", project.key, again=True)
    return done(f"Training is queued. If there are no new labels, it does nothing.{said}", "dashboard.jobs_page")


def _chosen(form: MultiDict[str, str]) -> dict[str, object]:
    """Of the form those settings of Blitz that it has, numbers as numbers; what is none stays text, and is refused."""
    found: dict[str, object] = {"fit": form["fit"]} if "fit" in form else {}
    for name in _KNOBS.keys() & form.keys():
        text = form[name].strip()[:40]
        try:
            found[name] = float(text) if name in _FRACTIONS else int(text)
        except ValueError:
            found[name] = text
    return found


def _told(made: TrainingChoice | None) -> str:
    if made is None:
        return "Training uses the extra params again."
    by = f" ({made.file})" if made.file else ""
    return f"This training and those after it are {_SAID[made.kind]}{by}, until you switch back to the extra params."


_SHOWN = 100
# A confusion matrix of more labels than this is not read by anybody.
_MOST_LABELS = 30
_OF_TRAINING = ("mode", "default_label", "min_frames", "fill_gaps", "dense")


@blueprint.get("/dashboard/projects/<int:project_id>/models")
def models_page(project_id: int) -> str:
    project = project_page(project_id)
    versions = model_versions.summaries(backend().settings.data_dir, backend().redis, project.key)
    return render_template(
        "dashboard/models.html",
        project=project,
        versions=list(reversed(versions))[:_SHOWN],
        number=len(versions),
        labels=list(project.colours),
        before=_before(project, versions),
        wanted=registry.wanted_version(backend().redis, project.key),
        curve=learning_curve(versions),
        form=training_form(project),
    )


@blueprint.get("/dashboard/projects/<int:project_id>/models/<version>")
def model_page(project_id: int, version: str) -> str:
    project = project_page(project_id)
    card = model_versions.model_card(backend().settings.data_dir, project.key, version)
    controls = [card.get("question") or "", *(card.get("others") or {})]
    if (control := request.args.get("control")) in card.get("others", {}):
        card = {**card, **card["others"][control], "question": control}
    full = "judgement" in card["metrics"]
    metrics = card["metrics"] if full else card["metrics"].get("quick") or {}
    return render_template(
        "dashboard/model.html",
        project=project,
        card=card,
        controls=controls if len(controls) > 1 else [],
        full=full,
        metrics=metrics,
        active=project.active == version,
        confusion=_confusion(metrics.get("confusion")),
        reliability=charts.reliability(metrics["reliability"], "Calibration") if metrics.get("reliability") else None,
        curves=curves(card["curves"].get("epochs") or [], card["curves"].get("best")),
        curve=learning_curve(card["learning_curve"]),
        settings=_settings(card),
    )


@blueprint.post("/dashboard/projects/<int:project_id>/models/<version>/activate")
def activate_version(project_id: int, version: str) -> Response:
    model_versions.activate(backend().settings.data_dir, backend().redis, project_page(project_id).key, version)
    text = f"{version} is being rolled out; it is active when all tasks have its predictions."
    return done(text, "dashboard.models_page", project_id=project_id)


@blueprint.post("/dashboard/projects/<int:project_id>/models/<version>/delete")
def delete_version(project_id: int, version: str) -> Response:
    model_versions.delete(backend().settings.data_dir, backend().redis, project_page(project_id).key, version)
    return done(f"{version} is deleted.", "dashboard.models_page", project_id=project_id)


def _settings(card: Mapping[str, Any]) -> dict[str, str]:
    """What a version was trained with: of the project's settings those that a training reads."""
    said = card["settings"]
    found = {name: said[name] for name in _OF_TRAINING if said.get(name) is not None}
    if card["kind"] == "blitz":
        found |= {f"blitz.{name}": value for name, value in (said.get("blitz") or {}).items()}
    return {name: str(value) for name, value in found.items()}


def learning_curve(versions: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Scores of versions over what each learnt from; None until two were measured."""
    measured = [row for row in versions if row["macro_f1"] is not None and row["labelled_frames"]]
    if len(measured) < 2:
        return None
    points = [(float(row["labelled_frames"]), float(row["macro_f1"])) for row in measured]
    order = sorted(range(len(points)), key=points.__getitem__)
    bands = [measured[at].get("macro_f1_interval") for at in order]
    series = charts.Series("macro-F1", [points[at] for at in order], band=bands)
    return charts.lines([series], "Learning curve", "labeled frames", "macro-F1")


def _before(project: ProjectPage, versions: Sequence[Mapping[str, Any]]) -> str | None:
    """The version that was shown before the active one, if it is still there."""
    pinned = registry.pins(backend().redis, project.key)
    there = {row["name"] for row in versions} - {project.active}
    return max((name for name in pinned if name in there), key=pinned.__getitem__, default=None)


def _confusion(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Rows of (count, shade): the shade, 0 to 9, is the share of its row."""
    if not found or len(found["labels"]) > _MOST_LABELS:
        return None
    rows = [[(count, min(9, 10 * count // max(1, sum(row)))) for count in row] for row in found["counts"]]
    return {"labels": found["labels"], "rows": rows}
