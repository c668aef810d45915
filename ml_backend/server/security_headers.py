"""What a browser is told about our answers, and what is refused that another site makes it send.

A browser adds the login to every request for us, also to one that a page of somebody else's makes. All current browsers
say where a request comes from (`Sec-Fetch-Site`, `Origin`), and a page cannot forge that; Label Studio and scripts say
nothing. So no form needs a token of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, request

from ml_backend.settings import Settings

# What Label Studio calls, under whatever name it reaches us; it shows nothing that a stranger could use, and what it changes
# a page of another site cannot send (`is_ours`).
_PROTOCOL = ("/health", "/setup", "/predict", "/webhook", "/versions")
# Names that nobody can register, so that no site can give its own one our address.
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa", ".test")
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


def protect_browsers(app: Flask, settings: Settings, connected: Callable[[], Iterable[str]]) -> None:
    """Puts security headers on every answer, unless its route has set them, and refuses what another site sends.

    `connected`: the addresses under which Label Studio reaches us.
    """
    ours = {_name(host) for host in (settings.host, *settings.public_hosts)}

    def is_known(host: str) -> bool:
        """Whether a page under this name is one of ours: with a login, a browser has none for another site's name."""
        name = _name(host)
        if settings.basic_auth_user is not None or _is_local_name(name) or name in ours:
            return True
        return name in {urlsplit(url).hostname for url in connected()}

    @app.before_request
    def refuse() -> tuple[Response, int] | None:
        known = request.path in _PROTOCOL or is_known(request.host)
        if not known:
            answer = jsonify(
                error=f"Coldblitz has no login, and {_name(request.host)[:100]!r} is not one of its known names.",
                remedy="Open it by its IP address, add this name to PUBLIC_HOSTS, or set BASIC_AUTH_USER and BASIC_AUTH_PASS.",
            )
            return answer, 403
        if request.method in _READING or is_ours(dict(request.headers), request.host, known=is_known(request.host)):
            return None
        answer = jsonify(
            error="This request came from another site.",
            remedy="Use Coldblitz's own pages; a proxy in front of it must forward the Host header.",
        )
        return answer, 403

    @app.after_request
    def add_headers(answer: Response) -> Response:
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer


def is_ours(headers: Mapping[str, str], host: str, known: bool) -> bool:
    """Whether a request that changes something was not made by a page of another site.

    A site that gives its own name our address (DNS rebinding) would pass for ours: a page must be at a name that is `known`.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is None and origin is None:
        return True  # no browser
    if not known:
        return False
    if site is not None:
        return site in ("same-origin", "none")
    try:
        return urlsplit(origin or "").netloc.lower() == host.lower()
    except ValueError:
        return False


def _name(host: str) -> str:
    """The host of a `Host` header, of an address or a name; empty when it is none."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_local_name(name: str) -> bool:
    """Whether it is an address, or a name that only this network can have given."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_LOCAL_ENDINGS))
    return True
