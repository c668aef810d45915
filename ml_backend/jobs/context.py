"""What a worker process holds on to between jobs: connections, folders, and the backbone, loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis import Redis

from ml_backend import logs
from ml_backend.errors import ColdblitzError
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.installation import note_text, note_weights, text_state, weights_state
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings
from ml_backend.video.cache import VideoFolder
from ml_backend.video.safe_http import VideoHosts
from ml_backend.video.view import PICTURE

if TYPE_CHECKING:
    from ml_backend.features.backbones import Backbone
    from ml_backend.features.store import FeatureStore
    from ml_backend.features.text import TextModel


@dataclass(frozen=True)
class JobContext:
    settings: Settings

    @cached_property
    def redis(self) -> Redis:
        return Redis.from_url(redis_url(self.settings))

    @cached_property
    def studio(self) -> LabelStudio:
        """Raises LabelStudioRefused when the token has ended, and SettingsError."""
        settings = self.settings
        return LabelStudio(settings.label_studio_url, settings.label_studio_api_key, public=settings.label_studio_host)

    @cached_property
    def videos(self) -> VideoFolder:
        root = self.settings.data_dir / "videos"
        addresses = (self.settings.label_studio_url, self.settings.label_studio_host or "")
        names = filter(None, (urlsplit(each).hostname for each in addresses))
        hosts = VideoHosts.of((*names, *self.settings.video_hosts))
        return VideoFolder(root, self.settings.cache_max_bytes, self.settings.max_video_bytes, hosts)

    @cached_property
    def store(self) -> FeatureStore:
        from ml_backend.features.store import FeatureStore

        return FeatureStore(self.settings.data_dir / "features", self.settings.cache_max_bytes)

    @cached_property
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
            )
        except ColdblitzError as error:
            note_weights(self.redis, error)
            raise
        note_weights(self.redis, weights_state(loaded.warning))
        return loaded

    @cached_property
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

    @cached_property
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
