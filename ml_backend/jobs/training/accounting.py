"""Keeps the account of labels while a training reads them: nothing that people did is passed over in silence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import get_args

from ml_backend.annotation import Annotation, WholeVideo
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.labelled import Annotated, placed_on
from ml_backend.labelstudio.annotations import Apart, Held
from ml_backend.labelstudio.regions import is_untouched_whole
from ml_backend.learning.frame_labels import YES, FrameLabels
from ml_backend.learning.label_outcomes import Outcome, outcomes
from ml_backend.projects import label_report
from ml_backend.projects.label_report import Account, AccountRow
from ml_backend.video.timeline import Timeline

_COMPANION = "the companion project"


@dataclass(frozen=True)
class Accounts:
    """`held`: of each task what Label Studio holds, as the annotations were read. `found`: what became of the regions of
    each task, with their control. `kept`: what became of them in the training before, where they are the same."""

    held: dict[int, Held] = field(default_factory=dict)
    found: dict[int, list[tuple[str, Outcome]]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[int, list[AccountRow]] = field(default_factory=dict)

    def note_video(
        self,
        work: ProjectWork,
        annotated: Annotated,
        timeline: Timeline,
        known: FrameLabels,
        exclusive: bool,
    ) -> None:
        """Of the regions about the question of `work` in one task."""
        placed, grid, _ = placed_on(work, annotated, timeline)
        found = outcomes(
            placed.annotations,
            grid,
            known,
            work.settings.default_label,
            exclusive=exclusive,
            pushed=placed.pushed,
            dense=work.settings.dense,
        )
        controls = [_control(work, each) for each in placed.annotations for _ in each.regions]
        self.found[annotated.task.id] += zip(controls, found, strict=True)
        read = Counter(_control(work, each) for each in annotated.annotations for _ in each.regions)
        for control, number in (read - Counter(controls)).items():
            self.found[annotated.task.id] += [(control, Outcome("nobody"))] * number

    def note_unusable(self, work: ProjectWork, annotated: Annotated) -> None:
        """Of all that is said about the question in a video that cannot be used."""
        for each in annotated.annotations:
            said = len(each.regions) + (each.whole is not None)
            self.found[annotated.task.id] += [(_control(work, each), Outcome("unusable"))] * said

    def note_whole(self, work: ProjectWork, annotated: Annotated, values: Sequence[int], weight: float) -> None:
        """Of the answers about a whole video, of which `values` (L,) is known with that `weight`."""
        labels = work.question.labels
        answers = [(each, each.whole) for each in annotated.annotations if each.whole is not None]
        for each, whole in answers:
            mine = [labels.index(label) for label in whole.labels if label in labels]
            others = [other for other, said in answers if other is not each and said.labels != whole.labels]
            self.found[annotated.task.id].append(
                (work.question.from_name, _whole_outcome(whole, mine, others, values, weight))
            )

    def rows(self, work: ProjectWork, task: int, names: dict[int, str]) -> Iterable[AccountRow]:
        for (control, reason), number in self.held.get(task, Held()).apart.items():
            yield AccountRow(control, reason, number)
        yield from self.kept.get(task, ())
        for control, outcome in self.found.get(task, ()):
            yield AccountRow(control, outcome.reason, 1, outcome.frames, _detail(outcome, names))

    def close_again(self, work: ProjectWork, learned: Sequence[Annotated]) -> None:
        """The same where these tasks were learned from already: only what is kept apart, as of a skip, can be new. Nothing
        is written when it is not known what they taught. Raises StorageError."""
        for each in learned:
            before = label_report.load_account(work.context.settings.data_dir, work.key, each.task.id)
            if before is None:
                return
            self.kept[each.task.id] = [row for row in before.rows if row.reason not in get_args(Apart)]
        self.close(work)

    def close(self, work: ProjectWork) -> Account:
        """Writes the account of each task and of the project, which is returned. Raises StorageError."""
        made = datetime.now(UTC).isoformat(timespec="seconds")
        disagree = any(outcome.by for found in self.found.values() for _, outcome in found)
        names = work.context.studio.annotations.author_names() if disagree else {}
        tasks = {}
        for task in sorted({*self.held, *self.found, *self.kept}):
            held = self.held.get(task, Held())
            rows = list(self.rows(work, task, names))
            # Those of the companion project are none of the task's own.
            elsewhere = sum(row.regions for row in rows if row.control == _COMPANION)
            one = Account(made, held.submitted, held.skipped, held.regions + elsewhere, tuple(rows))
            tasks[task] = label_report.summed_accounts(made, [one])
        whole = label_report.summed_accounts(made, tasks.values())
        label_report.save_account(work.context.settings.data_dir, work.key, whole, tasks)
        return whole


def nothing_taught(account: Account, control: str) -> str | None:
    """Why the regions of a control have taught nothing, as a sentence; None where nobody has labelled anything."""
    rows = [
        row
        for row in account.rows
        if row.control in (control, _COMPANION) and not row.frames and row.reason != label_report.TAUGHT
    ]
    read = sum(row.regions for row in rows)
    if not read and not account.taught:
        # All that people did is about something else, a control that was renamed, perhaps.
        rows = [row for row in account.rows if row.reason != "boxes"]
        read = sum(row.regions for row in rows)
    return _told(read, rows) if read else None


def _told(read: int, rows: Iterable[AccountRow]) -> str:
    regions = "1 region was" if read == 1 else f"{read} regions were"
    return f"{regions} read, and none of them taught a frame: {'; '.join(f'{row.regions} {row.said}' for row in rows)}."


def _control(work: ProjectWork, annotation: Annotation) -> str:
    return _COMPANION if annotation.id < 0 else work.question.from_name


def _whole_outcome(
    whole: WholeVideo, mine: Sequence[int], others: Sequence[Annotation], values: Sequence[int], weight: float
) -> Outcome:
    if not mine:
        return Outcome("unknown label", labels=tuple(sorted(set(whole.labels))))
    if weight and any(values[column] == YES for column in mine):
        return Outcome("taught")
    if not others:
        return Outcome("untouched" if is_untouched_whole(whole) else "contradicts itself")
    truth = [other for other in others if other.ground_truth]
    by = tuple(dict.fromkeys(other.author for other in truth or others))
    return Outcome("ground truth" if truth else "contradicted", by=by)


def _detail(outcome: Outcome, names: dict[int, str]) -> str:
    if outcome.labels:
        return ", ".join(f"“{label}”" for label in outcome.labels)
    called = ["somebody" if each is None else names.get(each, f"user {each}") for each in outcome.by]
    return ", ".join(called)
