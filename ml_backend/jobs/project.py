"""What every job on a project begins with: the project as Label Studio has it now, and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from redis.exceptions import RedisError

from ml_backend.errors import Gone, LabelConfigError, LabelStudioMissing, SettingsError
from ml_backend.jobs.connection import demand, not_ours
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.progress import Progress
from ml_backend.labelstudio.label_config import LabelConfig, Question, parse_label_config
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.tasks import Task
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects import label_report, links, registry, training_choice
from ml_backend.roi import RegionOfInterest, usable_roi
from ml_backend.wording import cut, listed


def with_task_labels(context: JobContext, project: Project, config: LabelConfig) -> LabelConfig:
    """The config with them; tasks are read again only when some came, went or changed. Raises LabelStudioError."""
    dynamic = [question for question in (*config.questions, *config.tracks) if question.labels_from]
    if not dynamic:
        return config
    number, key = project.key.id, str(project.key)
    sources = [[question.from_name, list(question.labels_from)] for question in dynamic]
    state = [*context.studio.tasks.last_changed(number), sources]
    found = label_report.load_task_labels(context.settings.data_dir, key, state)
    if found is None:
        brought: dict[str, dict[str, None]] = {question.from_name: {} for question in dynamic}
        for task in context.studio.tasks.all(number):
            for question in dynamic:
                brought[question.from_name].update(dict.fromkeys(question.labels_in(task.data)))
        found = {control: tuple(labels) for control, labels in brought.items()}
        label_report.save_task_labels(context.settings.data_dir, key, state, found)
    return config.with_labels(found)


@dataclass(frozen=True)
class ProjectWork:
    """`context`: of the job, or the part of one, that does it. `key`: `"<id>.<creation time>"`. `config` is read afresh, since
    Label Studio does not tell of every change. `settings`: with what was chosen for its trainings. `question`: the one of the
    config's that the work is about, its main one unless another is `asked`."""

    context: JobContext = field(repr=False, compare=False)
    key: str
    project: Project
    config: LabelConfig
    settings: ProjectSettings
    asked: Question | None = None

    @property
    def question(self) -> Question:
        return self.asked or self.config.main

    @property
    def id(self) -> int:
        return self.project.key.id

    @property
    def progress(self) -> Progress:
        return self.context.progress

    def part(self, first: float, last: float) -> ProjectWork:
        """The same as a part of what is being done, from `first` to `last` percent of it."""
        return replace(self, context=self.context.reporting(self.progress.part(first, last)))

    def step(self, position: int, steps: int) -> ProjectWork:
        """The same as one of so many equal parts of what is being done."""
        return replace(self, context=self.context.reporting(self.progress.step(position, steps)))

    def on(self, question: Question) -> ProjectWork:
        """The same work on another question."""
        return replace(self, asked=question)

    def taught(self, control: str, labels: Sequence[str]) -> ProjectWork | None:
        """The work on the question that a model has learnt: the one of that `control`. None when the config has it no more.

        A model from before a project could have several questions names no control: then its `labels` tell.
        """
        of_control = [each for each in self.config.questions if each.from_name == control]
        if not control:
            alike = (each for each in self.config.timelines if set(each.labels) == set(labels))
            # A model of frames or whole videos knows nothing of boxes.
            of_control = [next(alike, self.config.main)] if self.config.questions else []
        return self.on(of_control[0]) if of_control else None

    def each(self) -> Iterator[ProjectWork]:
        """The work on each question, in the order of the label config."""
        return map(self.on, self.config.questions)


def task_roi(task: Task) -> RegionOfInterest | None:
    """The region of interest that a task's own data name; None when they name none, or none that can be understood."""
    return usable_roi(task.data)


def roi_for(work: ProjectWork, task: Task) -> RegionOfInterest | None:
    """The part of a task's pictures that is looked at: that of its own data, else the project's; None for all."""
    return task_roi(task) or work.settings.roi


def open_project(context: JobContext, key: str, *, sure: bool = False) -> ProjectWork:
    """Raises Gone when the project is, or has no ML backend entry that reaches us, and LabelConfigError when nothing in it
    can be predicted.

    `sure`: asks Label Studio whether the entry is still there, instead of what the last reconcile saw.
    """
    if links.is_disconnected(context.redis, key) and not sure:
        raise not_ours(key)
    project = find_project(context, key)
    if sure:
        demand(context, project)
    return work_on(context, project)


def find_project(context: JobContext, key: str) -> Project:
    """Raises Gone when the project is."""
    try:
        project = context.studio.projects.get(registry.number_of(key))
    except LabelStudioMissing as error:
        raise Gone(f"Project {key} is gone from Label Studio.", "No action is needed.") from error
    if str(project.key) != key:
        raise Gone(f"Project {key} is gone; Label Studio has given its number to another one.", "No action is needed.")
    return project


def work_on(context: JobContext, project: Project) -> ProjectWork:
    """Raises LabelConfigError."""
    key = str(project.key)
    known = registry.recall(context.redis, key)
    chosen = training_choice.settings_of(context.settings.data_dir, known) if known else ProjectSettings()
    config = with_task_labels(context, project, parse_label_config(project.label_config))
    return ProjectWork(context, key, project, config, chosen)


def named_work(context: JobContext, number: int) -> ProjectWork:
    """A project by its number, with its settings when the backend's Redis can be asked for them. Raises LabelStudioError."""
    project = context.studio.projects.open(number)
    known = None
    with suppress(RedisError):
        known = registry.recall(context.redis, str(project.key))
    settings = known.settings if known else ProjectSettings()
    config = with_task_labels(context, project, parse_label_config(project.label_config))
    return ProjectWork(context, str(project.key), project, config, settings)


def open_boxes(context: JobContext, number: int, control: str | None = None) -> ProjectWork:
    """A project by its number, for its boxes: of `control` if given, else of the first control that has some.

    Raises LabelStudioError, LabelConfigError when it asks for no boxes, and SettingsError when it has no such control.
    """
    work = named_work(context, number)
    if not work.config.tracks:
        raise LabelConfigError(
            "The label config has no <VideoRectangle> on a <Video>, so there are no boxes.",
            "Add one to the project's labeling interface.",
        )
    names = [question.from_name for question in work.config.tracks]
    if control is not None and control not in names:
        raise SettingsError(
            f"The label config has no boxes called “{cut(control)}”.", f"Name one of these: {listed(names)}."
        )
    return work.on(work.config.tracks[names.index(control) if control is not None else 0])
