"""Jobs that a person asks for now, on the command line, over the API or on the dashboard: those that come by themselves, and exports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from ml_backend.errors import PayloadError, SettingsError
from ml_backend.projects import reconcile_state, registry
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.queue import enqueue
from ml_backend.store import files
from ml_backend.wording import cut, quoted

KINDS = ("suggest", "train", "predict")


def ask(redis: Redis, kind: str, project: str, tasks: Sequence[int] = ()) -> dict[str, str]:
    """Queues one of `KINDS` for a project given by its number or key; the ids of the jobs by what to call them.

    `tasks`: suggest or predict these alone; without, suggestions for all that lack any, found by a reconcile that compares
    everything, and predictions by the roll-out of the active version. Raises SettingsError when the project is not known
    or has nothing to predict with.
    """
    key = known(redis, project)
    version = registry.active_version(redis, key)
    if kind == "predict" and version is None:
        raise SettingsError(
            f"Project {cut(project)} has no model yet.", "Label some of the suggested frames, and submit."
        )
    if kind == "train":
        jobs = {kind: enqueue(redis, kind, key, again=True)}
    elif tasks:
        jobs = {f"{kind} task {task}": enqueue(redis, kind, key, task, again=True) for task in tasks}
    elif kind == "predict":
        jobs = {f"roll out {version}": enqueue(redis, "rollout", key, str(version), again=True)}
    else:
        reconcile_state.drop(redis, key, *reconcile_state.SEEN)
        jobs = {"reconcile": enqueue(redis, "reconcile", key, again=True)}
    return {name: str(job_id) for name, job_id in jobs.items()}


def reconcile(redis: Redis, label_studio_url: str, project: str | None, *, thorough: bool) -> dict[str, str]:
    """Queues the reconcile of one project (its number or key), or of all with a look for lost ones; ids by project.

    `thorough` compares everything though nothing seems to have changed. Raises SettingsError.
    """
    keys = registry.known_keys(redis)
    keys = keys if project is None else registry.keys_of(keys, project)
    if project is not None and not keys:
        raise SettingsError(
            f"Project {cut(project)} is not known to this backend.",
            "Connect it in Label Studio (Settings, Model), or run reconcile without a number to find it.",
        )
    if thorough:
        for key in keys:
            reconcile_state.drop(redis, key, *reconcile_state.SEEN, "since")
    jobs = {key: enqueue(redis, "reconcile", key, again=True) for key in keys}
    if project is None:
        jobs[label_studio_url] = enqueue(redis, "discover", label_studio_url, again=True)
    return {name: str(job_id) for name, job_id in jobs.items()}


def known(redis: Redis, project: str) -> str:
    """The key of a connected project; the newest when Label Studio used the number again. Raises SettingsError."""
    found = registry.keys_of(registry.known_keys(redis), project)
    if not found:
        raise SettingsError(
            f"Project {cut(project)} is not known to this backend.", "Connect it in Label Studio (Settings, Model)."
        )
    return found[-1]


# frames-every-5.zip: every fifth frame of each label.
_NAME = re.compile(r"labels\.(json|csv|parquet)|frames(-every-([1-9]\d{0,4}))?\.zip")


@dataclass(frozen=True)
class ExportFile:
    """`made`: unix time at which it was complete."""

    name: str
    bytes: int
    made: float


def export_path(data_dir: Path, key: str, name: str) -> Path:
    """Where the export `name` is or will be; `files.current` brings it there. Raises PayloadError for a name that is none."""
    export_every(name)
    return ProjectFolder(data_dir, key).exports / name


def export_every(name: str) -> int:
    """Of each label's frames every so many. Raises PayloadError for a name that is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise PayloadError(
            f"{quoted(name)} is no export.",
            "Ask for labels.json, labels.csv, labels.parquet, frames.zip or frames-every-5.zip.",
        )
    return int(match[3] or 1)


def ask_export(redis: Redis, data_dir: Path, key: str, name: str) -> str | None:
    """Queues the job that makes an export, in place of the one there is; returns its id. Raises PayloadError."""
    export_path(data_dir, key, name)
    return enqueue(redis, "export", key, name, again=True)


def exports_made(data_dir: Path, key: str) -> list[ExportFile]:
    """Those that are complete, the newest first."""
    folder = export_path(data_dir, key, "labels.json").parent
    paths = [folder / name for name in files.names(folder) if _NAME.fullmatch(name)]
    found = [ExportFile(path.name, *size_and_time) for path in paths if (size_and_time := files.size_and_time(path))]
    return sorted(found, key=lambda file: -file.made)
