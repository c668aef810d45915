"""Which model file of a researcher a project uses, if any."""

from __future__ import annotations

from pathlib import Path

from ml_backend.errors import CustomModelError
from ml_backend.jobs.project import ProjectWork
from ml_backend.projects.training_choice import MODEL_FILES


def custom_file_of(work: ProjectWork) -> Path | None:
    """The project's `custom_model` in DATA_DIR/custom_models, else CUSTOM_MODEL; None when the project learns by itself.

    Raises CustomModelError when the mode is custom and no file is named, or the named one is not there.
    """
    if work.settings.mode not in ("auto", "custom"):
        return None
    if work.settings.custom_model:
        # Imported here, since every reconcile asks and most projects have none.
        from ml_backend.learning.custom.model import custom_file

        return custom_file(work.context.settings.data_dir / MODEL_FILES, work.settings.custom_model)
    if work.context.settings.custom_model is None and work.settings.mode == "custom":
        raise CustomModelError(
            "The project's mode is custom, but no model file is set.",
            "Set the extra param custom_model, or CUSTOM_MODEL.",
        )
    return work.context.settings.custom_model
