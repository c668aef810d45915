"""What people have labeled in a project, how a training used it, and the labels that its tasks bring along, as files beside its models.
Imports nothing heavy: the web reads it too."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import write_whole
from ml_backend.store import files


@dataclass(frozen=True)
class HumanRegion:
    """Labels that somebody left on Label Studio frames `start`..`end`, both included.

    `source`: `person` drew it or answered a suggestion, `accepted` a predicted region as it was, `changed` a predicted one. `who`: the
    individual that it is about, where each has a timeline; empty elsewhere, and where nobody can tell. `control`: of which timeline it is,
    empty for the first one, of which pages and reports speak.
    """

    start: int
    end: int
    labels: tuple[str, ...]
    author: int | None
    source: str
    who: str = ""
    control: str = ""


@dataclass(frozen=True)
class Author:
    """What one annotator (Label Studio's user id, None when unknown) has done: `frames` are Label Studio frames.

    `name`: as Label Studio has it, None when the token may not see it. `seconds` and `median_seconds`: that their
    annotations took, in all and one of them; None when Label Studio knows of none.
    """

    author: int | None
    annotations: int
    frames: int
    person: int
    accepted: int
    changed: int
    last: str
    name: str | None = None
    seconds: float | None = None
    median_seconds: float | None = None

    @property
    def called(self) -> str:
        """What a page calls them."""
        return self.name or ("unknown" if self.author is None else f"user {self.author}")


@dataclass(frozen=True)
class WorkDay:
    """How many annotations one annotator changed last on a day (ISO 8601, UTC), and the seconds that Label Studio measured of
    them; None where it knows of none."""

    author: int | None
    day: str
    annotations: int
    seconds: float | None = None


@dataclass(frozen=True)
class LabelReport:
    """`made`: ISO 8601. `tasks`: those with an annotation; `reviewed`: those of them whose whole video was looked at.

    `frames`, `regions`: of each label, in Label Studio frames. `sources`: of each label, how many of its regions are of
    which source (as `HumanRegion` has it). `work`: by day and annotator.
    """

    made: str
    tasks: tuple[int, ...]
    reviewed: tuple[int, ...]
    frames: dict[str, int]
    regions: dict[str, int]
    authors: tuple[Author, ...]
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    work: tuple[WorkDay, ...] = ()


def save(
    data_dir: Path, project: str, report: LabelReport, regions: Iterable[tuple[int, Sequence[HumanRegion]]]
) -> None:
    """Replaces the report and what each task has; tasks that are not among `regions` have nothing any more.

    Raises StorageError.
    """
    folder = _folder(data_dir, project)
    kept = set()
    for task, mine in regions:
        _write(folder / f"{task}.json", [asdict(region) for region in mine])
        kept.add(str(task))
    for path in files.within(folder, ".json"):
        if path.stem.isdecimal() and path.stem not in kept:
            with contextlib.suppress(OSError):
                files.remove(path)
    _write(folder / "report.json", asdict(report))


def load(data_dir: Path, project: str) -> LabelReport | None:
    """None before the first annotation, or when it cannot be read."""
    try:
        data = _read(_folder(data_dir, project) / "report.json")
        authors = tuple(Author(**author) for author in data["authors"])
        lists = {name: tuple(data[name]) for name in ("tasks", "reviewed")}
        work = tuple(WorkDay(**day) for day in data.get("work", ()))
        return LabelReport(**{**data, **lists, "authors": authors, "work": work})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def regions_of(data_dir: Path, project: str, task: int, control: str = "") -> tuple[HumanRegion, ...]:
    """What people have labeled in one task on one timeline, see `HumanRegion`, by where it begins."""
    try:
        rows = _read(_folder(data_dir, project) / f"{task}.json")
        found = [HumanRegion(**{**row, "labels": tuple(row["labels"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    mine = [region for region in found if region.control == control]
    return tuple(sorted(mine, key=lambda region: (region.start, region.end)))


def _read(path: Path) -> Any:
    return json.loads(files.current(path).read_text(encoding="utf-8"))


def _write(path: Path, data: object) -> None:
    text = json.dumps(data, ensure_ascii=False)
    with contextlib.suppress(OSError):
        if files.current(path).read_text(encoding="utf-8") == text:
            return
    write_whole(path, text.encode(), "What people have labeled")


def _folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).labelled


TAUGHT, TAKEN_OVER = "taught", "taken over"
# What became of so many regions; `{}` is the row's detail.
_SAID = {
    TAUGHT: "used for {frames} frames",
    TAKEN_OVER: "used for {frames} frames at a low weight: a model drew them, and nobody changed them",
    "review": "marked whether something was reviewed",
    "unanswered": "are unanswered suggestions",
    "no label": "have no label",
    "unknown label": "have the label {}, which the label config does not have",
    "untouched": "are a model's predictions that nobody changed",
    "outside": "lie outside the video",
    "ground truth": "are superseded by ground truth of {}",
    "timeline": "are superseded by the whole timeline of {}",
    "contradicted": "are contradicted by {}",
    "contradicts itself": "are contradicted by other regions of the same annotation",
    "unusable": "are in a video that cannot be used",
    "nobody": "are nobody's: several individuals are in the picture, and nothing says which one is meant",
    "no frames": "have no frames or no answer",
    "another control": "belong to a control that is not predicted",
    "boxes": "are boxes, which are followed and teach no frame",
    "skipped": "are in skipped annotations",
}


@dataclass(frozen=True)
class AccountRow:
    """`regions` of one control that came to the same: `reason` is a key of those above, `detail` names labels or people.

    `frames`: frame indices that are known to have the label that such a region gave them. Regions that lie on each other
    count the same frame each.
    """

    control: str
    reason: str
    regions: int
    frames: int = 0
    detail: str = ""

    @property
    def said(self) -> str:
        """What became of so many regions: the rest of a sentence that begins with their number."""
        text = _SAID.get(self.reason, self.reason)
        if self.reason == TAUGHT and not self.frames:
            text = "used as the class of a whole video"
        text = text.replace("{frames}", str(self.frames)).replace("{}", self.detail or "somebody")
        one = {"are ": "is ", "have ": "has ", "lie ": "lies ", "belong ": "belongs "}
        if self.regions == 1:
            text = next((own + text.removeprefix(many) for many, own in one.items() if text.startswith(many)), text)
        return text


@dataclass(frozen=True)
class Account:
    """Of one task, or of a whole project. `regions`: all that Label Studio holds, be it that nothing reads them; the rows
    add up to it. `annotations`: submitted ones; `skipped`: others. `made`: ISO 8601."""

    made: str = ""
    annotations: int = 0
    skipped: int = 0
    regions: int = 0
    rows: tuple[AccountRow, ...] = ()

    @property
    def taught(self) -> int:
        """How many regions taught something."""
        return sum(row.regions for row in self.rows if row.reason in (TAUGHT, TAKEN_OVER))

    def of(self, control: str) -> tuple[AccountRow, ...]:
        """The rows of one control."""
        return tuple(row for row in self.rows if row.control == control)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "taught": self.taught, "rows": [{**asdict(row), "said": row.said} for row in self.rows]}


def summed_accounts(made: str, accounts: Iterable[Account]) -> Account:
    """One account of several."""
    regions, frames = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    annotations = skipped = held = 0
    for account in accounts:
        annotations, skipped, held = (
            annotations + account.annotations,
            skipped + account.skipped,
            held + account.regions,
        )
        for row in account.rows:
            regions[row.control, row.reason, row.detail] += row.regions
            frames[row.control, row.reason, row.detail] += row.frames
    rows = [
        AccountRow(control, reason, n, frames[control, reason, detail], detail)
        for (control, reason, detail), n in regions.items()
    ]
    return Account(made, annotations, skipped, held, in_order(rows))


def in_order(rows: Iterable[AccountRow]) -> tuple[AccountRow, ...]:
    """By control, what taught first, then the most frequent."""
    return tuple(
        sorted(rows, key=lambda row: (row.control, row.reason != TAUGHT, -row.regions, row.reason, row.detail))
    )


def save_account(data_dir: Path, project: str, whole: Account, tasks: Mapping[int, Account]) -> None:
    """Replaces what was known, of all tasks. Raises StorageError."""
    folder = _account_folder(data_dir, project)
    for task, account in tasks.items():
        _write_account(folder / f"{task}.json", account)
    for path in files.within(folder, ".json"):
        if path.stem.isdecimal() and int(path.stem) not in tasks:
            with contextlib.suppress(OSError):
                files.remove(path)
    _write_account(folder / "project.json", whole)


def load_account(data_dir: Path, project: str, task: int | None = None) -> Account | None:
    """Of the project, or of one of its tasks, as the last training read it; None where it read nothing."""
    try:
        name = "project" if task is None else task
        return parse_account(
            json.loads(files.current(_account_folder(data_dir, project) / f"{name}.json").read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse_account(data: Mapping[str, Any]) -> Account:
    """What `as_json` made. Raises KeyError, TypeError or ValueError."""
    rows = tuple(AccountRow(**{name: row[name] for name in AccountRow.__dataclass_fields__}) for row in data["rows"])
    return Account(data["made"], data["annotations"], data["skipped"], data["regions"], rows)


def _write_account(path: Path, account: Account) -> None:
    text = json.dumps(account.as_json(), ensure_ascii=False)
    with contextlib.suppress(OSError):
        if files.current(path).read_text(encoding="utf-8") == text:
            return
    write_whole(path, text.encode(), "How labels were used")


def _account_folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).account


TaskLabels = Mapping[str, Sequence[str]]


def save_task_labels(data_dir: Path, project: str, state: Sequence[Any], labels: TaskLabels) -> None:
    """`labels`: by control. `state`: tells one state of the tasks and the config from another. Raises StorageError."""
    content = json.dumps({"state": state, "labels": labels}, ensure_ascii=False).encode()
    write_whole(_task_labels_path(data_dir, project), content, "Labels of tasks")


def load_task_labels(data_dir: Path, project: str, state: Sequence[Any] | None = None) -> TaskLabels | None:
    """None when they are not known, or not of this `state`; whatever they are of when that is None."""
    try:
        stored = json.loads(files.current(_task_labels_path(data_dir, project)).read_text(encoding="utf-8"))
        fits = state is None or stored["state"] == list(state)
        return {str(name): tuple(map(str, found)) for name, found in stored["labels"].items()} if fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _task_labels_path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).task_labels
