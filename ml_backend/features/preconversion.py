"""The backbone converted before anybody waits for it: `python -m ml_backend.features.preconversion`, with the workers' environment."""

from __future__ import annotations

import logging
import os

from ml_backend import logs
from ml_backend.errors import ColdblitzError
from ml_backend.features.backbones import device_for
from ml_backend.features.conversion import converted
from ml_backend.features.weights import find_weights
from ml_backend.settings import Settings

log = logging.getLogger(__name__)

# As workers: a job that comes meanwhile waits for it.
_NICER = 10


def convert_ahead(settings: Settings) -> None:
    """Nothing is done where the backbone is converted already, or runs on a GPU. Raises WeightsError and SettingsError."""
    folder = settings.data_dir / "weights"
    if device_for(settings.device) == "cpu":
        weights = find_weights(settings.backbone, settings.backbone_weights, folder, settings.backbone_license)
        converted(settings.backbone, weights, folder)


if __name__ == "__main__":
    os.nice(_NICER)
    logs.set_up()
    try:
        convert_ahead(Settings.from_environment())
    except (ColdblitzError, OSError) as error:
        # The first job that needs it tells the admin.
        log.warning("The backbone could not be converted ahead of the first job: %s", error)
