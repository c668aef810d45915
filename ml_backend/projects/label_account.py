"""How labels were used: what a training read, what that taught, and why the rest taught nothing. The web reads it too."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml_backend.projects.files import write_whole
from ml_backend.projects.folder import ProjectFolder

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
    "no frames": "have no frames or no answer",
    "another control": "belong to a control that is not predicted",
    "skipped": "are in skipped annotations",
}


@dataclass(frozen=True)
class Row:
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
    rows: tuple[Row, ...] = ()

    @property
    def taught(self) -> int:
        """How many regions taught something."""
        return sum(row.regions for row in self.rows if row.reason in (TAUGHT, TAKEN_OVER))

    def of(self, control: str) -> tuple[Row, ...]:
        """The rows of one control."""
        return tuple(row for row in self.rows if row.control == control)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "taught": self.taught, "rows": [{**asdict(row), "said": row.said} for row in self.rows]}


def summed(made: str, accounts: Iterable[Account]) -> Account:
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
        Row(control, reason, n, frames[control, reason, detail], detail)
        for (control, reason, detail), n in regions.items()
    ]
    return Account(made, annotations, skipped, held, in_order(rows))


def in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """By control, what taught first, then the most frequent."""
    return tuple(
        sorted(rows, key=lambda row: (row.control, row.reason != TAUGHT, -row.regions, row.reason, row.detail))
    )


def save(data_dir: Path, project: str, whole: Account, tasks: Mapping[int, Account]) -> None:
    """Replaces what was known, of all tasks. Raises StorageError."""
    folder = _folder(data_dir, project)
    for task, account in tasks.items():
        _write(folder / f"{task}.json", account)
    for path in folder.glob("*.json"):
        if path.stem.isdecimal() and int(path.stem) not in tasks:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    _write(folder / "project.json", whole)


def load(data_dir: Path, project: str, task: int | None = None) -> Account | None:
    """Of the project, or of one of its tasks, as the last training read it; None where it read nothing."""
    try:
        name = "project" if task is None else task
        return parse(json.loads((_folder(data_dir, project) / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse(data: Mapping[str, Any]) -> Account:
    """What `as_json` made. Raises KeyError, TypeError or ValueError."""
    rows = tuple(Row(**{name: row[name] for name in Row.__dataclass_fields__}) for row in data["rows"])
    return Account(data["made"], data["annotations"], data["skipped"], data["regions"], rows)


def _write(path: Path, account: Account) -> None:
    text = json.dumps(account.as_json(), ensure_ascii=False)
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return
    write_whole(path, text.encode(), "How labels were used")


def _folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).account
