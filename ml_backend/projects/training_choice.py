"""How a project trains from now on when somebody has chosen it for a training, instead of how its extra params say.

It would be of little use for one training alone: the next annotation would train by the extra params again and put another
version in its place. So it holds until somebody goes back to the extra params, as long as these say of training what they
said when it was made. A file beside the models, which no wiped Redis takes along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ml_backend.errors import SettingsError, StorageError
from ml_backend.project_settings import BlitzSettings, ProjectSettings, checked_blitz, model_files
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.registry import Known
from ml_backend.projects.storage import write_whole
from ml_backend.store.files import current, remove
from ml_backend.wording import quoted

Kind = Literal["cold", "blitz", "custom"]
# What to choose to follow the extra params again.
EXTRA_PARAMS = "extra-params"
# Where in DATA_DIR researchers' files lie, to be chosen by name: nobody chooses a path.
MODEL_FILES = "custom_models"
KINDS: tuple[str, ...] = (EXTRA_PARAMS, *get_args(Kind))


@dataclass(frozen=True)
class TrainingChoice:
    """`kind`: what is trained. `blitz`: how Blitz learns. `made`: ISO 8601. `instead_of`: what the extra params said of both.
    `file`: of DATA_DIR/custom_models, None for the one that the extra params or CUSTOM_MODEL name."""

    kind: Kind
    blitz: BlitzSettings
    made: str
    instead_of: Mapping[str, Any]
    file: str | None = None


def choose(
    data_dir: Path,
    project: Known,
    kind: str,
    blitz: Mapping[str, object],
    *,
    has_file: bool,
    file: str | None = None,
) -> TrainingChoice | None:
    """Keeps how `project` trains from now on; None when that is as its extra params say.

    `blitz`: those of its settings that are chosen too; the others are as the extra params say. `has_file`: whether the
    installation names a researcher's model file. `file`: one of `files`, to be used with the kind custom. Raises
    SettingsError for what is no choice, and StorageError.
    """
    if kind not in KINDS:
        raise SettingsError(f"The kind {quoted(kind)} cannot be trained.", f"It must be one of {', '.join(KINDS)}.")
    own = project.settings
    chosen = checked_blitz(blitz, own.blitz)
    if kind == EXTRA_PARAMS:
        forget(data_dir, project.key)
        return None
    if file is not None and (kind != "custom" or file not in files(data_dir)):
        raise SettingsError(
            f"The model file {quoted(file)} cannot be used for {kind}.",
            f"Choose the kind custom and a file of the folder {data_dir / MODEL_FILES}.",
        )
    if kind == "custom" and not (file or has_file or own.custom_model):
        raise SettingsError(
            "No model file is named for this project.",
            f"Choose one from the folder {data_dir / MODEL_FILES}, name it in the extra param custom_model, or set CUSTOM_MODEL.",
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = TrainingChoice(kind, chosen, now, _said(own), file)  # type: ignore[arg-type]
    write_whole(_path(data_dir, project.key), json.dumps(asdict(made)).encode(), "How the project trains")
    return made


def in_force(data_dir: Path, project: Known) -> TrainingChoice | None:
    """None when the extra params say how to train, be it that they were changed since."""
    try:
        data = json.loads(current(_path(data_dir, project.key)).read_text(encoding="utf-8"))
        made = TrainingChoice(**{**data, "blitz": BlitzSettings(**data["blitz"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made if made.instead_of == _said(project.settings) else None


def settings_of(data_dir: Path, project: Known) -> ProjectSettings:
    """The project's settings, with what was chosen for its trainings."""
    made, own = in_force(data_dir, project), project.settings
    return replace(own, mode=made.kind, blitz=made.blitz, custom_model=made.file or own.custom_model) if made else own


def files(data_dir: Path) -> list[str]:
    """The names of the researchers' files to choose from."""
    return model_files(data_dir / MODEL_FILES)


def forget(data_dir: Path, key: str) -> None:
    """Raises StorageError."""
    try:
        remove(_path(data_dir, key))
    except OSError as error:
        raise StorageError(
            f"How the project trains cannot be changed in {data_dir} ({error.strerror}).", "Correct its permissions."
        ) from error


def _said(settings: ProjectSettings) -> dict[str, Any]:
    """What the extra params say of trainings."""
    return {"mode": settings.mode, "custom_model": settings.custom_model, "blitz": asdict(settings.blitz)}


def _path(data_dir: Path, key: str) -> Path:
    return ProjectFolder(data_dir, key).training
