"""Requests that no Label Studio and no browser would send, for every route that the application has.

Each must be answered, refused with a status of the 400s, or with 503 when something that a route needs is down; never with
a 500 or anything of our insides.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

PROJECT = "7.1769860800"
_CONFIG = '<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels><Video name="v" value="$video"/></View>'
_DESCRIBED = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": _CONFIG}
_FIELDS = (
    "action",
    "project",
    "tasks",
    "schema",
    "extra_params",
    "id",
    "created_at",
    "label_config",
    "predictions",
    "version",
)
_SEEN = (
    "7",
    "7.1",
    PROJECT,
    "cold-v1",
    "keyframes-v1",
    "train",
    "0",
    "-1",
    "1e9",
    "9" * 30,
    "../../etc/passwd",
    "%00",
    "a\x00b",
)

# Nothing of these is in what a person should read.
_INSIDES = re.compile(rb"Traceback|File \"|site-packages|werkzeug|\.py\b|0x[0-9a-f]{8}")


@dataclass(frozen=True)
class Sent:
    """`path` holds the query too. `body` is sent as it is."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def rules(app: Flask) -> list[Rule]:
    """All routes of the application, whoever has added them."""
    return sorted(app.url_map.iter_rules(), key=lambda rule: str(rule.rule))


_TEXTS = st.sampled_from(_SEEN) | st.text(max_size=20)
_NUMBERS = st.sampled_from(["7"] * 6 + ["0", "8", "007", "9" * 18, "9" * 30])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _TEXTS
    | st.sampled_from([2**63, -(2**31), 1e308, _CONFIG])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
_ALMOST = st.dictionaries(
    st.sampled_from(_FIELDS),
    st.one_of(
        _JSON,
        st.just(PROJECT),
        st.just(_DESCRIBED),
        st.sampled_from(["ANNOTATION_CREATED", "TASKS_CREATED", "PROJECT_UPDATED", "START_TRAINING", "TASKS_DELETED"]),
        st.lists(st.fixed_dictionaries({"id": _SCALARS, "predictions": _JSON, "data": _JSON}), max_size=2),
    ),
)
_BODIES = st.one_of(
    _ALMOST.map(lambda body: json.dumps(body).encode()),
    _JSON.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"{", b"[" * 50_000, b"9" * 5000, b'{"project": NaN}', b"version=cold-v1&x=%FF", b"\xff\xfe"]
    ),
)
_TYPES = st.sampled_from(
    ["application/json"] * 6
    + [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "",
        "x/y; charset=none",
    ]
)
_MORE_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Origin",
            "Sec-Fetch-Site",
            "Authorization",
            "Range",
            "Host",
            "Accept",
            "If-None-Match",
            "X-Forwarded-For",
            "Content-Encoding",
        ]
    ),
    st.sampled_from(
        ["", "null", "http://[", "cross-site", "same-origin", "Basic !!!", "bytes=9-1", "a b", "*", "gzip", "x" * 3000]
    ),
    max_size=2,
)
_QUERIES = st.dictionaries(
    st.sampled_from(["project", "task", "page", "at", "sort", "q", "format", "label"]), _TEXTS, max_size=3
)


def requests_for(rule: Rule) -> st.SearchStrategy[Sent]:
    """Any method that the route takes, and now and then one that it does not."""
    methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}) * 8 + ["PUT", "OPTIONS"]

    @st.composite
    def one(draw: st.DrawFn) -> Sent:
        path = re.sub(
            r"<(\w+:)?\w+>", lambda found: _quoted(draw(_NUMBERS if found[1] == "int:" else _TEXTS)), str(rule.rule)
        )
        query = "&".join(f"{name}={_quoted(value)}" for name, value in draw(_QUERIES).items())
        method = draw(st.sampled_from(methods))
        body = b"" if method == "GET" else draw(_BODIES)
        headers = {"Content-Type": draw(_TYPES), **draw(_MORE_HEADERS)} if method != "GET" else draw(_MORE_HEADERS)
        return Sent(method, f"{path}?{query}" if query else path, body, headers)

    return one()


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def trouble(answer: TestResponse) -> str | None:
    """What is wrong with an answer; None when it is one that may be."""
    if answer.status_code >= 500 and answer.status_code != 503:
        return f"status {answer.status_code}"
    if answer.status_code >= 400 and _INSIDES.search(answer.data):
        return f"it shows our insides: {answer.data[:300]!r}"
    if (
        answer.is_json
        and answer.status_code >= 400
        and answer.status_code != 503
        and not answer.get_json().get("error")
    ):
        return "a refusal without a reason"
    return None


def fuzz(app: Flask, rule: Rule, number: int) -> tuple[int, list[tuple[Sent, str]]]:
    """Sends `number` requests to a route; returns how many were sent, and those that were answered as they must not be."""
    client = app.test_client()
    sent, wrong = 0, list[tuple[Sent, str]]()

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests_for(rule))
    def send(request: Sent) -> None:
        nonlocal sent
        sent += 1
        answer = client.open(request.path, method=request.method, data=request.body, headers=request.headers)
        if (found := trouble(answer)) is not None:
            wrong.append((request, found))

    send()
    return sent, wrong
