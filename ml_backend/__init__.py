"""Coldblitz, a Label Studio ML backend for video.

What is named in `__all__` may be used from outside; everything else may change. Each name is imported when it is asked for, so that
whoever needs one module of the package does not load the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_backend.errors import ColdblitzError
    from ml_backend.model import Coldblitz
    from ml_backend.provenance import ModelVersion, RegionId
    from ml_backend.server.app import create_app
    from ml_backend.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Coldblitz",
    "ColdblitzError",
    "ModelVersion",
    "RegionId",
    "Settings",
    "__version__",
    "create_app",
]

_MODULES = {
    "Coldblitz": "ml_backend.model",
    "ColdblitzError": "ml_backend.errors",
    "ModelVersion": "ml_backend.provenance",
    "RegionId": "ml_backend.provenance",
    "Settings": "ml_backend.settings",
    "create_app": "ml_backend.server.app",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
