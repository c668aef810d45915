"""The process that answers, as gunicorn runs it (`--worker-class`), but for one thing: a client that does not close its side
of a connection holds up nobody else.

gunicorn waits up to two seconds for it in the only thread that lets others in, `/health` among them.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

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
