"""Who may see our answers: the login, HTTP basic authentication on everything but `/health` and an end to guessing it; what a browser is
told about them, and what is refused that another site makes it send."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, request

from ml_backend.settings import Settings
from ml_backend.wording import quoted

_TRIES, _SECONDS = 10, 60.0
# Label Studio calls every few seconds while somebody works.
_KNOWN_SECONDS = 24 * 3600.0
_MOST_ADDRESSES = 2048

Value = TypeVar("Value")


class FailedLogins:
    """Which addresses have failed too often lately, in this process and in bounded memory.

    After 10 failures within a minute an address has to wait for the end of that minute, even with the right login, or
    guessing would go on. One that has logged in within a day never waits with the right login: nobody behind the same
    address can lock Label Studio out, at the price that they may go on guessing.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def admit(self, address: str, right: bool) -> float:
        """Notes a try to log in; returns 0 when its outcome counts, else for how many seconds tries are refused."""
        source, now = _source(address), self._now()
        with self._one_at_a_time:
            begun, failures = self._failures.get(source, (now, 0))
            if now - begun >= _SECONDS:
                begun, failures = now, 0
            known = now - self._known.get(source, -_KNOWN_SECONDS) < _KNOWN_SECONDS
            if failures >= _TRIES and not (right and known):
                return _SECONDS - (now - begun)
            if right:
                self._failures.pop(source, None)
                _keep(self._known, source, now)
            else:
                _keep(self._failures, source, (begun, failures + 1))
            return 0.0


def _keep(kept: OrderedDict[str, Value], source: str, value: Value) -> None:
    kept[source] = value
    kept.move_to_end(source)
    if len(kept) > _MOST_ADDRESSES:
        kept.popitem(last=False)


def _source(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 one: whoever has one of those has them all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def add_login(app: Flask, settings: Settings) -> None:
    """Asks every caller for BASIC_AUTH_USER and BASIC_AUTH_PASS, when they are set."""
    if not settings.basic_auth_user or not settings.basic_auth_pass:
        return
    user, password, failed = settings.basic_auth_user, settings.basic_auth_pass, FailedLogins()

    @app.before_request
    def check() -> tuple[Response, int, dict[str, str]] | None:
        if request.path == "/health":
            return None
        # Without a login nobody guesses: Label Studio's events come so until their webhook is mended, browsers ask first.
        if "Authorization" in request.headers:
            right = _is_right(user, password)
            seconds = failed.admit(request.remote_addr or "", right)
            if seconds:
                return _locked(seconds)
            if right:
                return None
        answer = jsonify(
            error="The user name or password is missing or wrong.",
            remedy="In Label Studio, set the ML backend's basic authentication to BASIC_AUTH_USER and BASIC_AUTH_PASS.",
        )
        return answer, 401, {"WWW-Authenticate": 'Basic realm="Coldblitz", charset="UTF-8"'}


def _is_right(user: str, password: str) -> bool:
    scheme, _, sent = request.headers["Authorization"].partition(" ")
    try:
        given = base64.b64decode(sent.strip(), validate=True)
    except ValueError:
        given = b""
    # Browsers and curl send UTF-8, Label Studio Latin-1. All are always compared, so that the time tells nothing.
    right = [hmac.compare_digest(given, login) for login in _as_sent(f"{user}:{password}")]
    return scheme.lower() == "basic" and any(right)


def _as_sent(login: str) -> list[bytes]:
    """`login` in each encoding that there is for it, and its characters composed or not."""
    forms = {unicodedata.normalize(form, login) for form in ("NFC", "NFD")} | {login}
    return [form.encode() for form in forms] + [form.encode("latin-1") for form in forms if _is_latin(form)]


def _is_latin(text: str) -> bool:
    return max(map(ord, text), default=0) < 256


def _locked(seconds: float) -> tuple[Response, int, dict[str, str]]:
    wait = max(1, round(seconds))
    answer = jsonify(error="Too many failed logins from this address.", remedy=f"Wait {wait} s.")
    return answer, 429, {"Retry-After": str(wait)}


# What Label Studio calls, under whatever name it reaches us; it shows nothing that a stranger could use, and what it changes
# a page of another site cannot send (`is_ours`).
_PROTOCOL = ("/health", "/setup", "/predict", "/webhook", "/versions")
# Names that nobody can register, so that no site can give its own one our address.
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa", ".test")
_READING = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    # Scripts and styles from files of ours alone, none inside a page; nobody may frame us.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
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
                error=f"Coldblitz has no login, and {quoted(_name(request.host))} is not one of its known names.",
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
