"""The network that follows drawn boxes, where a project asks for one and its weights are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml_backend.detector_names import AUTO
from ml_backend.errors import SettingsError, WeightsError
from ml_backend.jobs.detectors import places
from ml_backend.jobs.project import ProjectWork
from ml_backend.objects.boxes import Boxes, Track
from ml_backend.objects.choosing import stamp
from ml_backend.objects.onebox import followed
from ml_backend.projects import registry
from ml_backend.queueing.job_limits import allow, video_seconds
from ml_backend.video.timeline import Timeline

if TYPE_CHECKING:
    from ml_backend.features.video_segmentation import VideoSegmenter

# A network on a processor takes so many seconds for a second of video, on a slow machine.
_SECONDS_PER_SECOND = 50.0


class BoxFollower:
    """Follows the drawn boxes of one task by the project's `follower`. Once that fails, the admin is told why, and it follows none
    of the others."""

    def __init__(self, work: ProjectWork) -> None:
        self._work, self._name = work, work.settings.follower
        self._usable = self._name != AUTO
        if not self._usable:
            self._tell([])

    def follow(self, path: Path, timeline: Timeline, frame: int, box: Boxes, label: str | None) -> Track | None:
        """The track of `box` as `track_from_box` gives it; None where it is to be followed in the usual way. Raises DeviceFull and
        VideoError."""
        if not self._usable:
            return None
        try:
            segmenter = self._loaded()
            allow(_SECONDS_PER_SECOND * video_seconds(path))
            found = followed(path, timeline, frame, box, segmenter).labeled(label)
        except (WeightsError, SettingsError) as error:
            self._usable = False
            self._tell([f"Drawn boxes are followed in the usual way, not by {self._name}: {error}"])
            return None
        self._tell([])
        return found

    def _loaded(self) -> VideoSegmenter:
        # torch takes seconds to import.
        from ml_backend.features.video_segmentation import load_segmenter

        where = places(self._work.context.settings)
        return load_segmenter(
            self._name, where.device, where.weights, where.cache, where.accepted, stamp(self._name, where)
        )

    def _tell(self, sentences: list[str]) -> None:
        registry.set_problems(self._work.context.redis, self._work.key, "follower", sentences)
