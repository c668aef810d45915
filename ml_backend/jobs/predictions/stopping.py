"""Counts the errors that the active version leaves, and says whether more labels will help: nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.jobs.job import job, report
from ml_backend.jobs.predictions.version_agreement import agreements
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.worker_context import worker_context
from ml_backend.learning.stopping import Evidence, Score, advise, correction, expected_errors
from ml_backend.learning.versions import ModelCard, list_versions, load_card
from ml_backend.projects import label_report, registry, stopping_report, stored_predictions, task_view
from ml_backend.projects.stopping_report import VIDEO, WORST, StoppingReport, TaskErrors


@job
def stopping(project_key: str) -> str:
    """Writes the report on the active version, and how many errors each of its videos has."""
    context = worker_context()
    work = open_project(context, project_key)
    version = registry.active_version(context.redis, project_key)
    if version is None:
        return "no model is active yet"
    if work.question.kind != "timeline":
        return "errors are counted on timelines, and the project has none"
    try:
        card = load_card(context.models_dir(project_key), version)
    except StorageError:
        return f"the files of {version} are not on this machine"
    about = card.about(work.question.from_name)
    if about is None:
        return f"{version} has not learned {work.question.from_name} yet"
    card = about
    rows = np.fromiter(_rows(work, version, card.measured), VIDEO)
    most_errors_first = rows[np.lexsort((rows["task"], -rows["errors"]))]
    before = stopping_report.load(context.settings.data_dir, project_key, None)
    agreed = agreements(work, version, before.agreed if before else ())
    advice = advise(_evidence(context.models_dir(project_key), card, [pair.kappa for pair in agreed]))
    found = StoppingReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        verdict=advice.verdict,
        why=advice.why,
        tasks=len(rows),
        frames=int(rows["frames"].sum()),
        errors=round(float(rows["errors"].sum()), 2),
        correction=round(correction(card.measured), 3),
        held_out=sum(int(row["decisions"]) for row in card.measured.get("reliability") or ()),
        worst=tuple(
            TaskErrors(int(row["task"]), round(float(row["errors"]), 2), int(row["frames"]))
            for row in most_errors_first[:WORST]
            if row["errors"] >= 0.5
        ),
        kappa=advice.kappa,
        gain=advice.gain,
        since_frames=advice.since_frames,
        agreed=agreed,
    )
    stopping_report.save(context.settings.data_dir, project_key, found, rows)
    return f"{found.left}. {found.verdict.capitalize()}: {found.why}"


def _rows(work: ProjectWork, version: str, measured: Mapping[str, Any]) -> Iterator[tuple[int, float, int, float]]:
    """Of every video that the version has predicted and nobody has reviewed."""
    data_dir = work.context.settings.data_dir
    labelled = label_report.load(data_dir, work.key)
    tasks = sorted(stored_predictions.tasks(data_dir, work.key).difference(labelled.reviewed if labelled else ()))
    for position, task in enumerate(tasks):
        report(90 * position / len(tasks), "counting the errors that are left")
        view = task_view.load(data_dir, work.key, task)
        if view is not None and view.version == version and view.doubt is not None:
            yield (
                task,
                expected_errors(view.doubt, view.changes, view.frames, measured),
                view.frames,
                view.certainty or 0.0,
            )


def _evidence(models: Path, card: ModelCard, kappas: Sequence[float]) -> Evidence:
    """Scores are those of versions of one kind: Cold and Blitz are measured on other frames."""
    every = (one.about(card.question) for one in list_versions(models))
    older = [one for one in every if one is not None and one.kind == card.kind and one.created <= card.created]
    others = [one for one in older if one.name != card.name]
    scores = [score for one in [*others, card] if (score := _score(one)) is not None]
    measured = _score(card) is not None
    trained = bool(card.settings.get("backbone_trained", True))
    return Evidence(trained, card.lacking, tuple(scores) if measured else (), tuple(kappas))


def _score(card: ModelCard) -> Score | None:
    found = card.measured.get("macro_f1")
    interval = card.measured.get("macro_f1_interval")
    if found is None:
        return None
    return Score(card.labelled_frames, float(found), (float(interval[0]), float(interval[1])) if interval else None)
