"""What every job on a project begins with: the project as Label Studio has it now, and its settings."""

from __future__ import annotations

from dataclasses import dataclass

from ml_backend.errors import Gone, LabelStudioMissing
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Project
from ml_backend.labelstudio.config import LabelConfig, parse_label_config
from ml_backend.records import projects, training_choice
from ml_backend.settings import ProjectSettings


@dataclass(frozen=True)
class ProjectWork:
    """`key`: `"<id>.<creation time>"`. `config` is read afresh, since Label Studio does not tell of every change. `settings`:
    with what was chosen for its trainings."""

    key: str
    project: Project
    config: LabelConfig
    settings: ProjectSettings

    @property
    def id(self) -> int:
        return self.project.key.id


def open_project(context: WorkerContext, key: str) -> ProjectWork:
    """Raises Gone when the project is, and LabelConfigError when nothing in it can be predicted."""
    known = projects.recall(context.redis, key)
    try:
        project = context.client.project(projects.number_of(key))
    except LabelStudioMissing as error:
        raise Gone(f"Project {key} is gone from Label Studio.", "Nothing needs to be done.") from error
    if str(project.key) != key:
        raise Gone(
            f"Project {key} is gone; Label Studio has given its number to another one.", "Nothing needs to be done."
        )
    chosen = training_choice.settings_of(context.settings.data_dir, known) if known else ProjectSettings()
    return ProjectWork(key, project, parse_label_config(project.label_config), chosen)
