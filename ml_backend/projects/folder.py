"""The folder that a data folder has for each project: where everything in it is, and how it is forgotten."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_backend.store import files

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProjectFolder:
    """Of the project `key`, `"<id>.<creation time>"`. It need not be there: whoever writes a file makes its folder."""

    data_dir: Path
    key: str

    @classmethod
    def all(cls, data_dir: Path) -> Iterator[ProjectFolder]:
        """Those that are there, in no order."""
        root = _projects(data_dir)
        for name in files.names(root):
            if files.has_folder(root / name):
                yield cls(data_dir, name)

    @property
    def path(self) -> Path:
        return _projects(self.data_dir) / self.key

    # What cost labels and time to make, or what people chose; it goes a day after the project.

    @property
    def models(self) -> Path:
        """A folder for each model version."""
        return self.path / "models"

    @property
    def detectors(self) -> Path:
        """A folder for each detector that was trained on people's boxes."""
        return self.path / "detectors"

    @property
    def exports(self) -> Path:
        """What was exported, until the project goes."""
        return self.path / "exports"

    @property
    def training(self) -> Path:
        """How the project trains, as it was chosen in the form."""
        return self.path / "training.json"

    @property
    def quality(self) -> Path:
        """Which labels are probably wrong."""
        return self.path / "quality.json"

    @property
    def labelled(self) -> Path:
        """What people have labelled: a report, the regions of each task."""
        return self.path / "labelled"

    @property
    def account(self) -> Path:
        """What the last training read, and what became of it."""
        return self.labelled / "account"

    @property
    def identities(self) -> Path:
        """Which task and video each task's number stood for."""
        return self.path / "tasks.rows"

    @property
    def video_contents(self) -> Path:
        """Which content each task's videos had when what is kept of the task was made."""
        return self.path / "contents.rows"

    @property
    def task_labels(self) -> Path:
        """The labels that come from task data."""
        return self.path / "task_labels.json"

    @property
    def studio(self) -> Path:
        """The address of the Label Studio that has the project."""
        return self.path / ".studio"

    # What is made again from Label Studio and the models; it goes with the project.

    @property
    def predictions(self) -> Path:
        """A folder for each model version, with a file for each task."""
        return self.path / "predictions"

    @property
    def order(self) -> Path:
        """In which order the tasks are best looked at, by model version."""
        return self.path / "order"

    @property
    def tracks(self) -> Path:
        """The tracks of boxes that were found in each task's video."""
        return self.path / "tracks"

    @property
    def submitted_tracks(self) -> Path:
        """The tracks of boxes that people have submitted of each task."""
        return self.path / "submitted_tracks"

    @property
    def track_faults(self) -> Path:
        """Which tracks are probably wrong."""
        return self.path / "track_faults"

    @property
    def track_questions(self) -> Path:
        """Which boxes are worth a look, and which tasks are answered."""
        return self.path / "track_questions"

    @property
    def stopping(self) -> Path:
        """How many errors the active model leaves."""
        return self.path / "stopping"

    @property
    def views(self) -> Path:
        """What a page shows of each task."""
        return self.path / "views"

    @property
    def sheets(self) -> Path:
        """Contact sheets of the suggested frames."""
        return self.path / "sheets"

    @property
    def playback(self) -> Path:
        """How each task's video is played, and where it was taken."""
        return self.path / "playback"

    @property
    def pictures(self) -> Path:
        """Which pictures stand for the videos, and which videos are there twice."""
        return self.path / "pictures"

    @property
    def bouts(self) -> Path:
        """The bouts of its timelines, counted for a page."""
        return self.path / "bouts"

    def lock(self, purpose: str) -> Path:
        """The file that whoever trains or rolls out holds on this machine."""
        return self.path / f".{purpose}.lock"

    @property
    def _gone(self) -> Path:
        return self.path / ".gone"

    def forget(self) -> bool:
        """The project is gone: removes what is made again, and marks the rest. Returns whether there was a folder of it."""
        if not files.has_folder(self.path):
            return False
        for folder in (
            self.predictions,
            self.order,
            self.stopping,
            self.views,
            self.sheets,
            self.playback,
            self.pictures,
            self.bouts,
            self.tracks,
            self.submitted_tracks,
            self.track_faults,
            self.track_questions,
        ):
            files.remove_folder(folder)
        self.mark_gone()
        return True

    def mark_gone(self) -> None:
        """Notes when the project was first seen to be gone."""
        try:
            if not files.exists(self._gone):
                # Where the file is brought from elsewhere, it has another time.
                files.write(self._gone, str(time.time()).encode() if files.shared(self.path) else b"")
        except OSError as error:
            log.warning("%s cannot be marked as gone: %s", self.path, error)

    def unmark(self) -> None:
        """The project is there again."""
        files.remove(self._gone)

    def seconds_gone(self) -> float | None:
        """How long ago the project was marked as gone; None when it was not."""
        try:
            said = files.current(self._gone).read_text(encoding="utf-8")
            return time.time() - (float(said) if said else self._gone.stat().st_mtime)
        except (OSError, ValueError):
            return None

    def remove(self) -> None:
        """Deletes all of it."""
        files.remove_folder(self.path)
        log.info("deleted %s, whose project is gone from Label Studio", self.path)


def _projects(data_dir: Path) -> Path:
    return data_dir / "projects"
