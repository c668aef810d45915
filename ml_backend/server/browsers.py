"""What a browser is told about our answers, and what is refused that another site makes it send.

A browser adds the login to every request for us, also to one that a page of somebody else's makes. All current browsers
say where a request comes from (`Sec-Fetch-Site`, `Origin`), and a page cannot forge that; Label Studio and scripts say
nothing. So no form needs a token of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, request

_READING = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    # Scripts and styles from files of ours alone, none inside a page; nobody may frame us.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def protect_browsers(app: Flask, has_login: bool) -> None:
    """Puts security headers on every answer, unless its route has set them, and refuses what another site sends."""

    @app.before_request
    def refuse() -> tuple[Response, int] | None:
        if request.method in _READING or is_ours(dict(request.headers), request.host, has_login):
            return None
        answer = jsonify(
            error="This request was made by another site.",
            remedy="Use Coldblitz's own pages; a proxy in front of it must hand on the Host header.",
        )
        return answer, 403

    @app.after_request
    def add_headers(answer: Response) -> Response:
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer


def is_ours(headers: Mapping[str, str], host: str, has_login: bool) -> bool:
    """Whether a request that changes something was not made by a page of another site.

    Without a login, a site that gives its own name our address (DNS rebinding) would pass for ours: then a page must be at
    an address, at `localhost` or at a name without a domain.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is None and origin is None:
        return True  # no browser
    if not has_login and not _is_local_name(host):
        return False
    if site is not None:
        return site in ("same-origin", "none")
    try:
        return urlsplit(origin or "").netloc.lower() == host.lower()
    except ValueError:
        return False


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True
