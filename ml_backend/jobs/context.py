"""What a job works with: what its worker process holds on to between jobs (connections, folders, and the backbone, loaded once), and
the job's progress."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from redis import Redis

from ml_backend import logs
from ml_backend.errors import ColdblitzError
from ml_backend.jobs.progress import SILENT, Progress
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.installation import note_text, note_weights, text_state, weights_state
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings
from ml_backend.store.connect import connect
from ml_backend.video.cache import VideoFolder
from ml_backend.video.safe_http import VideoHosts
from ml_backend.video.view import PICTURE

if TYPE_CHECKING:
    from ml_backend.features.backbones import Backbone
    from ml_backend.features.store import FeatureStore
    from ml_backend.features.text import TextModel


Made = TypeVar("Made")


class made_once(Generic[Made]):
    """An attribute of a context that is made when it is first asked for, once for all jobs of a process."""

    def __init__(self, make: Callable[[JobContext], Made]) -> None:
        self._make, self._name, self.__doc__ = make, make.__name__, make.__doc__

    def __get__(self, context: JobContext, owner: type[JobContext] | None = None) -> Made:
        if self._name not in context.made:
            context.made[self._name] = self._make(context)
        return cast(Made, context.made[self._name])


@dataclass(frozen=True)
class JobContext:
    """`progress`: of the job that it is the context of; silent outside of the queue. `made`: what was asked for so far."""

    settings: Settings
    progress: Progress = SILENT
    made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # What is read and written in DATA_DIR from here on may be shared with other machines.
        if self.settings.store_url is not None:
            connect(self.settings, self.redis)

    def reporting(self, progress: Progress) -> JobContext:
        """The same, with all that it holds, for a job, or a part of one, with this progress."""
        other = copy(self)
        object.__setattr__(other, "progress", progress)
        return other

    @made_once
    def redis(self) -> Redis:
        return Redis.from_url(redis_url(self.settings))

    @made_once
    def studio(self) -> LabelStudio:
        """Raises LabelStudioRefused when the token has ended, and SettingsError."""
        settings = self.settings
        return LabelStudio(settings.label_studio_url, settings.label_studio_api_key, public=settings.label_studio_host)

    @made_once
    def videos(self) -> VideoFolder:
        root = self.settings.data_dir / "videos"
        addresses = (self.settings.label_studio_url, self.settings.label_studio_host or "")
        names = filter(None, (urlsplit(each).hostname for each in addresses))
        hosts = VideoHosts.of((*names, *self.settings.video_hosts))
        return VideoFolder(root, self.settings.cache_max_bytes, self.settings.max_video_bytes, hosts)

    @made_once
    def store(self) -> FeatureStore:
        from ml_backend.features.store import FeatureStore

        return FeatureStore(self.settings.data_dir / "features", self.settings.cache_max_bytes)

    @made_once
    def part_store(self) -> FeatureStore:
        """Parts of long videos, until all of one are there."""
        from ml_backend.features.store import FeatureStore

        return FeatureStore(self.settings.data_dir / "features" / "parts", self.settings.cache_max_bytes)

    @made_once
    def individual_store(self) -> FeatureStore:
        """What a backbone sees of the individuals in videos, apart from what it sees of whole pictures."""
        from ml_backend.features.store import FeatureStore

        return FeatureStore(self.settings.data_dir / "features" / "individuals", self.settings.cache_max_bytes)

    @made_once
    def backbone(self) -> Backbone:
        """As a project sees with it that sets nothing. Raises WeightsError."""
        return self._backbone(PICTURE)

    def backbone_for(self, settings: ProjectSettings) -> Backbone:
        """As a project with these settings sees with it. Raises WeightsError."""
        # Of each other size it is loaded once in a process, too, as long as there are few.
        loaded = self.backbone if settings.resolution == PICTURE else self._backbone(settings.resolution)
        return loaded.at(settings.roi)

    def _backbone(self, side: int) -> Backbone:
        # torch takes seconds to import, and suggestions do not need it.
        from ml_backend.features.backbones import load_backbone

        settings = self.settings
        try:
            loaded = load_backbone(
                settings.backbone,
                settings.backbone_weights,
                settings.device,
                settings.data_dir / "weights",
                settings.backbone_license,
                side=side,
                runtime=settings.embedding_runtime,
            )
        except ColdblitzError as error:
            note_weights(self.redis, error)
            raise
        note_weights(self.redis, weights_state(loaded.warning, loaded.runtime))
        return loaded

    @made_once
    def text(self) -> TextModel | ColdblitzError | None:
        """The network that reads labels; None when there is none, and what is wrong with it when it cannot be loaded."""
        # transformers takes seconds to import.
        from ml_backend.features.backbones import device_for
        from ml_backend.features.text import load_text_model, text_model_beside

        name = self.settings.text_model
        if name is None and self.settings.backbone.startswith("hf/"):
            name = text_model_beside(self.settings.backbone, self.settings.backbone_weights)
        if name is None:
            return None

        try:
            loaded = load_text_model(name, device_for(self.settings.device), self.settings.data_dir / "weights")
        except ColdblitzError as error:
            note_text(self.redis, text_state(name, error))
            return error
        note_text(self.redis, text_state(name))
        return loaded

    @made_once
    def text_store(self) -> FeatureStore:
        """What the text model sees of videos, apart from what a backbone sees."""
        from ml_backend.features.store import FeatureStore

        return FeatureStore(self.settings.data_dir / "features" / "text", self.settings.cache_max_bytes)

    def models_dir(self, project: str) -> Path:
        return ProjectFolder(self.settings.data_dir, project).models


@lru_cache(maxsize=1)
def worker_context() -> JobContext:
    """The context of this process, from its environment. Raises SettingsError."""
    settings = Settings.from_environment()
    logs.hide(*settings.secrets)
    return JobContext(settings)
