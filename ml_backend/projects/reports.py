"""What was found about a project's labels, how many errors its model leaves, and whether more labels will help, as files beside its models.
Imports nothing heavy: the web reads it too."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import write_whole
from ml_backend.store.files import current


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


def save_quality(data_dir: Path, project: str, report: QualityReport) -> None:
    """Raises StorageError when the disk refuses."""
    short = replace(report, suspects=report.suspects[:MOST])
    content = json.dumps(short.as_json(), ensure_ascii=False, indent=1).encode()
    write_whole(_quality_path(data_dir, project), content, "What was found about labels")


def load_quality(data_dir: Path, project: str) -> QualityReport | None:
    """The newest report; None when none was made yet or it cannot be read."""
    try:
        return parse_quality(json.loads(current(_quality_path(data_dir, project)).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse_quality(data: Mapping[str, Any]) -> QualityReport:
    """A report from its JSON. Raises KeyError or TypeError for anything else."""
    rows = tuple(
        SuspectRow(**{**row, "given": tuple(row["given"]), "expected": tuple(row["expected"])})
        for row in data["suspects"]
    )
    return QualityReport(**{**data, "suspects": rows})


def _quality_path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).quality


Order = Literal["certainty", "errors"]
ORDERS: tuple[Order, ...] = ("certainty", "errors")
# So many videos are named; the others are found in the list of videos, which can be put in this order.
WORST = 5
# 32 bytes a task, so that 100,000 of them are read and put in order in some 20 ms. `certainty` in 0..1.
VIDEO = np.dtype([("task", np.int64), ("errors", np.float64), ("frames", np.int64), ("certainty", np.float64)])
_WHAT = "What a model leaves to correct"


@dataclass(frozen=True)
class TaskErrors:
    """`errors`: how many of a video's `frames` (Label Studio's) are expected to be answered wrong."""

    task: int
    errors: float
    frames: int


@dataclass(frozen=True)
class Agreed:
    """Cohen's kappa of a version's answers with those of the version `before` it, on so many of the same frames."""

    before: str
    version: str
    kappa: float
    frames: int


@dataclass(frozen=True)
class StoppingReport:
    """Of the predictions of `version`. `made`: ISO 8601. `verdict`: *go on*, *little more to gain* or *not known yet*.

    `errors` are expected in the `frames` (Label Studio's) of `tasks` videos that nobody has reviewed; `worst` are those
    with the most. `correction`: errors made per error expected on `held_out` answers of other videos. `kappa`:
    mean of the last versions', `gain`: of held-out macro-F1 since a version from `since_frames` labelled frames; None
    where nothing can be compared. `agreed`: of the last versions, the newest last.
    """

    made: str
    version: str
    verdict: str
    why: str
    tasks: int
    frames: int
    errors: float
    correction: float
    held_out: int
    worst: tuple[TaskErrors, ...] = ()
    kappa: float | None = None
    gain: float | None = None
    since_frames: int | None = None
    agreed: tuple[Agreed, ...] = ()

    @property
    def left(self) -> str:
        """`About 120 errors are left in 34,000 frames`, to two digits: more of them would be made up."""
        if not self.frames:
            return "No predicted video is left to review"
        number = rounded(self.errors)
        about = (
            "Hardly an error is"
            if number < 1
            else "About 1 error is"
            if number == 1
            else f"About {number:,} errors are"
        )
        return f"{about} left in {self.frames:,} frame{'' if self.frames == 1 else 's'}"

    def as_json(self) -> dict[str, Any]:
        return {"text": self.left, **asdict(self)}


def rounded(errors: float) -> int:
    """To two digits."""
    whole = round(errors)
    return round(whole, 2 - len(str(whole)))


def save_stopping(data_dir: Path, project: str, report: StoppingReport, videos: NDArray[np.void]) -> None:
    """`videos`: one `VIDEO` for each that was counted, by task. Raises StorageError."""
    folder, table = _stopping_folder(data_dir, project), BytesIO()
    np.save(table, videos, allow_pickle=False)
    write_whole(folder / "videos.npy", table.getvalue(), _WHAT)
    write_whole(folder / "report.json", json.dumps(asdict(report), ensure_ascii=False, indent=1).encode(), _WHAT)


def load_stopping(data_dir: Path, project: str, version: str | None) -> StoppingReport | None:
    """The report on `version`; None when there is none, or none that can be read. Version None: whatever it is of."""
    try:
        data = json.loads(current(_stopping_folder(data_dir, project) / "report.json").read_text(encoding="utf-8"))
        worst = tuple(TaskErrors(**row) for row in data["worst"])
        agreed = tuple(Agreed(**row) for row in data["agreed"])
        report = StoppingReport(**{**data, "worst": worst, "agreed": agreed})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return report if version in (None, report.version) else None


def videos_with_errors(data_dir: Path, project: str) -> NDArray[np.void]:
    """One `VIDEO` for each that the report counted, by task; none when it cannot be read."""
    try:
        found = np.load(current(_stopping_folder(data_dir, project) / "videos.npy"), allow_pickle=False)
    except (OSError, ValueError):
        return np.empty(0, VIDEO)
    return found if found.dtype == VIDEO else np.empty(0, VIDEO)


def in_order_of(counted: NDArray[np.void], order: Order, tasks: Collection[int]) -> list[int]:
    """`tasks`, least certain or most errors first; those that were not counted come last, by number."""
    known = counted[np.isin(counted["task"], np.fromiter(tasks, np.int64))]
    first = known["certainty"] if order == "certainty" else -known["errors"]
    ranked: list[int] = known["task"][np.lexsort((known["task"], first))].tolist()
    return [*ranked, *sorted(set(tasks).difference(ranked))]


def errors_of(counted: NDArray[np.void], task: int) -> float | None:
    """How many errors are expected in a task's video; None when it was not counted."""
    at = int(np.searchsorted(counted["task"], task))
    return float(counted["errors"][at]) if at < len(counted) and counted["task"][at] == task else None


def _stopping_folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).stopping
