"""What gunicorn asks for (`--config python:ml_backend.server.weblog`): its own messages go to the log of everything else, and
short answers do not wait for long ones.
"""

from __future__ import annotations

import gc
import logging
import sys

from ml_backend import logs


def on_starting(_server: object) -> None:
    """gunicorn calls it by this name, before there is a process that answers."""
    logs.set_up()
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.handlers.clear()
    gunicorn.propagate = True


def post_worker_init(_worker: object) -> None:
    """gunicorn calls it by this name, in the process that answers."""
    # By default a thread works on for 5 ms when others wait, and a webhook has to wait a dozen times beside a large /predict.
    sys.setswitchinterval(0.0005)
    # What is loaded by now stays. Else it is searched for garbage, with all requests waiting, every few times that 1,200 tasks come.
    gc.collect()
    gc.freeze()
