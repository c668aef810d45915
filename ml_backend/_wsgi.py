"""The application under the name that servers of other ML backends look for: `gunicorn --bind :9090 ml_backend._wsgi:app`.

Where no REDIS_URL is set, workers and a Redis are started beside it, as `coldblitz serve` does.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys

from flask import Flask

from ml_backend import logs
from ml_backend.errors import SettingsError
from ml_backend.processes import locked, start_child, stop_child
from ml_backend.projects.storage import check_folder
from ml_backend.server.app import create_app
from ml_backend.settings import Settings, notes
from ml_backend.store.connect import begin

log = logging.getLogger(__name__)
# Longer than the workers are given.
_STOP_SECONDS = 15.0
# Holds the lock for as long as this process lives.
_held = contextlib.ExitStack()


def start() -> Flask:
    """Raises SettingsError and StorageError."""
    logs.set_up()
    settings = Settings.from_environment()
    if not (settings.basic_auth_user or settings.allow_no_login):
        # Which address the server listens on, its own options say.
        raise SettingsError(
            "Other machines may be able to reach Coldblitz here, and no login is set.",
            "Set BASIC_AUTH_USER and BASIC_AUTH_PASS, and enter them in Label Studio too. If something else protects "
            "it, set ALLOW_NO_LOGIN=true.",
        )
    for note in notes():
        log.info("%s", note)
    check_folder(settings.data_dir)
    begin(settings)
    app = create_app(settings)
    if settings.redis_url:
        log.info("This is the web process alone. Start workers with the same REDIS_URL: coldblitz worker.")
        return app
    try:
        _held.enter_context(locked(settings.data_dir / "web.lock", wait=False))
    except BlockingIOError:
        return app  # another process of the same server has started them
    workers = start_child([sys.executable, "-m", "ml_backend.cli", "worker"])
    atexit.register(stop_child, workers, _STOP_SECONDS)
    return app


app = start()
