"""What gunicorn asks for (`--config python:ml_backend.server.weblog`): its own messages go to the log of everything else."""

from __future__ import annotations

import logging

from ml_backend import logs


def on_starting(_server: object) -> None:
    """gunicorn calls it by this name, before there is a process that answers."""
    logs.set_up()
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.handlers.clear()
    gunicorn.propagate = True
