"""Which model version the label stream shows. Label Studio shows no other, so this is the last step of every roll-out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.project_lock import project_lock
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, is_ours
from ml_backend.projects import check_reports, registry

_OTHER = (
    "The label stream shows {}, which this backend did not create. Connect only one Coldblitz to a project; "
    "`coldblitz models activate` shows one of its own versions again."
)
# Label Studio pins what tasks bring along when they are imported, without being asked.
_HIDDEN = (
    "The label stream shows {}, which this backend did not create, so none of its suggestions are visible. To label them, choose "
    f"{KEYFRAMES_VERSION} in Label Studio (the project, Settings, Annotation, Live Predictions). The first model "
    "that is trained here is shown automatically."
)


def pin(work: ProjectWork, version: str) -> None:
    """Makes the label stream show `version`, and notes that a model's is active. Raises StorageError.

    Suggestions do not push aside a model that became active meanwhile, nor another model's version that somebody pinned on
    purpose; a backend's title, which Label Studio puts there by itself and under which the stream shows nothing, is no
    such version.
    """
    with _nobody_else(work):
        if version == KEYFRAMES_VERSION and registry.active_version(work.context.redis, work.key) is not None:
            return
        current = work.context.studio.projects.get(work.id).model_version
        if current != version:
            # Label Studio lists a connected backend's title among the versions, with no prediction.
            foreign = (
                not made_here(work.context, work.key, current)
                and work.context.studio.predictions.versions(work.id).get(current, 0) > 0
            )
            if not (version == KEYFRAMES_VERSION and foreign):
                work.context.studio.projects.pin(work.id, version)
                check_reports.note_change(work.context.redis, work.key)
        if version != KEYFRAMES_VERSION:
            registry.activate(work.context.redis, work.key, version)


def follow_pin(work: ProjectWork, stored: Mapping[str, int]) -> None:
    """Brings what we hold for active and what the label stream shows together again.

    `stored`: the number of predictions of each version. A version of ours that is pinned becomes the active one: Redis
    was lost, a worker was killed between pinning and noting it, or the admin chose another. One whose model is not here
    is left alone, and told. Where nothing is shown, ours is pinned again. Raises StorageError.
    """
    pinned, active = work.project.model_version, registry.active_version(work.context.redis, work.key)
    if pinned == (active or KEYFRAMES_VERSION) and stored.get(pinned, 0):
        registry.set_problems(work.context.redis, work.key, "pin", [])
        return
    with _nobody_else(work):
        # A roll-out may have ended since the project was read.
        _follow(work, work.context.studio.projects.get(work.id), stored)


def _follow(work: ProjectWork, project: Project, stored: Mapping[str, int]) -> None:
    redis, pinned, active = (
        work.context.redis,
        project.model_version,
        registry.active_version(work.context.redis, work.key),
    )
    a_model = is_ours(pinned) and pinned != KEYFRAMES_VERSION
    # One that is named as ours are may have been imported with the tasks of another project.
    foreign = a_model and pinned != active and not made_here(work.context, work.key, pinned)
    hidden = active is None and project.shows_predictions and stored.get(pinned, 0) > 0
    hidden = hidden and not made_here(work.context, work.key, pinned)
    told = _HIDDEN if hidden else _OTHER if foreign and active is not None else None
    registry.set_problems(redis, work.key, "pin", [told.format(pinned)] if told else [])
    if a_model and pinned != active and not foreign:
        if active is not None:
            registry.want(redis, work.key, pinned)
        registry.activate(redis, work.key, pinned)
    elif project.shows_predictions and not stored.get(pinned, 0):
        ours = active or KEYFRAMES_VERSION
        if pinned != ours and stored.get(ours, 0):
            work.context.studio.projects.pin(work.id, ours)
            check_reports.note_change(redis, work.key)


def made_here(context: JobContext, key: str, version: str) -> bool:
    """Whether a version is of this backend: suggestions, or a model whose files are here."""
    return version == KEYFRAMES_VERSION or (is_ours(version) and (context.models_dir(key) / version).is_dir())


def _nobody_else(work: ProjectWork) -> contextlib.AbstractContextManager[None]:
    """What is pinned and what is noted as active change together."""
    return project_lock(work.context.redis, work.context.settings.data_dir, work.key, "pin")
