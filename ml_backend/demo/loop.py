"""A project on a running Label Studio with Coldblitz connected, and how to watch it: what the demo and the end-to-end
tests share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ml_backend.demo.annotator import Answered, answer_suggestions
from ml_backend.demo.backend import Backend
from ml_backend.demo.clips import Clip
from ml_backend.demo.studio import Studio
from ml_backend.errors import ColdblitzError

SUGGESTIONS = "keyframes-v1"
_Found = TypeVar("_Found")
_Regions = dict[int, list[dict[str, Any]]]


class DidNotHappen(ColdblitzError):
    """Something that was waited for did not come."""


@dataclass(frozen=True)
class Loop:
    """A connected project; `tasks` are the ids of its tasks."""

    studio: Studio
    backend: Backend
    project: int
    tasks: tuple[int, ...]

    def wait_for(self, what: str, look: Callable[[], _Found | None], seconds: float = 240) -> _Found:
        """What `look` returns once it is neither None nor False.

        Raises DidNotHappen with the reasons of failed jobs when it stays so for `seconds`.
        """
        limit = time.monotonic() + seconds
        while (found := look()) is None or found is False:
            if not self.backend.child.running:
                raise DidNotHappen(
                    f"Coldblitz ended before {what}.", f"Its last lines:\n{self.backend.child.last_lines()}"
                )
            if time.monotonic() > limit:
                failed = [str(job.get("reason")) for job in self.backend.jobs()["failed"]]
                reasons = "\n".join(failed) or self.backend.child.last_lines()
                raise DidNotHappen(f"There was no {what} within {seconds:.0f} s.", f"The backend says:\n{reasons}")
            time.sleep(0.3)
        return found

    def suggestions(self) -> _Regions:
        """Waits until every task has suggestions; returns their regions per task."""
        return self.wait_for("suggestion in every video", lambda: self.regions(SUGGESTIONS))

    def answer(self, task: int, clip: Clip) -> Answered:
        """Lets the simulated annotator label the suggested frames of `task`, which shows `clip`, and submit."""
        return answer_suggestions(self.studio, task, SUGGESTIONS, lambda frame: label_at(clip, frame))

    def timelines(self, *, newer_than: str | None = None) -> tuple[str, _Regions]:
        """Waits until a trained version is shown, none is on its way, and every task has its timeline.

        Returns the version's name and the regions per task, without its questions.
        """
        version = self.wait_for("trained model", lambda: self.trained_version(newer_than))
        found = self.wait_for(f"timeline of {version} in every video", lambda: self.regions(version))
        return version, {task: [each for each in regions if not is_empty(each)] for task, regions in found.items()}

    def trained_version(self, newer_than: str | None = None) -> str | None:
        """The version that the label stream shows if it is a trained one, another than `newer_than`, and no job is
        under way."""
        if not self.backend.idle:
            return None
        version = self.shown_version()
        return version if version.startswith(("cold-v", "blitz-v")) and version != newer_than else None

    def shown_version(self) -> str:
        return str(self.studio.get(f"/api/projects/{self.project}/")["model_version"] or "")

    def regions(self, version: str) -> _Regions | None:
        """Per task the timeline regions of its newest prediction of `version`; None while a task has none."""
        found: _Regions = {}
        for task in self.tasks:
            predictions = [each for each in self.studio.predictions(task) if each["model_version"] == version]
            if not predictions:
                return None
            found[task] = [region for region in predictions[-1]["result"] if region["type"] == "timelinelabels"]
        return found


def is_empty(region: Mapping[str, Any]) -> bool:
    """Whether it is a suggestion or a question that has no answer."""
    return not region["value"]["timelinelabels"]


def label_at(clip: Clip, frame: int) -> str:
    """The true label of a Label Studio frame. The grid is the clip's own constant rate, so frame n shows frame index
    n - 1."""
    return clip.labels[frame - 1]


def labels_at(regions: Sequence[Mapping[str, Any]], frame: int) -> set[str]:
    """The labels that a timeline gives to a Label Studio frame."""
    found: set[str] = set()
    for region in regions:
        if any(span["start"] <= frame <= span["end"] for span in region["value"]["ranges"]):
            found.update(region["value"]["timelinelabels"])
    return found


def right_frames(regions: Sequence[Mapping[str, Any]], clip: Clip, without: Collection[int] = ()) -> tuple[int, int]:
    """How many frames the timeline labels with the truth and nothing else, and of how many; frames in `without` do
    not count."""
    asked = [frame for frame in range(1, len(clip.labels) + 1) if frame not in without]
    return sum(labels_at(regions, frame) == {label_at(clip, frame)} for frame in asked), len(asked)
