"""How gunicorn runs the web process: its own kind of worker (`--worker-class`), and its log (`--config python:…`)."""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import sys
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from ml_backend import logs

_SECONDS = 1.0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Waits for the end of a connection in the thread that has answered on it."""

    def handle(self, conn: Any) -> Any:
        kept = super().handle(conn)
        if kept is False:
            _end(conn.sock)
        return kept


def _end(connection: socket.socket) -> None:
    """Says that no more will be sent, and waits a while until the client says so too: closed while something of it is unread,
    a connection loses what the client has not read of our answer (RFC 9112, section 9.6). Then nobody waits again."""
    until = time.monotonic() + _SECONDS
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(1 << 16):
                break
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


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
