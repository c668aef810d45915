"""Counts the errors that the active version leaves, and says whether more labels will help, also by how far it agrees with the version
before. Nobody waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Region
from ml_backend.cards.measurements import Metrics
from ml_backend.errors import StorageError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.labelstudio.regions import parse_regions
from ml_backend.learning.agreement import cohen_kappa
from ml_backend.learning.stopping import Evidence, Score, advise, correction, expected_errors
from ml_backend.learning.versions import ModelCard, list_versions, load_card
from ml_backend.projects import label_report, registry, reports, stored_predictions, task_view
from ml_backend.projects.reports import VIDEO, WORST, Agreed, StoppingReport, TaskErrors
from ml_backend.provenance import ModelVersion

# Two versions are compared on at most so many videos, spread over the project.
_COMPARED = 500
# Of so many versions it is remembered how far they agreed with the one before.
_REMEMBERED = 20

# Of how many frames one version said the first set of labels and the other the second.
Answers = Counter[tuple[bytes, bytes]]


def agreements(work: ProjectWork, version: str, remembered: Sequence[Agreed]) -> tuple[Agreed, ...]:
    """How far each version up to this one agrees with the one before it, the newest last.

    Those whose predictions are gone are taken from what is `remembered`.
    """
    line, _ = _place(version)
    known = {pair.version: pair for pair in remembered if _place(pair.version)[0] == line}
    stored = stored_predictions.versions(work.context.settings.data_dir, work.key)
    row = sorted((one for one in stored if _place(one)[0] == line and _place(one) <= _place(version)), key=_place)
    for before, after in pairwise(row):
        # The newest may have got more predictions since.
        if after not in known or (after == version and known[after].before == before):
            found = _compare(work, before, after)
            if found is not None:
                known[after] = found
    upto = sorted((one for one in known if _place(one) <= _place(version)), key=_place)
    return tuple(known[one] for one in upto[-_REMEMBERED:])


def _place(version: str) -> tuple[str, int]:
    """Versions that follow each other have the same first: Cold and Blitz are one line, each researcher's file another."""
    parsed = ModelVersion.parse(version)
    return (parsed.line, parsed.number) if parsed else (version, 0)


def _compare(work: ProjectWork, before: str, after: str) -> Agreed | None:
    data_dir, key = work.context.settings.data_dir, work.key
    tasks = sorted(stored_predictions.tasks(data_dir, key))
    answers: Answers = Counter()
    for task in tasks[:: -(-len(tasks) // _COMPARED) or 1]:
        view = task_view.load(data_dir, key, task)
        pair = [stored_predictions.load(data_dir, key, version, task) for version in (before, after)]
        if view is not None and pair[0] is not None and pair[1] is not None:
            one, other = (parse_regions(found.get("result") or [], work.question) for found in pair if found)
            answers += same_frames(one, other, work.question.labels, view.frames)
    kappa = cohen_kappa(counted(answers))
    return None if kappa is None else Agreed(before, after, round(kappa, 4), answers.total())


def same_frames(one: Sequence[Region], other: Sequence[Region], labels: Sequence[str], frames: int) -> Answers:
    """Of how many of Label Studio's frames 1 to `frames` the two say what; regions without a label say nothing."""
    ends = {end for region in (*one, *other) for end in (int(region.start), int(region.end) + 1) if end <= frames}
    edges = np.array(sorted({1, frames + 1, *ends}), np.int64)
    said = [_painted(regions, labels, edges) for regions in (one, other)]
    found: Answers = Counter()
    for length, a, b in zip(np.diff(edges).tolist(), *said, strict=True):
        found[a.tobytes(), b.tobytes()] += length
    return found


def _painted(regions: Sequence[Region], labels: Sequence[str], edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(stretches, L) whether a label holds between two neighbouring edges."""
    column: Mapping[str, int] = {label: at for at, label in enumerate(labels)}
    on = np.zeros((len(edges) - 1, len(labels)), bool)
    for region in regions:
        first, stop = np.searchsorted(edges, [int(region.start), int(region.end) + 1])
        for label in region.labels:
            if label in column:
                on[first:stop, column[label]] = True
    return on


def counted(answers: Answers) -> NDArray[np.int64]:
    """(K, K) counts of K sets of labels."""
    sets = {said: at for at, said in enumerate(sorted({said for pair in answers for said in pair}))}
    table = np.zeros((len(sets), len(sets)), np.int64)
    for (one, other), frames in answers.items():
        table[sets[one], sets[other]] += frames
    return table


@job
def stopping(context: JobContext, project_key: str) -> str:
    """Writes the report on the active version, and how many errors each of its videos has."""
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
    before = reports.load_stopping(context.settings.data_dir, project_key, None)
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
        held_out=sum(row.decisions for row in card.measured.reliability),
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
    reports.save_stopping(context.settings.data_dir, project_key, found, rows)
    return f"{found.left}. {found.verdict.capitalize()}: {found.why}"


def _rows(work: ProjectWork, version: str, measured: Metrics) -> Iterator[tuple[int, float, int, float]]:
    """Of every video that the version has predicted and nobody has reviewed."""
    data_dir = work.context.settings.data_dir
    labelled = label_report.load(data_dir, work.key)
    tasks = sorted(stored_predictions.tasks(data_dir, work.key).difference(labelled.reviewed if labelled else ()))
    for position, task in enumerate(tasks):
        work.progress.report(90 * position / len(tasks), "counting the errors that are left")
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
    found = card.measured
    return None if found.macro_f1 is None else Score(card.labelled_frames, found.macro_f1, found.macro_f1_interval)
