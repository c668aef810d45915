"""One Label Studio, reached with one token: requests, and what is made of each answer. label-studio-sdk authenticates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from label_studio_sdk import LabelStudio as SDK
from label_studio_sdk.core.api_error import ApiError

from ml_backend import transport
from ml_backend.errors import LabelStudioError, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.labelstudio.access import TOKEN_REMEDY, asks_for_login, detail, refusal

_PAGE = 100


class Session:
    """`api_key`: a personal access token or a legacy token; the SDK tells them apart. `public`: another address that Label Studio
    has for people. `timeout`: seconds for each request.

    Every method raises LabelStudioUnreachable when trying again can help, LabelStudioRefused on 401 and 403, and
    LabelStudioError on any other refusal.
    """

    def __init__(self, url: str, api_key: str, timeout: float = 60.0, public: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.public = public.rstrip("/") if public else None
        self._timeout = timeout
        # The SDK would follow a redirect, and bring a personal access token to whatever host it names.
        exchange = transport.client(
            self.url, timeout=timeout, event_hooks={"response": [self._refuse_redirect, self._refuse_login]}
        )
        try:
            # Without the slash it would leave out the path below which Label Studio lies.
            self._sdk: Any = SDK(base_url=f"{self.url}/", api_key=api_key, httpx_client=exchange)  # type: ignore[no-untyped-call]
        except ApiError as error:
            raise LabelStudioRefused(f"The token is not usable: {detail(error.body)}.", TOKEN_REMEDY) from error

    @property
    def below(self) -> str:
        """The path below which Label Studio lies, "" at the root of its host. It stands before the paths in tasks' data, too."""
        return urlsplit(self.url).path

    def _authorization(self) -> str:
        try:
            return str(self._sdk._client_wrapper.get_headers()["Authorization"])
        except ApiError as error:
            raise refusal(error.status_code or 401, error.body, error.headers or {}) from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._unreachable(error) from error

    def _pages(self, path: str, query: Mapping[str, Any], items: str) -> Iterator[dict[str, Any]]:
        page, seen = 1, 0
        while True:
            answer = self._json("GET", path, {**query, "page": page, "page_size": _PAGE})
            if not isinstance(answer, Mapping) or not isinstance(answer.get(items), list):
                raise self._stranger(path)
            yield from answer[items]
            seen += len(answer[items])
            if not answer[items] or seen >= answer.get("total", answer.get("count", 0)):
                return
            page += 1

    def _json(self, method: str, path: str, query: Mapping[str, Any] | None = None, json_body: object = None) -> Any:
        response = self._send(method, path, query, json_body)
        if response.status_code == 401 and self._forget_access():
            response = self._send(method, path, query, json_body)
        if response.status_code >= 400:
            raise refusal(response.status_code, response.text, response.headers)
        # Followed, it would turn a POST into a GET and lose the token.
        self._refuse_redirect(response)
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger(path) from error

    def _send(self, method: str, path: str, query: Mapping[str, Any] | None, json_body: object) -> httpx.Response:
        try:
            return transport.ask(
                method,
                self.url + path,
                params=query,
                json=json_body,
                headers={"Authorization": self._authorization()},
                timeout=self._timeout,
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _forget_access(self) -> bool:
        """Whether another access token can be had: a clock that was set back takes an ended one for good."""
        tokens = self._sdk._client_wrapper._tokens_client
        tokens._access_token = None
        return not tokens._use_legacy_token

    def _refuse_redirect(self, response: httpx.Response) -> None:
        if response.is_redirect:
            raise LabelStudioError(
                f"{self.url} redirects to {response.headers.get('Location', 'another address')}.",
                "Set LABEL_STUDIO_URL to Label Studio's actual address.",
            )

    def _refuse_login(self, response: httpx.Response) -> None:
        """The SDK would take the proxy's page for Label Studio's JSON."""
        if asks_for_login(response.status_code, response.headers):
            raise refusal(response.status_code, "", response.headers)

    def _stranger(self, path: str) -> LabelStudioError:
        return LabelStudioError(
            f"{self.url} answered {path} in a way that Label Studio would not.",
            "Check that LABEL_STUDIO_URL is the address of Label Studio itself.",
        )

    def _unreachable(self, error: Exception) -> LabelStudioUnreachable:
        reason, remedy = transport.why(error, self.url)
        return LabelStudioUnreachable(
            f"Label Studio at {self.url} does not answer ({reason}).",
            f"{(remedy or 'Check that it runs and that LABEL_STUDIO_URL is right.').rstrip('.')}; the work is retried automatically.",
        )
