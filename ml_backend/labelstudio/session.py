"""One Label Studio, reached with one token over kept connections: requests, and what is made of each answer."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from label_studio_sdk.core.api_error import ApiError
from label_studio_sdk.tokens.client_ext import TokensClientExt

from ml_backend.errors import LabelStudioError, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.labelstudio.access import (
    TOKEN_REMEDY,
    NotExchanged,
    TokenAuth,
    asks_for_login,
    detail,
    exchange,
    refusal,
)
from ml_backend.transport import pooled_client, why

_PAGE = 100


class Session:
    """`api_key`: a personal access token or a legacy token. `public`: another address that Label Studio has for people.
    `timeout`: seconds for each request. `transport`: other connections than those of `ml_backend.transport`, for tests.

    Threads may share it. Every method raises LabelStudioUnreachable when trying again can help, LabelStudioRefused on 401 and
    403, and LabelStudioError on any other refusal; making one raises LabelStudioRefused when the token has ended, and
    SettingsError.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        timeout: float = 60.0,
        public: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.public = public.rstrip("/") if public else None
        self.timeout = timeout
        self._api_key = api_key
        self._transport = transport
        if (reason := _why_ended(api_key)) is not None:
            raise LabelStudioRefused(f"The token is not usable: {reason}.", TOKEN_REMEDY)
        self._open()

    def _open(self) -> None:
        checks = [partial(_refuse_redirect, self.url), _refuse_login]
        self._client = pooled_client(self.url, self._transport, timeout=self.timeout, event_hooks={"response": checks})
        self._auth = TokenAuth(
            self._api_key,
            partial(exchange, self._client, self.url, self._api_key),
            lambda access: _why_ended(access) is not None,
        )
        self._client.auth = self._auth
        # Also for a session that nobody has closed.
        self._closing = weakref.finalize(self, self._client.close)
        self._process = os.getpid()

    def close(self) -> None:
        """Closes the kept connections. The session is not used after that."""
        self._closing()

    @property
    def path(self) -> str:
        """The path below which Label Studio lies, "" at the root of its host. It stands before the paths in tasks' data, too."""
        return urlsplit(self.url).path

    def headers(self) -> dict[str, str]:
        """What shows Label Studio who we are, for requests that others make of it, and of no other host."""
        self._be_of_this_process()
        with self._told():
            return {"Authorization": self._auth.header()}

    def renewed_headers(self) -> dict[str, str]:
        """The same when Label Studio has refused those; none where no other token can be had."""
        return self.headers() if self._auth.forget() else {}

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        files: Mapping[str, Any] | None = None,
        read_seconds: float | None = None,
    ) -> httpx.Response:
        """An answer of any status, but for redirects and the login page of a proxy. `read_seconds`: instead of `timeout`, until
        it begins."""
        self._be_of_this_process()
        with self._told():
            return self._client.request(
                method,
                self.url + path,
                params=query,
                json=body,
                files=files,
                timeout=httpx.Timeout(self.timeout, read=read_seconds or self.timeout),
            )

    def json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        files: Mapping[str, Any] | None = None,
        read_seconds: float | None = None,
    ) -> Any:
        """What the answer to a request holds, {} for one without a body."""
        response = self.request(method, path, query, body, files, read_seconds)
        if response.status_code >= 400:
            raise refusal(response.status_code, response.text, response.headers)
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError as error:
            raise self.unexpected(path) from error

    def pages(self, path: str, query: Mapping[str, Any], items: str) -> Iterator[dict[str, Any]]:
        """All items of a list that Label Studio gives in numbered pages."""
        page, seen = 1, 0
        while True:
            answer = self.json("GET", path, {**query, "page": page, "page_size": _PAGE})
            if not isinstance(answer, Mapping) or not isinstance(answer.get(items), list):
                raise self.unexpected(path)
            yield from answer[items]
            seen += len(answer[items])
            if not answer[items] or seen >= answer.get("total", answer.get("count", 0)):
                return
            page += 1

    def unexpected(self, path: str) -> LabelStudioError:
        """The error of an answer that Label Studio does not give."""
        return LabelStudioError(
            f"{self.url} answered {path} in a way that Label Studio would not.",
            "Check that LABEL_STUDIO_URL is the address of Label Studio itself.",
        )

    def _be_of_this_process(self) -> None:
        # By connections that a fork shares with its parent, each would read the other's answers.
        if self._process != os.getpid():
            self._open()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of connections, and of the exchange of the token, as ours."""
        try:
            yield
        except NotExchanged as error:
            answer = error.answer
            if answer.status_code >= 400:
                raise refusal(answer.status_code, answer.text, answer.headers) from error
            raise self.unexpected("/api/token/refresh/") from error
        except httpx.HTTPError as error:
            reason, remedy = why(error, self.url)
            remedy = (remedy or "Check that it runs and that LABEL_STUDIO_URL is right.").rstrip(".")
            raise LabelStudioUnreachable(
                f"Label Studio at {self.url} does not answer ({reason}).",
                f"{remedy}; the work is retried automatically.",
            ) from error


def _why_ended(token: str) -> str | None:
    """Why a JSON Web Token is good for nothing, as label-studio-sdk reads it; None for one that is, and for a legacy token."""
    try:
        TokensClientExt(base_url="", api_key=token)
    except ApiError as error:
        return detail(error.body)
    return None


def _refuse_redirect(url: str, response: httpx.Response) -> None:
    # Followed, it would turn a POST into a GET, and lose the token or bring it to whatever host it names.
    if response.is_redirect:
        raise LabelStudioError(
            f"{url} redirects to {response.headers.get('Location', 'another address')}.",
            "Set LABEL_STUDIO_URL to Label Studio's actual address.",
        )


def _refuse_login(response: httpx.Response) -> None:
    # A login page is not Label Studio refusing the token: another token would not help.
    if asks_for_login(response.status_code, response.headers):
        raise refusal(response.status_code, "", response.headers)
