"""A tutorial that is being walked: its project on a real Label Studio, and what its annotator does there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotators import REVIEWED, answered, chosen, drawn, matched, predicted, submit
from tutorial_page import TutorialPage, run

from ml_backend.demo.loop import Loop
from ml_backend.demo.signing import SCRIPTS as SIGNED
from ml_backend.demo.tutorials import MAKERS
from ml_backend.labelstudio.label_config import LabelConfig, Question, parse_label_config
from ml_backend.labelstudio.tracks import read_tracks

PAGES = {name: TutorialPage.read(name) for name in MAKERS}
# The first so many videos of each teach.
_TAUGHT = {"mice": 1, "sign-language": 6, "traffic": 2, "film": 2}
_PREDICTING = ("suggest", "embed", "track", "train", "rollout", "predict", "recognize")


@dataclass(frozen=True)
class Walk:
    """`clips`: what is shown, in the order of the tasks. `folder`: where the page's commands are run."""

    name: str
    loop: Loop
    clips: tuple[Any, ...]
    folder: Path

    @property
    def page(self) -> TutorialPage:
        return PAGES[self.name]

    @property
    def config(self) -> LabelConfig:
        return parse_label_config(self.page.config)

    @property
    def boxes(self) -> Question:
        (question,) = self.config.tracks
        return question

    def taught(self) -> Iterator[tuple[int, Any]]:
        """Each task that a person answers, with its clip."""
        return zip(self.loop.tasks[: _TAUGHT[self.name]], self.clips, strict=False)

    def untaught(self) -> list[tuple[int, Any]]:
        return list(zip(self.loop.tasks, self.clips, strict=True))[_TAUGHT[self.name] :]

    def tracks(self, task: int) -> list[dict[str, Any]]:
        return [item for item in predicted(self.loop, task) if item["type"] == "videorectangle"]

    def run(self, line: str) -> None:
        run(line, self.loop.project)

    def is_at(self, kinds: tuple[str, ...]) -> bool:
        """Whether such a job of its project runs or waits. Label Studio is not asked, which is slower."""
        time.sleep(0.7)  # whoever waits asks again and again, and answers take from what is waited for
        jobs = self.loop.backend.jobs()
        return any(
            job["kind"] in kinds and _number(job) == self.loop.project for job in jobs["queued"] + jobs["running"]
        )

    def model(self) -> str:
        """Its version, once all that taught nothing is predicted and nothing is on its way that would change that."""

        def trained() -> str | None:
            if self.is_at(_PREDICTING):
                return None
            version = self.loop.shown_version()
            known = version.startswith("cold-v") and all(
                predicted(self.loop, task, version) for task, _ in self.untaught()
            )
            return version if known else None

        return self.loop.wait_for(f"model of {self.name}", trained)

    def teach(self) -> None:
        """The annotator's part of the page."""
        self.loop.wait_for("end of what comes first", lambda: not self.is_at(("reconcile", "suggest")))
        {"mice": _mice, "sign-language": _signs, "traffic": _traffic, "film": _film}[self.name](self)


def _number(job: Mapping[str, str]) -> int:
    """The number in a project's key, which is `<number>.<time of its creation>`."""
    return int(job["project"].partition(".")[0])


def _film(walk: Walk) -> None:
    """Answers what is suggested, and draws the first black, which is never suggested."""
    walk.loop.suggestions()
    for task, clip in walk.taught():
        black = [each for each in drawn(clip.labels, "shot", "hand") if each["value"]["timelinelabels"] == ["black"]]
        submit(walk.loop, task, [*answered(predicted(walk.loop, task), clip), black[0]])


def _signs(walk: Walk) -> None:
    walk.loop.suggestions()
    for (task, clip), script in zip(walk.taught(), SIGNED, strict=False):
        submit(walk.loop, task, [*answered(predicted(walk.loop, task), clip), chosen("sign", script.sign)])


def _traffic(walk: Walk) -> None:
    """Answers what is suggested, and says what each vehicle is."""
    walk.loop.wait_for("tracks", lambda: not walk.is_at(("track",)) and all(map(walk.tracks, walk.loop.tasks)))
    for task, clip in walk.taught():
        items = predicted(walk.loop, task)
        tracks = read_tracks(items, walk.boxes).tracks
        kinds = {}
        for (kind, _), place in zip(clip.vehicles, matched(tracks, [boxes for _, boxes in clip.vehicles]), strict=True):
            assert place is not None, f"a {kind} of {clip.path.name} has no track"
            kinds[tracks[place].id] = kind
        named = [
            {**item, "value": {**item["value"], "labels": [kinds[item["id"]]]}}
            for item in walk.tracks(task)
            if item["id"] in kinds
        ]
        submit(walk.loop, task, [*answered(items, clip), *named])


def _mice(walk: Walk) -> None:
    """Draws the whole timeline of each mouse of the first video."""
    walk.loop.wait_for("tracks", lambda: not walk.is_at(("track",)) and all(map(walk.tracks, walk.loop.tasks)))
    for task, clip in walk.taught():
        boxes = walk.tracks(task)
        tracks = read_tracks(boxes, walk.boxes).tracks
        said = []
        for number, place in enumerate(matched(tracks, list(clip.boxes))):
            assert place is not None, f"mouse {number} of {clip.path.name} has no track"
            said += drawn(clip.acts[number], "does", f"mouse{number}x", parentID=tracks[place].id)
        submit(walk.loop, task, [*boxes, *said, REVIEWED])
