"""Connections of `requests`, for what streams files and for libraries that want it: the same certificates and proxies as in `transport`.

A module of its own, since the web process does without `requests`.
"""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ml_backend.transport import certificates, proxy_of


def session(url: str) -> requests.Session:
    """A session of requests for the host of `url` alone. Raises SettingsError."""
    # What it would take from the environment is put in here, but for the logins of other servers in .netrc.
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", TrustingAdapter())
    if proxy := proxy_of(url):
        made.proxies = {"http": proxy, "https": proxy}
    return made


class TrustingAdapter(HTTPAdapter):
    """Trusts what `certificates` does."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=certificates())

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context has them already."""

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=certificates())
