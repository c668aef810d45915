"""The videos a project's models learn from and are measured on: embeddings, with what is known of each frame."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ml_backend.errors import VideoError
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.embeddings import task_features, with_frames
from ml_backend.jobs.individuals.reel import on_reel, reel_features, reel_of
from ml_backend.jobs.progress import Progress
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.accounting import Accounts
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.labelstudio.regions import is_untouched_whole
from ml_backend.learning.examples import LabelledVideo, examples
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.whole_video import LabelledWhole, whole_labels
from ml_backend.projects import registry
from ml_backend.wording import some

log = logging.getLogger(__name__)

_FOREIGN = "Annotations use {}{}, which the label config does not have; {}. Add {} there to learn from {}."

_NOBODYS = (
    "{} nobody's and not used for training ({}): several individuals are in the picture. In Label Studio’s list of regions, drag each "
    "onto the track that it is about, or write who it is into its meta, such as “who: mouse-2”."
)


@dataclass(frozen=True)
class VideoProblems:
    """What stood in the way of learning from a project's annotated videos, over all of its questions.

    `nobodys`: by task, regions of timelines of individuals of which nobody can tell whose they are. `accounts`: where it is noted
    what became of each region, by a training.
    """

    unusable: dict[int, str] = field(default_factory=dict)
    foreign: dict[str, set[str]] = field(default_factory=dict)
    nobodys: Counter[int] = field(default_factory=Counter)
    accounts: Accounts | None = None

    def note_foreign(self, work: ProjectWork, labels: Iterable[str]) -> None:
        where = "" if work.question.alone else f" in {work.question.from_name}"
        self.foreign.setdefault(where, set()).update(labels)

    def note_unusable(self, work: ProjectWork, one: Annotated, error: VideoError) -> None:
        log.warning("task %d is not used for training: %s", one.task.id, error)
        self.unusable[one.task.id] = f"Task {one.task.id} is not used for training: {error}"
        if self.accounts is not None:
            self.accounts.note_unusable(work, one)

    def tell(self, work: ProjectWork) -> None:
        """Replaces what the admin was told about them."""
        registry.set_problems(work.context.redis, work.key, "annotated videos", self.unusable.values())
        told = [_foreign(sorted(labels), where) for where, labels in sorted(self.foreign.items()) if labels]
        registry.set_problems(work.context.redis, work.key, "unknown labels", told)
        registry.set_problems(
            work.context.redis, work.key, "attribution", [_nobodys(self.nobodys)] if self.nobodys else []
        )


def _nobodys(found: Counter[int]) -> str:
    regions = "1 region of a timeline is" if found.total() == 1 else f"{found.total()} regions of timelines are"
    tasks = (
        f"task {min(found)}"
        if len(found) == 1
        else f"{len(found)} tasks, {some([str(task) for task in sorted(found)])}"
    )
    return _NOBODYS.format(regions, tasks)


def _foreign(labels: Sequence[str], where: str) -> str:
    if len(labels) == 1:
        return _FOREIGN.format(f"the label {some(labels)}", where, "it was ignored", "it", "it")
    return _FOREIGN.format(f"{len(labels)} labels{where}, {some(labels)}", "", "they were ignored", "them", "them")


def labelled_videos(
    work: ProjectWork,
    annotated: Sequence[Annotated],
    exclusive: bool,
    backbone: Backbone | None = None,
    problems: VideoProblems | None = None,
) -> list[LabelledVideo]:
    """One for each annotated task whose video can be used; what cannot be is told to the admin, or noted in `problems`.

    Embedded by the frozen backbone unless one is given.
    """
    used = backbone or work.context.backbone_for(work.settings)
    videos: list[LabelledVideo] = []
    noted = VideoProblems() if problems is None else problems
    for position, each in enumerate(annotated):
        progress = work.progress.step(position, len(annotated))
        progress.report(0, f"reading task {each.task.id}, {position + 1} of {len(annotated)}")
        try:
            features, labels = _seen(work, each, exclusive, used, progress)
        except VideoError as error:
            noted.note_unusable(work, each, error)
            continue
        if noted.accounts is not None:
            noted.accounts.note_video(work, each, features.timeline, labels, exclusive)
        noted.note_foreign(work, labels.unknown_labels)
        if (cast := each.cast(work.question)) is not None and (nobodys := on_reel(each.annotations, {}, cast).nobodys):
            noted.nobodys[each.task.id] = len(nobodys)
        videos.append(LabelledVideo(each.task.id, features, labels))
    if problems is None:
        noted.tell(work)
    return videos


def _seen(
    work: ProjectWork, annotated: Annotated, exclusive: bool, backbone: Backbone, progress: Progress
) -> tuple[VideoFeatures, FrameLabels]:
    """What a model is shown of a task, and what is known of it: of its video, or of its individuals one after another."""
    task, question = annotated.task, work.question
    if (cast := annotated.cast(question)) is not None:
        features = reel_features(work, task, reel_of(work, task, cast), backbone, progress)
        return features, labels_of(work, annotated, features.timeline, exclusive)
    features = task_features(work.context, question, task, backbone, progress)
    labels = labels_of(work, annotated, features.timeline, exclusive)
    labelled = examples(labels, features.frames).frames
    return with_frames(work.context, question, task, features, labelled.tolist(), backbone), labels


def whole_videos(work: ProjectWork, annotated: Sequence[Annotated], problems: VideoProblems) -> list[LabelledWhole]:
    """The same for a question about whole videos; those that nobody has answered are left out."""
    question, backbone = work.question, work.context.backbone_for(work.settings)
    videos: list[LabelledWhole] = []
    for position, each in enumerate(annotated):
        progress = work.progress.step(position, len(annotated))
        progress.report(0, f"reading task {each.task.id}, {position + 1} of {len(annotated)}")
        labels = [label for a in each.annotations if a.whole is not None for label in a.whole.labels]
        problems.note_foreign(work, set(labels).difference(question.labels))
        exclusive = not question.multiple
        values, weight, judged = whole_labels(each.annotations, question.labels, exclusive, is_untouched_whole)
        if problems.accounts is not None and not weight:
            problems.accounts.note_whole(work, each, values.tolist(), weight)
        if not weight:
            continue
        try:
            features = task_features(work.context, question, each.task, backbone, progress)
        except VideoError as error:
            problems.note_unusable(work, each, error)
            continue
        if problems.accounts is not None:
            problems.accounts.note_whole(work, each, values.tolist(), weight)
        videos.append(LabelledWhole(each.task.id, features, values, weight, judged))
    return videos
