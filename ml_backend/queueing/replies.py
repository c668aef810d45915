"""Redis' replies as text: it sends bytes, and its client types them as either."""

from __future__ import annotations


def text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
