"""The companion of a video project: a project of Label Studio in which each suggested frame is an image, labeled with one key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from ml_backend.errors import LabelStudioMissing
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.payloads import companion_mark, companion_of
from ml_backend.labelstudio.projects import Project, Projects
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, parse_regions
from ml_backend.labelstudio.session import Session
from ml_backend.labelstudio.tasks import Task, Tasks, condition
from ml_backend.labelstudio.uploads import Uploads
from ml_backend.video.timeline import StudioFrame

# What a result holds instead of the words "None of these", which a label may have as well.
NONE = "coldblitz-none"
# The control that answers are of.
CONTROL = "label"
# The digits are those of the timeline; of the letters only those to which Label Studio's image tools give no meaning.
_KEYS = "123456789qtasdfgzxcyijln"
_NONE_KEY = "0"


def companion_config(question: Question, several: bool) -> str:
    """One key for each label of the video project, and one for none of them. `several`: a frame may have more than one."""
    keys = [*_KEYS, *[""] * len(question.labels)]
    choices = [
        _choice(label, key, question.colours.get(label)) for label, key in zip(question.labels, keys, strict=False)
    ]
    choices.append(_choice("None of these", _NONE_KEY, None, NONE))
    kind = "multiple" if several else "single"
    listed = "\n".join(f"    {each}" for each in choices)
    return f"""<View>
  <Header value="$video, frame $frame ($seconds s)"/>
  <Choices name="{CONTROL}" toName="image" choice="{kind}" required="true" showInline="true">
{listed}
  </Choices>
  <Image name="image" value="$image"/>
</View>"""


def _choice(value: str, key: str, colour: str | None, alias: str | None = None) -> str:
    attributes = {"value": value, "alias": alias, "hotkey": key, "background": colour}
    return f"<Choice {' '.join(f'{name}={quoteattr(text)}' for name, text in attributes.items() if text)}/>"


def in_step(label_config: str, question: Question, several: bool) -> str:
    """The label config that the companion should have: its own as long as it has the labels, for an admin may have made it
    nicer; one that allows several labels a frame goes on doing so."""
    allows, labels = _choices(label_config)
    several |= allows
    same = set(labels) == {*question.labels, NONE} and allows == several
    return label_config if same else companion_config(question, several)


def _choices(label_config: str) -> tuple[bool, list[str]]:
    """Whether several may be chosen, and what a result may hold."""
    try:
        found = ElementTree.fromstring(label_config)
    except ElementTree.ParseError:
        return False, []
    for choices in found.iter("Choices"):
        if choices.get("name") == CONTROL:
            labels = [choice.get("alias") or choice.get("value") or "" for choice in choices.iter("Choice")]
            return choices.get("choice") == "multiple", labels
    return False, []


_ABOUT = (
    "Frames suggested for labeling, one key and Submit each. Coldblitz makes these tasks and learns from the answers; "
    "leave the mark in brackets, by which it finds this project again: "
)
# What we upload, with what Label Studio puts before it; other files in the companion are somebody else's.
_OUR_FILE = re.compile(r"/[0-9a-f]{8}-\d+-\d+\.jpg$")
# Label Studio takes no longer title.
_MOST_TITLE = 50
# Of the drafts Label Studio lists only those of the token's user.
_IMAGES = "id,data,annotations,draft_exists"
_ANSWERS = "id,data,annotations,result,was_cancelled,updated_at,completed_by,ground_truth,lead_time"
_ASKED = "id,data,total_annotations,predictions,result,model_version"
_PAGE = 200
# Label Studio refuses a request of more than a hundred files.
_UPLOADED_TOGETHER = 50


@dataclass(frozen=True)
class Frame:
    """A Label Studio frame of a video task, on its grid of `framerate` frames a second. `content`: how the hash of the video
    that it was taken from begins, "" where that is not known or need not be told."""

    task: int
    frame: StudioFrame
    framerate: float
    content: str = ""

    def of_its_video(self, content: str | None) -> bool:
        """Whether it shows the video whose hash is `content`, as far as is known."""
        return not self.content or content is None or content.startswith(self.content)


@dataclass(frozen=True)
class Picture:
    """A frame to be labelled. `seconds`: its presentation time; `video`: the file's name."""

    of: Frame
    seconds: float
    video: str
    jpeg: bytes


@dataclass(frozen=True)
class Image:
    """A task of the companion. `address`: of its picture; `touched`: somebody has answered, skipped or begun it."""

    number: int
    of: Frame
    address: str
    touched: bool


@dataclass(frozen=True)
class Answer:
    """What somebody submitted about one frame. `labels`: empty when it was *None of these*. `lead_time`: seconds that it
    took, None where Label Studio does not know."""

    id: int
    of: Frame
    labels: tuple[str, ...]
    author: int | None
    updated_at: datetime
    ground_truth: bool
    lead_time: float | None


@dataclass(frozen=True)
class Asked:
    """A task of the video project and the frames that its predictions ask about, ascending."""

    task: Task
    frames: tuple[StudioFrame, ...]


class Companion:
    """What a companion project asks of Label Studio; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._projects = Projects(session)
        self._tasks = Tasks(session)
        self._uploads = Uploads(session)

    def find(self, key: str) -> Project | None:
        """The companion of the video project `key`, the oldest if somebody has made a copy; None when there is none."""
        found = [
            item for item in self._projects.listed("description") if str(companion_of(item.get("description"))) == key
        ]
        return self._projects.parse(min(found, key=lambda item: int(item["id"]))) if found else None

    def make(self, key: str, title: str, label_config: str) -> Project:
        """Makes the companion of the video project `key`."""
        ending = " (frames)"
        body = {
            "title": title[: _MOST_TITLE - len(ending)] + ending,
            "description": _ABOUT + companion_mark(key),
            "label_config": label_config,
            "sampling": "Sequential sampling",
        }
        return self._projects.parse(self._session.json("POST", "/api/projects/", body=body))

    def keep_mark(self, number: int, key: str) -> None:
        """Puts the mark back that somebody has taken out of the description."""
        path = f"/api/projects/{number}/"
        said = str(self._session.json("GET", path).get("description") or "")
        if str(companion_of(said)) != key:
            self._session.json("PATCH", path, body={"description": f"{said} {companion_mark(key)}".strip()})

    def set_config(self, number: int, label_config: str) -> None:
        self._session.json("PATCH", f"/api/projects/{number}/", body={"label_config": label_config})

    def asked(self, project: int, question: Question, version: str, task: int | None = None) -> Iterator[Asked]:
        """Every task of a video project, or `task`, with the frames that its predictions ask about: those of `version`,
        and the first suggestions until somebody has annotated the task there."""
        this = () if task is None else (condition("id", "equal", "Number", task),)
        for item in self._tasks.listed(project, _ASKED, *this, page=_PAGE):
            versions = {version} if item.get("total_annotations") else {version, KEYFRAMES_VERSION}
            frames = {
                region.start
                for prediction in item.get("predictions", ())
                if prediction.get("model_version") in versions
                for region in parse_regions(prediction["result"], question)
                if region.start == region.end and not region.labels
            }
            yield Asked(Task(item["id"], item["data"]), tuple(sorted(frames)))

    def images(self, companion: int, task: int | None = None) -> list[Image]:
        """The tasks of a companion, or those about one task of the video project."""
        return self._images(companion, *_about(task))

    def untouched(self, companion: int, images: Sequence[Image]) -> list[Image]:
        """Those of the images that are there and that nobody has touched by now."""
        numbers = [image.number for image in images]
        now = self._images(companion, condition("id", "in_list", "Number", numbers))
        untouched = {image.number for image in now if not image.touched}
        return [image for image in images if image.number in untouched]

    def _images(self, companion: int, *conditions: dict[str, Any]) -> list[Image]:
        found = (
            (item, _frame(item["data"])) for item in self._tasks.listed(companion, _IMAGES, *conditions, page=_PAGE)
        )
        return [
            Image(item["id"], frame, str(item["data"].get("image")), bool(item["annotations"] or item["draft_exists"]))
            for item, frame in found
            if frame is not None
        ]

    def answers(self, companion: int, task: int | None = None) -> Iterator[Answer]:
        """What was submitted, skipped ones left out, about all tasks of the video project or one."""
        answered = condition("total_annotations", "greater", "Number", 0)
        for item in self._tasks.listed(companion, _ANSWERS, answered, *_about(task), page=_PAGE):
            frame = _frame(item["data"])
            for annotation in item["annotations"] if frame is not None else ():
                chosen = _chosen(annotation)
                if frame is not None and chosen and not annotation.get("was_cancelled"):
                    yield _answer(frame, annotation, chosen)

    def add_images(self, companion: int, pictures: Sequence[Picture]) -> None:
        """Uploads some of the pictures in one request and makes their tasks in another, until all are there; killed in
        between, it leaves only files."""
        for start in range(0, len(pictures), _UPLOADED_TOGETHER):
            self._add_together(companion, pictures[start : start + _UPLOADED_TOGETHER])

    def _add_together(self, companion: int, pictures: Sequence[Picture]) -> None:
        names = [f"{each.of.task}-{each.of.frame}.jpg" for each in pictures]
        files = {name: (name, each.jpeg, "image/jpeg") for name, each in zip(names, pictures, strict=True)}
        numbers = self._uploads.add_several(companion, files)
        stored = {upload.number: upload.address for upload in self._uploads.numbered(companion, numbers)}
        try:
            # Told by their names, since nobody promises an order; Label Studio puts eight letters before each.
            addresses = {stored[number].rpartition("/")[2][9:]: stored[number] for number in numbers}
            data = [_data(each, addresses[name]) for name, each in zip(names, pictures, strict=True)]
        except KeyError as error:
            raise self._session.unexpected("/import") from error
        self._session.json("POST", f"/api/projects/{companion}/import", None, [{"data": each} for each in data])

    def remove_images(self, images: Sequence[Image]) -> None:
        for image in images:
            with suppress(LabelStudioMissing):  # somebody else has deleted it
                self._session.json("DELETE", f"/api/tasks/{image.number}/")

    def remove_unused(self, companion: int, images: Sequence[Image]) -> None:
        """Deletes pictures that we have uploaded and that no task shows. `images`: those that are known to be shown."""
        used = {image.address for image in images}
        uploads = {upload.address: upload.number for upload in self._uploads.all(companion)}
        unused = {
            address: number for address, number in uploads.items() if _OUR_FILE.search(address) and address not in used
        }
        # Somebody else's tasks show pictures as well.
        for item in self._tasks.listed(companion, "id,data", page=_PAGE) if unused else ():
            unused.pop(str(item["data"].get("image")), None)
        if unused:
            self._uploads.delete(companion, list(unused.values()))


def _about(task: int | None) -> tuple[dict[str, Any], ...]:
    return () if task is None else (condition("data.task", "equal", "Number", task),)


def _data(picture: Picture, address: str) -> dict[str, Any]:
    of = picture.of
    return {
        "image": address,
        "video": picture.video,
        "task": of.task,
        "frame": int(of.frame),
        "framerate": of.framerate,
        "seconds": round(picture.seconds, 3),
        "content": of.content,
    }


def _frame(data: Mapping[str, Any]) -> Frame | None:
    """None of a task that somebody else has put there."""
    try:
        content = str(data.get("content") or "")
        return Frame(int(data["task"]), StudioFrame(int(data["frame"])), float(data["framerate"]), content)
    except (KeyError, TypeError, ValueError):
        return None


def _chosen(annotation: Mapping[str, Any]) -> list[str]:
    result = annotation.get("result")
    return [
        str(choice)
        for item in (result if isinstance(result, list) else ())
        if isinstance(item, Mapping) and item.get("from_name") == CONTROL and isinstance(item.get("value"), Mapping)
        for choice in item["value"].get("choices") or ()
    ]


def _answer(frame: Frame, annotation: Mapping[str, Any], chosen: Sequence[str]) -> Answer:
    author, seconds = annotation.get("completed_by"), annotation.get("lead_time")
    return Answer(
        int(annotation["id"]),
        frame,
        tuple(label for label in chosen if label != NONE),
        author["id"] if isinstance(author, Mapping) else author,
        datetime.fromisoformat(annotation["updated_at"]),
        bool(annotation.get("ground_truth")),
        float(seconds) if isinstance(seconds, int | float) else None,
    )
