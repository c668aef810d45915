"""The labels of a project whose config has them from the data of its tasks: all that any task brings along."""

from __future__ import annotations

from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Project
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.projects import task_labels


def with_task_labels(context: WorkerContext, project: Project, config: LabelConfig) -> LabelConfig:
    """The config with them; tasks are read again only when some came, went or changed. Raises LabelStudioError."""
    dynamic = [question for question in config.questions if question.labels_from]
    if not dynamic:
        return config
    number, key = project.key.id, str(project.key)
    sources = [[question.from_name, list(question.labels_from)] for question in dynamic]
    state = [*context.client.last_changed(number), sources]
    found = task_labels.load(context.settings.data_dir, key, state)
    if found is None:
        brought: dict[str, dict[str, None]] = {question.from_name: {} for question in dynamic}
        for task in context.client.tasks(number):
            for question in dynamic:
                brought[question.from_name].update(dict.fromkeys(question.labels_in(task.data)))
        found = {control: tuple(labels) for control, labels in brought.items()}
        task_labels.save(context.settings.data_dir, key, state, found)
    return config.with_labels(found)
