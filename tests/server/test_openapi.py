"""docs/openapi.yaml is what the web process does: the same routes, and every answer in the form that it promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from dashboard_scene import open_project, run_jobs
from embedded import settings_for
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from loopback import serving
from redis import Redis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

DESCRIBED: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text("utf-8"))
METHODS = {"get", "post", "put", "patch", "delete"}
OPERATIONS = [(path, method) for path, item in DESCRIBED["paths"].items() for method in sorted(METHODS & item.keys())]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# The project, the version, the job and the export of the examples in the file.
P = "1.1769860800"


@pytest.fixture
def app(redis: Redis, redis_settings: Settings, tmp_path: Path) -> Iterator[Flask]:
    """The real application before a real Redis, with a project that was trained, its files, and jobs in every state."""
    made = settings_for(tmp_path, redis_url=redis_url(redis_settings))
    open_project(made, redis, P)
    run_jobs(redis, P)
    exports = tmp_path / "projects" / P / "exports"
    exports.mkdir()
    (exports / "labels.json").write_text("[]")
    app = create_app(made)
    yield app
    app.extensions["coldblitz"].redis.close()


@pytest.fixture
def api(app: Flask) -> Iterator[BaseSchema]:
    schema = schemathesis.openapi.from_dict(DESCRIBED)
    with serving(app) as url:
        schema.config.update(base_url=url)
        yield schema


def test_every_json_route_is_in_it_and_nothing_else(app: Flask) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(("/dashboard/", "/static/"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(OPERATIONS) == routes


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_its_examples_ask_for_is_done(api: BaseSchema, path: str, method: str) -> None:
    answer = example(api, path, method).call_and_validate(checks=CHECKS[1:])
    # No Label Studio and no worker are there.
    assert answer.status_code // 100 == 2 or path in ("/ready", "/models/{version}/delete")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_asked_the_answer_fits(api: BaseSchema, path: str, method: str) -> None:
    # Without a worker and a Label Studio, 503 with the faults is the answer that /ready owes.
    checks = [check for check in CHECKS if path != "/ready" or check is not not_a_server_error]
    operation = api[path][method.upper()]
    asks = "parameters" in DESCRIBED["paths"][path] or "requestBody" in DESCRIBED["paths"][path][method]
    modes = list(GenerationMode) if asks else [GenerationMode.POSITIVE]

    @settings(
        max_examples=30, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes)))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=checks)

    ask()


def test_the_login_is_asked_for_where_it_says_so(tmp_path: Path) -> None:
    locked = settings_for(tmp_path, redis_url="redis://nowhere", basic_auth_user="studio", basic_auth_pass="secret")
    client = create_app(locked).test_client()
    for path, method in OPERATIONS:
        answer = client.open(re.sub(r"{\w+}", "x", path), method=method)
        assert (answer.status_code == 401) == (DESCRIBED["paths"][path][method].get("security") != [])


def test_an_answer_of_another_form_would_be_noticed() -> None:
    """Else the tests above would prove nothing."""
    other = Flask("other")
    other.add_url_rule("/health", view_func=lambda: {"status": "DOWN"})
    api = schemathesis.openapi.from_dict(DESCRIBED)
    with serving(other) as url:
        api.config.update(base_url=url)
        with pytest.raises(FailureGroup, match="Response violates schema"):
            example(api, "/health", "get").call_and_validate(checks=CHECKS)


def example(api: BaseSchema, path: str, method: str) -> schemathesis.Case:
    item = DESCRIBED["paths"][path]
    values: dict[str, dict[str, str]] = {"path": {}, "query": {}}
    for reference in item.get("parameters", []):
        parameter = DESCRIBED["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
        values[parameter["in"]][parameter["name"]] = parameter["schema"]["examples"][0]
    body = item[method].get("requestBody", {}).get("content", {}).get("application/json", {})
    sent = {"body": body["example"], "media_type": "application/json"} if body else {}
    return api[path][method.upper()].Case(path_parameters=values["path"], query=values["query"], **sent)
