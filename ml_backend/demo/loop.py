"""A project on a running Label Studio with Coldblitz connected, and an annotator who works through the API only: what the demo and the
end-to-end tests share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import av

from ml_backend.demo.clips import Clip
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.errors import ColdblitzError, SettingsError
from ml_backend.labelstudio.recommended import recommended_config

# Told apart by people who see fewer colours, too (Okabe and Ito).
_COLOURS = ("#999999", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_ENDINGS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"}


def label_config(labels: Sequence[str]) -> str:
    """The label config that the README recommends: the grid is the video's own frame rate, and `reviewed` marks a
    finished timeline."""
    return recommended_config(dict(zip(labels, cycle(_COLOURS))))


def upload_tasks(studio: Studio, project: int, videos: Sequence[tuple[Path, Fraction]]) -> list[int]:
    """Uploads each (file, frames a second) and makes a task of it; returns the tasks' ids in the same order."""
    data = [{"video": studio.upload(project, path), "fps": float(fps)} for path, fps in videos]
    return studio.import_tasks(project, data)


def local_file_tasks(studio: Studio, project: int, folder: Path, videos: Sequence[tuple[Path, Fraction]]) -> list[int]:
    """Connects `folder`, which must lie below Label Studio's document root, as local-files storage, and makes a task
    of each of its videos."""
    storage = {"project": project, "path": str(folder), "use_blob_urls": True, "title": folder.name}
    studio.post("/api/storages/localfiles/", storage)
    data = [{"video": f"/data/local-files/?d={folder.name}/{path.name}", "fps": float(fps)} for path, fps in videos]
    return studio.import_tasks(project, data)


def find_videos(folder: Path) -> list[tuple[Path, Fraction]]:
    """The videos in `folder` with their average frames a second; raises SettingsError when there is none."""
    videos = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in _ENDINGS:
            rate = _frame_rate(path)
            if rate is not None:
                videos.append((path, rate))
    if not videos:
        raise SettingsError(
            f"There is no video in {folder}.",
            f"Let VIDEOS name a folder with files that end in {', '.join(sorted(_ENDINGS))}.",
        )
    return videos


def _frame_rate(path: Path) -> Fraction | None:
    try:
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
    except (av.FFmpegError, IndexError):
        return None
    return Fraction(rate) if rate else None


@dataclass(frozen=True)
class Answered:
    """A submitted annotation and the Label Studio frames that were labelled in it."""

    id: int
    frames: frozenset[int]


def answer_suggestions(
    studio: Studio,
    task: int,
    version: str,
    label_at: Callable[[int], str],
    choices: Mapping[str, str] | None = None,
) -> Answered:
    """Opens `task`, gives each one-frame region of its `version` prediction the label of its Label Studio frame, makes the
    `choices` about the whole video, by control, and submits.

    Raises LookupError when the task has no such prediction.
    """
    opened = studio.get(f"/api/tasks/{task}")
    found = [prediction for prediction in opened["predictions"] if prediction["model_version"] == version]
    if not found:
        raise LookupError(f"Task {task} has no prediction of version {version}.")
    prediction = found[-1]
    regions = [_answered(region, label_at) for region in prediction["result"] if region["type"] == "timelinelabels"]
    chosen = [
        {"id": name, "from_name": name, "to_name": "video", "type": "choices", "value": {"choices": [choice]}}
        for name, choice in (choices or {}).items()
    ]
    body = {
        "result": [*regions, *chosen],
        "parent_prediction": prediction["id"],
        "lead_time": 2.0 * len(regions),
        "was_cancelled": False,
    }
    annotation = studio.post(f"/api/tasks/{task}/annotations/", body)
    frames = {span["start"] for region in regions for span in region["value"]["ranges"]}
    return Answered(int(annotation["id"]), frozenset(frames))


def _answered(region: Mapping[str, Any], label_at: Callable[[int], str]) -> dict[str, Any]:
    [span] = region["value"]["ranges"]
    value = {**region["value"], "timelinelabels": [label_at(int(span["start"]))]}
    kept = {name: region[name] for name in ("id", "from_name", "to_name", "type", "score", "meta") if name in region}
    return {**kept, "value": value, "origin": "prediction-changed"}


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

    def wait_for(self, what: str, look: Callable[[], _Found | None], seconds: float = 500) -> _Found:
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

    def answer(self, task: int, clip: Clip, choices: Mapping[str, str] | None = None) -> Answered:
        """Lets the simulated annotator label the suggested frames of `task`, which shows `clip`, make the `choices` about the
        whole video, and submit."""
        return answer_suggestions(self.studio, task, SUGGESTIONS, lambda frame: label_at(clip, frame), choices)

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
            result = self._result(task, version)
            if result is None:
                return None
            found[task] = [region for region in result if region["type"] == "timelinelabels"]
        return found

    def chosen(self, version: str, control: str) -> dict[int, str]:
        """What `version` predicts the whole video of each task to be; tasks about which it says nothing are left out."""
        items = {task: self._result(task, version) or [] for task in self.tasks}
        return {
            task: str(item["value"]["choices"][0])
            for task, result in items.items()
            for item in result
            if item["type"] == "choices" and item["from_name"] == control
        }

    def _result(self, task: int, version: str) -> list[dict[str, Any]] | None:
        """The items of its newest prediction of `version`, if there is one."""
        predictions = [each for each in self.studio.predictions(task) if each["model_version"] == version]
        return list(predictions[-1]["result"]) if predictions else None


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
