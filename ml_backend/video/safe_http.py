"""Fetching from addresses that come from whoever can create tasks: what may be reached is decided where it is connected to.

Checking an address beforehand is not enough: a redirect leads elsewhere, and a name may be another machine's the next time
it is looked up. So each connection looks its host up once, checks what it found, and connects to exactly that.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import parse_url
from urllib3.util.connection import create_connection

from ml_backend import requests_transport, transport
from ml_backend.errors import VideoRefused

_TIMEOUT = (10, 60)
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_INTERNET = IPv6Network("2000::/3")
_DOCUMENTATION = IPv6Network("3fff::/20")
_NAT64 = IPv6Network("64:ff9b::/96")
# Browsers and servers take hardly more, and what reads an address may take long for a long one.
_LONGEST, _LONGEST_SHOWN = 8192, 500
_PARAMETER = re.compile(r"([?&;])([^=&;#]*+)(=[^&;#]*+)?")
_GIVES_ACCESS = re.compile(r"sig|token|key|cred|secret|passw|auth|jwt|session", re.IGNORECASE)
_LOGIN = re.compile(r"//[^/?#]*@")
_NO_ADDRESS = re.compile(r"[\x00-\x1f\x7f\\]")


def look_up(host: str) -> list[str]:
    """The addresses of a host, as the system gives them: names, and every way to write a number. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class VideoHosts:
    """From where videos may be fetched besides the internet.

    `names`: hosts that the admin trusts, in lower case, whatever their addresses are; `networks`: addresses that may be
    reached under any name. `look_up`: a host's addresses.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    look_up: Callable[[str], list[str]] = look_up

    @classmethod
    def of(cls, hosts: Iterable[str]) -> VideoHosts:
        """From host names, addresses and networks (`10.1.0.0/16`)."""
        names, networks = set(), []
        for host in hosts:
            try:
                networks.append(ip_network(host, strict=False))
            except ValueError:
                names.add(_named(host))
        return cls(frozenset(names), tuple(networks))

    def trusts(self, host: str) -> bool:
        return _named(host) in self.names

    def addresses(self, host: str) -> list[str]:
        """The addresses to connect to for `host`. Raises VideoRefused when one of them must not be, OSError when there is none."""
        found = self.look_up(host)
        for text in found:
            if not self.trusts(host) and not self._allows(text):
                raise VideoRefused(
                    f"The video's server {host} is at {text}, which is not an address of the internet.",
                    "If videos are meant to come from there, add it to VIDEO_HOSTS.",
                )
        return found

    def _allows(self, text: str) -> bool:
        address = ip_address(text)
        return is_public(address) or any(
            address in network for network in self.networks if network.version == address.version
        )


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is some machine's on the internet, rather than of this machine, this network, or of a group.

    IPv6 addresses that stand for an IPv4 address count as that.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        return address in _INTERNET and address not in _DOCUMENTATION and address.is_global
    return address.is_global and not address.is_multicast and not address.is_reserved


def get(url: str, headers: Mapping[str, str], hosts: VideoHosts) -> requests.Response:
    """Asks for `url`, follows redirects, and returns the last answer, of which the body is still to be read.

    `headers` go to the scheme, host and port of `url` alone. Raises VideoRefused when something on the way is no http(s)
    address or must not be reached, and requests' RequestException when it cannot be.
    """
    here, sent = _checked(url), dict(headers)
    for _ in range(_MOST_REDIRECTS):
        if _origin(here) != _origin(url):
            sent = {name: value for name, value in sent.items() if name in ("Accept-Encoding", "Range")}
        answer = _ask(here, sent, hosts)
        target = answer.headers.get("Location")
        if answer.status_code not in _REDIRECTS or target is None:
            return answer
        answer.close()
        here = _checked(urljoin(here, target))
    raise VideoRefused(f"{shown(url)} leads from one address to the next without end.", "Correct the task's data.")


def shown(url: str) -> str:
    """An address as people may see it: without a login or what gives access (the signature of a cloud storage's link), and
    not at endless length."""
    told = _PARAMETER.sub(_without_access, _LOGIN.sub("//", url))
    return told if len(told) <= _LONGEST_SHOWN else f"{told[:_LONGEST_SHOWN]}…"


def _without_access(parameter: re.Match[str]) -> str:
    mark, name, value = parameter.groups()
    return f"{mark}{name}=…" if value and _GIVES_ACCESS.search(name) else parameter[0]


def why(error: Exception, url: str, hosts: VideoHosts) -> tuple[str, str | None]:
    """Why an address, asked for because of `url`, cannot be reached, and what to do where that is known."""
    asked = getattr(getattr(error, "request", None), "url", None)
    at = asked if isinstance(asked, str) else url
    host = parse_url(at).host or ""
    is_trusted = hosts.trusts(host)
    reason, remedy = transport.why(error, at, proxied=is_trusted)
    if remedy is None and not is_trusted and transport.proxy_of(at):
        remedy = f"The proxy is used only for Label Studio and for what VIDEO_HOSTS names; add {host} to it"
    return (reason if _origin(at) == _origin(url) else f"it leads to {host}, {reason}"), remedy


def _ask(url: str, headers: Mapping[str, str], hosts: VideoHosts) -> requests.Response:
    if hosts.trusts(parse_url(url).host or ""):
        session = requests_transport.session(url)
    else:
        # A proxy would connect for us, to what it looks up.
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", _checking(hosts))
        session.mount("https://", _checking(hosts))
    return session.get(url, headers=dict(headers), stream=True, timeout=_TIMEOUT, allow_redirects=False)


def _checking(hosts: VideoHosts) -> HTTPAdapter:
    """An adapter of requests whose every connection is checked by `hosts`."""

    def connect(connection: HTTPConnection) -> socket.socket:
        try:
            addresses = hosts.addresses(connection.host)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(connection.host, connection, socket.gaierror(str(error))) from error
        failed: OSError | None = None
        for address in addresses:
            try:
                return create_connection(
                    (address, connection.port), connection.timeout, socket_options=connection.socket_options
                )
            except OSError as error:
                failed = error
        raise NewConnectionError(connection, f"Failed to establish a new connection: {failed}")

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    adapter = requests_transport.TrustingAdapter()
    pools: Any = adapter.poolmanager
    pools.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return adapter


def _checked(url: str) -> str:
    """`url`, of which every reader makes the same. Raises VideoRefused."""
    if len(url) > _LONGEST:
        raise VideoRefused(
            f"{shown(url)!r} has {len(url)} characters, and addresses of more than {_LONGEST} are not fetched.",
            "Upload the video to Label Studio or give the task a shorter address.",
        )
    try:
        parsed = parse_url(url)
        same = parsed.host is not None and _named(urlsplit(url).hostname or "") == _named(parsed.host)
    except (LocationParseError, ValueError):
        same = False
    if not url.lower().startswith(("http://", "https://")) or not same or _NO_ADDRESS.search(url):
        raise VideoRefused(
            f"{shown(url)!r} is not an http(s) address.",
            "Upload the video to Label Studio or give the task an http(s) address.",
        )
    return url


def _origin(url: str) -> tuple[str | None, str | None, int | None]:
    parsed = parse_url(url)
    return parsed.scheme, parsed.host, parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")


def _named(host: str) -> str:
    return host.lower().rstrip(".").strip("[]")
