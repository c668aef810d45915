"""How every connection to another server is made: which certificates are trusted, through which proxy it goes, and why it failed.

`CA_BUNDLE` names certificates that are trusted beside those of the public authorities; so do `SSL_CERT_FILE` and
`REQUESTS_CA_BUNDLE`. `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are followed; this machine is never reached by a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx

from ml_backend.errors import SettingsError

_BUNDLES = ("CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_READING = ("GET", "HEAD")
# What becomes of a request by a connection that the other end has closed.
_DROPPED = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_UNTRUSTED = (
    "Set CA_BUNDLE to a file with the certificate of the authority that signed it, or with that certificate itself."
)


def check_certificates(environment: Mapping[str, str] = os.environ) -> None:
    """Raises SettingsError when what CA_BUNDLE, or another such variable, names holds no certificates."""
    _context(_bundles(environment))


def certificates() -> ssl.SSLContext:
    """What is trusted, for clients of httpx. Raises SettingsError."""
    return _context(_bundles(os.environ))


def proxy_of(url: str) -> str | None:
    """The proxy by which `url` is reached, None when directly. Raises SettingsError for a kind that is not supported."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    if _is_this_machine(host):
        return None
    # The web process has no room for it, and asks nobody before it is asked.
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy is None:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise SettingsError(
            f"The proxy for {host} is {_without_login(proxy)}, and only http:// and https:// proxies are supported.",
            f"Set HTTP_PROXY and HTTPS_PROXY to one of those, or add {host} to NO_PROXY.",
        )
    return proxy


def ask(method: str, url: str, **options: Any) -> httpx.Response:
    """One request with httpx, whose options it takes. Raises httpx.HTTPError, and SettingsError."""
    return httpx.request(method, url, verify=certificates(), proxy=proxy_of(url), trust_env=False, **options)


def client(url: str, **options: Any) -> httpx.Client:
    """A client of httpx for the host of `url` alone. Raises SettingsError."""
    return httpx.Client(verify=certificates(), proxy=proxy_of(url), trust_env=False, **options)


def pooled_client(url: str, connections: httpx.BaseTransport | None = None, **options: Any) -> httpx.Client:
    """A client of httpx for the host of `url` alone that keeps its connections. `connections`: others than `KeptConnections`,
    for tests. Raises SettingsError."""
    return httpx.Client(transport=connections or KeptConnections(url), trust_env=False, **options)


class KeptConnections(httpx.BaseTransport):
    """Connections to the host of `url`. What only reads goes by those that are kept from earlier requests, and is asked once
    more by a new one where the server has just closed it. What changes something goes by a new one: whether it was done
    before the connection ended nobody could tell, and it must not be done twice.

    Raises SettingsError when it is made, httpx.HTTPError in requests.
    """

    def __init__(self, url: str) -> None:
        trusted, proxy = certificates(), proxy_of(url)
        kept, none_kept = httpx.Limits(max_keepalive_connections=20), httpx.Limits(max_keepalive_connections=0)
        self._kept = httpx.HTTPTransport(verify=trusted, proxy=proxy, trust_env=False, limits=kept)
        self._new = httpx.HTTPTransport(verify=trusted, proxy=proxy, trust_env=False, limits=none_kept)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method not in _READING:
            return self._new.handle_request(request)
        try:
            return self._kept.handle_request(request)
        except _DROPPED:
            return self._new.handle_request(request)

    def close(self) -> None:
        self._kept.close()
        self._new.close()


def why(error: BaseException, url: str, *, proxied: bool = True) -> tuple[str, str | None]:
    """Why a request of `url` failed, for a sentence's brackets, and what to do, where the certificate or the proxy is the reason."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = (cause.verify_message or str(cause)).rstrip(".")
            return f"its certificate is not trusted: {reason}", _remedy_of(reason)
        if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
            return "it does not speak https", "Write http:// in the address, or use its https port."
    try:
        proxy = proxy_of(url) if proxied else None
    except SettingsError as refused:
        return refused.message.rstrip("."), refused.remedy
    failed = next(filter(_is_about_connecting, _causes(error)), None)
    if proxy is not None and failed is not None:
        host = urlsplit(url).hostname
        return (
            f"through the proxy {_without_login(proxy)}: {type(failed).__name__}",
            f"Correct HTTP_PROXY and HTTPS_PROXY, or add {host} to NO_PROXY.",
        )
    return type(error).__name__, None


def _remedy_of(reason: str) -> str:
    if "expired" in reason:
        return "Renew the certificate there."
    if "mismatch" in reason:
        return "Use the name that the certificate was issued for, or issue one for this name."
    return _UNTRUSTED


def _is_about_connecting(error: BaseException) -> bool:
    # Who has not loaded requests has no error of it.
    requests = sys.modules.get("requests")
    if requests is not None and isinstance(error, requests.ConnectionError | requests.Timeout):
        return True
    # Hugging Face's library has an httpx of its own, with the same names.
    return any(kind.__name__ == httpx.TransportError.__name__ for kind in type(error).__mro__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it: urllib3 and requests hand theirs on as arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def _bundles(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, environment[name]) for name in _BUNDLES if environment.get(name))


@lru_cache(maxsize=8)
def _context(bundles: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    # Reading the certificates takes longer than most requests.
    context = ssl.create_default_context(cafile=certifi.where())
    if bundles:
        # A certificate that is named is trusted whoever signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for name, given in bundles:
        path = os.path.expanduser(given)
        try:
            if os.path.isdir(path):
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except OSError as error:  # ssl.SSLError is one
            reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise SettingsError(
                f"{name} is {given}, which cannot be used ({reason}).",
                "Set it to a file with certificates, each between BEGIN CERTIFICATE and END CERTIFICATE.",
            ) from error
    return context


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _without_login(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
