"""How many errors a project's model leaves and whether more labels will help, as files beside its models.

Imports nothing heavy: the web reads them too. All but the agreement of versions whose predictions are gone can be had again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.projects.files import write_whole
from ml_backend.projects.folder import ProjectFolder

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


def save(data_dir: Path, project: str, report: StoppingReport, videos: NDArray[np.void]) -> None:
    """`videos`: one `VIDEO` for each that was counted, by task. Raises StorageError."""
    folder, table = _folder(data_dir, project), BytesIO()
    np.save(table, videos, allow_pickle=False)
    write_whole(folder / "videos.npy", table.getvalue(), _WHAT)
    write_whole(folder / "report.json", json.dumps(asdict(report), ensure_ascii=False, indent=1).encode(), _WHAT)


def load(data_dir: Path, project: str, version: str | None) -> StoppingReport | None:
    """The report on `version`; None when there is none, or none that can be read. Version None: whatever it is of."""
    try:
        data = json.loads((_folder(data_dir, project) / "report.json").read_text(encoding="utf-8"))
        worst = tuple(TaskErrors(**row) for row in data["worst"])
        agreed = tuple(Agreed(**row) for row in data["agreed"])
        report = StoppingReport(**{**data, "worst": worst, "agreed": agreed})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return report if version in (None, report.version) else None


def videos(data_dir: Path, project: str) -> NDArray[np.void]:
    """One `VIDEO` for each that the report counted, by task; none when it cannot be read."""
    try:
        found = np.load(_folder(data_dir, project) / "videos.npy", allow_pickle=False)
    except (OSError, ValueError):
        return np.empty(0, VIDEO)
    return found if found.dtype == VIDEO else np.empty(0, VIDEO)


def in_order(counted: NDArray[np.void], order: Order, tasks: Collection[int]) -> list[int]:
    """`tasks`, least certain or most errors first; those that were not counted come last, by number."""
    known = counted[np.isin(counted["task"], np.fromiter(tasks, np.int64))]
    first = known["certainty"] if order == "certainty" else -known["errors"]
    ranked: list[int] = known["task"][np.lexsort((known["task"], first))].tolist()
    return [*ranked, *sorted(set(tasks).difference(ranked))]


def errors_of(counted: NDArray[np.void], task: int) -> float | None:
    """How many errors are expected in a task's video; None when it was not counted."""
    at = int(np.searchsorted(counted["task"], task))
    return float(counted["errors"][at]) if at < len(counted) and counted["task"][at] == task else None


def _folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).stopping
