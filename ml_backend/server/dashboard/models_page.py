"""A project's model versions: how good each is on videos it has not seen, which one people see, and the form that starts a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from flask import render_template, request
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from ml_backend.project_settings import range_of
from ml_backend.projects import detector_versions, model_versions, registry, training_choice
from ml_backend.projects.model_versions import ConfusionTable, Interval, ModelCard, VersionSummary
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
        curve=learning_curve((row.labelled_frames, row.macro_f1, row.macro_f1_interval) for row in versions),
        form=training_form(project),
        detector=detector_versions.load_report(backend().settings.data_dir, project.key),
        detectors=list(reversed(detector_versions.cards(backend().settings.data_dir, project.key)))[:_SHOWN],
        detector_in_use=detector_versions.active_card(backend().settings.data_dir, project.key),
        curves=curves,
    )


@blueprint.get("/dashboard/projects/<int:project_id>/models/<version>")
def model_page(project_id: int, version: str) -> str:
    project = project_page(project_id)
    shown = model_versions.model_card(backend().settings.data_dir, project.key, version)
    card = shown.card
    controls = [card.question, *card.others]
    card = card.about(request.args.get("control", card.question)) or card
    metrics = card.measured
    return render_template(
        "dashboard/model.html",
        project=project,
        card=card,
        controls=controls if len(controls) > 1 else [],
        full=card.metrics.is_full,
        metrics=metrics,
        active=project.active == version,
        confusion=_confusion(metrics.confusion),
        reliability=charts.reliability(metrics.reliability, "Calibration") if metrics.reliability else None,
        curves=curves(card.curves.epochs, card.curves.best),
        curve=learning_curve((point.labelled_frames, point.macro_f1, None) for point in shown.learning_curve),
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


def _settings(card: ModelCard) -> dict[str, str]:
    """What a version was trained with: of the project's settings those that a training reads."""
    said = card.settings
    found = {name: said[name] for name in _OF_TRAINING if said.get(name) is not None}
    if card.kind == "blitz" and isinstance(blitz := said.get("blitz"), Mapping):
        found |= {f"blitz.{name}": value for name, value in blitz.items()}
    return {name: str(value) for name, value in found.items()}


def learning_curve(versions: Iterable[tuple[int, float | None, Interval | None]]) -> Markup | None:
    """Scores of versions over what each learnt from: of each its labeled frames, its score, and its interval. None until two
    were measured."""
    measured = [(float(frames), score, band) for frames, score, band in versions if score is not None and frames]
    if len(measured) < 2:
        return None
    points = [(frames, score) for frames, score, _ in measured]
    order = sorted(range(len(points)), key=points.__getitem__)
    bands = [measured[at][2] for at in order]
    series = charts.Series("macro-F1", [points[at] for at in order], band=bands)
    return charts.lines([series], "Learning curve", "labeled frames", "macro-F1")


def _before(project: ProjectPage, versions: Sequence[VersionSummary]) -> str | None:
    """The version that was shown before the active one, if it is still there."""
    pinned = registry.pins(backend().redis, project.key)
    there = {row.name for row in versions} - {project.active}
    return max((name for name in pinned if name in there), key=pinned.__getitem__, default=None)


@dataclass(frozen=True)
class ShadedConfusion:
    """`rows`: of each true label (count, shade) of each predicted one; the shade, 0 to 9, is the share of its row."""

    labels: tuple[str, ...]
    rows: tuple[tuple[tuple[int, int], ...], ...]


def _confusion(found: ConfusionTable | None) -> ShadedConfusion | None:
    """None for one that nobody would read."""
    if found is None or len(found.labels) > _MOST_LABELS:
        return None
    rows = (tuple((count, min(9, 10 * count // max(1, sum(row)))) for count in row) for row in found.counts)
    return ShadedConfusion(found.labels, tuple(rows))
