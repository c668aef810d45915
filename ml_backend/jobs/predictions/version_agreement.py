"""How far two model versions give the same frames the same labels, from their stored predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Region
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import parse_regions
from ml_backend.learning.kappa import cohen_kappa
from ml_backend.projects import stored_predictions, task_view
from ml_backend.projects.stopping_report import Agreed
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
