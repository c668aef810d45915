"""What people see of the backend in a browser: pages made on the server, which work without JavaScript.

Importing a page adds its routes to the blueprint.
"""

from __future__ import annotations

from ml_backend.server.dashboard import (
    bouts_page,
    checks_page,
    jobs_page,
    labels_page,
    map_page,
    models_page,
    paths_page,
    player_page,
    projects_page,
    settings_pages,
    videos_page,
)
from ml_backend.server.dashboard.site import blueprint

__all__ = [
    "blueprint",
    "bouts_page",
    "checks_page",
    "jobs_page",
    "labels_page",
    "map_page",
    "models_page",
    "paths_page",
    "player_page",
    "projects_page",
    "settings_pages",
    "videos_page",
]
