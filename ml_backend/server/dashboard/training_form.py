"""The form that starts a training, and says how this one and those after it are done."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from flask import request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from ml_backend.project_settings import range_of
from ml_backend.projects import training_choice
from ml_backend.projects.training_choice import EXTRA_PARAMS, TrainingChoice
from ml_backend.queueing.queue import enqueue as queue
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
