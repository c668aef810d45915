"""What was found about a project's labels, as a file beside its models. Imports nothing heavy: the web reads it too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_backend.projects.files import write_whole
from ml_backend.projects.folder import ProjectFolder


@dataclass(frozen=True)
class SuspectRow:
    """A stretch of a task whose label is probably wrong: Label Studio frames `start`..`end`, both included.

    `first_second` and `last_second`: when its first and its last frame are shown. `given`, `expected`: the labels that
    people said and that a model says which has not seen this stretch, empty for none. `doubt` in 0..1: how improbable
    what was said is. `kind`: `boundary` when it is about where a region begins or ends, else `label`. `url` opens the
    task in Label Studio. `control`: whose label it is, where the label config has several questions. `said`: of a boundary, by
    how many frames it is off.
    """

    task: int
    video: str
    start: int
    end: int
    first_second: float
    last_second: float
    given: tuple[str, ...]
    expected: tuple[str, ...]
    doubt: float
    kind: str
    url: str
    control: str = ""
    said: str = ""

    @property
    def about(self) -> str:
        """What is probably wrong, in words."""
        what = self.said or ("boundary" if self.kind == "boundary" else "the label")
        return f"{what}, {self.control}" if self.control else what


@dataclass(frozen=True)
class QualityReport:
    """`suspects`: the worst first, at most `MOST` of `found`. `made`: ISO 8601.

    `label_kappa`: Fleiss' kappa of each label; `annotator_kappa`: Cohen's kappa of each annotator, by Label Studio's user
    id, against the majority of the others; None where nothing can be compared. `compared_frames`: frames that two or
    more annotators labelled. `model_kappa`: Cohen's kappa of each annotator with a model that has not seen the stretch.
    `names`: annotators' names by the same ids, of those whose name the token may see. `about`: the control whose
    agreement it is, where there are several; suspects are looked for on all timelines.
    """

    made: str
    videos: int
    found: int
    suspects: tuple[SuspectRow, ...]
    label_kappa: Mapping[str, float | None]
    annotator_kappa: Mapping[str, float | None]
    compared_frames: int
    model_kappa: Mapping[str, float | None] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    about: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# More than anybody goes through before training again.
MOST = 500


def save(data_dir: Path, project: str, report: QualityReport) -> None:
    """Raises StorageError when the disk refuses."""
    short = replace(report, suspects=report.suspects[:MOST])
    content = json.dumps(short.as_json(), ensure_ascii=False, indent=1).encode()
    write_whole(_path(data_dir, project), content, "What was found about labels")


def load(data_dir: Path, project: str) -> QualityReport | None:
    """The newest report; None when none was made yet or it cannot be read."""
    try:
        return parse(json.loads(_path(data_dir, project).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse(data: Mapping[str, Any]) -> QualityReport:
    """A report from its JSON. Raises KeyError or TypeError for anything else."""
    rows = tuple(
        SuspectRow(**{**row, "given": tuple(row["given"]), "expected": tuple(row["expected"])})
        for row in data["suspects"]
    )
    return QualityReport(**{**data, "suspects": rows})


def _path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).quality
