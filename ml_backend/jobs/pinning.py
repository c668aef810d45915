"""Which model version the label stream shows. Label Studio shows no other, so this is the last step of every roll-out."""

from __future__ import annotations

import re

from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION

_OURS = re.compile(r"(cold|blitz|custom-[A-Za-z0-9_]+)-v[0-9]+")


def is_ours(version: str) -> bool:
    """Whether a model version is one that this backend makes."""
    return version == KEYFRAMES_VERSION or _OURS.fullmatch(version) is not None


def pin(context: WorkerContext, work: ProjectWork, version: str) -> None:
    """Makes the label stream show `version`.

    Suggestions do not push aside another model's version that somebody pinned on purpose; a backend's title, which
    Label Studio puts there by itself and under which the stream shows nothing, is no such version.
    """
    current = context.client.project(work.id).model_version
    if current == version:
        return
    # Label Studio lists a connected backend's title among the versions, with no prediction.
    foreign = not is_ours(current) and context.client.versions(work.id).get(current, 0) > 0
    if not (version == KEYFRAMES_VERSION and foreign):
        context.client.pin(work.id, version)
