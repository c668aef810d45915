"""`coldblitz doctor` against a real Label Studio: it finds nothing wrong where nothing is, and names what was broken."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
from loopback import closed_port, serving
from typer.testing import CliRunner, Result

from ml_backend.cli import app
from ml_backend.demo.clips import LABELS, Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_config, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio, label_studio
from ml_backend.queueing.embedded_redis import running_redis
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

pytestmark = [
    pytest.mark.e2e,
    # The SDK's own, when it exchanges a personal access token in this process.
    pytest.mark.filterwarnings("ignore:The `parse_obj` method is deprecated"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

OpenProject = Callable[..., Loop]
Checks = dict[str, dict[str, str]]

# What every installation here lacks on purpose: nobody mends what the test has broken before doctor has seen it.
NOT_LOOKED_AT = {"workers"}


@dataclass(frozen=True)
class Web:
    """A web process of Coldblitz without workers, its address, and the environment that it has."""

    url: str
    environment: Mapping[str, str]


@contextmanager
def web(settings: Settings) -> Iterator[Web]:
    with serving(create_app(settings)) as url:
        environment = {
            "LABEL_STUDIO_URL": settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
            "DATA_DIR": str(settings.data_dir),
            "PORT": url.rpartition(":")[2],
            "BACKBONE_WEIGHTS": "none",
        }
        if settings.basic_auth_user and settings.basic_auth_pass:
            environment |= {"BASIC_AUTH_USER": settings.basic_auth_user, "BASIC_AUTH_PASS": settings.basic_auth_pass}
        yield Web(url, environment)


@pytest.fixture(scope="module")
def settings(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    made = Settings(studio.url, studio.token, data_dir=tmp_path_factory.mktemp("doctor"))
    with running_redis(made):
        yield made


@pytest.fixture(scope="module")
def backend_web(settings: Settings) -> Iterator[Web]:
    with web(settings) as running:
        yield running


def coldblitz(environment: Mapping[str, str], *arguments: str) -> Result:
    told = CliRunner().invoke(app, list(arguments), env=dict(environment))
    assert isinstance(told.exception, SystemExit | None), repr(told.exception)
    # The SDK leaves its connection open, which is to be noticed here and not after the tests.
    gc.collect()
    return told


def doctor(environment: Mapping[str, str], project: int | None = None) -> tuple[int, Checks]:
    """The exit code, and what was found by name; a project's checks go by their last word."""
    arguments = ["doctor", "--json"] + ([] if project is None else ["--project", str(project)])
    told = coldblitz(environment, *arguments)
    checks: list[dict[str, str]] = json.loads(told.stdout)
    for check in checks:
        assert bool(check["remedy"]) == (check["state"] != "ok"), "whatever is wrong comes with how to mend it"
    return told.exit_code, {check["name"].rpartition(", ")[2]: check for check in checks}


def faults(checks: Checks) -> set[str]:
    return {name for name, check in checks.items() if check["state"] == "fault"} - NOT_LOOKED_AT


def new_project(studio: Studio, config: str | None = None) -> int:
    return studio.create_project("A patient", config or label_config(LABELS))


def test_nothing_is_wrong_with_an_installation_that_works(
    open_project: OpenProject, clips: list[Clip], studio: Studio, backend: Backend
) -> None:
    loop = open_project(clips[:1])
    loop.wait_for("pinned suggestions", lambda: loop.shown_version() == SUGGESTIONS)
    environment = {
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": studio.token,
        "DATA_DIR": str(backend.data),
        "PORT": backend.url.rpartition(":")[2],
        "BACKBONE_WEIGHTS": "none",
    }
    code, checks = doctor(environment, loop.project)
    assert {name for name, check in checks.items() if check["state"] == "fault"} == set()
    assert code == 0
    for name in ("workers", "redis", "token", "rights", "connection", "webhook", "videos", "model version"):
        assert checks[name]["state"] == "ok", checks[name]
    assert checks["weights"]["state"] == "warning"
    assert "1.23" in checks["label studio"]["message"]


class TestTheToken:
    def test_a_wrong_personal_access_token(self, backend_web: Web) -> None:
        token = backend_web.environment["LABEL_STUDIO_API_KEY"]
        code, checks = doctor({**backend_web.environment, "LABEL_STUDIO_API_KEY": token[:-6] + "AAAAAA"})
        assert (code, faults(checks)) == (1, {"token"})
        assert "refuses the personal access token" in checks["token"]["message"]
        assert token[-40:-6] not in json.dumps(checks)

    def test_a_wrong_legacy_token(self, backend_web: Web) -> None:
        _, checks = doctor({**backend_web.environment, "LABEL_STUDIO_API_KEY": 40 * "0"})
        assert faults(checks) == {"token"}
        assert "refuses the legacy token" in checks["token"]["message"]

    def test_a_legacy_token_where_those_are_switched_off(self, backend_web: Web, studio: Studio) -> None:
        access = requests.post(f"{studio.url}/api/token/refresh/", json={"refresh": studio.token}, timeout=60).json()
        headers = {"Authorization": f"Bearer {access['access']}"}

        def switch(on: bool) -> None:
            body = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": on}
            requests.post(f"{studio.url}/api/jwt/settings", json=body, headers=headers, timeout=60).raise_for_status()

        switch(False)
        try:
            _, checks = doctor({**backend_web.environment, "LABEL_STUDIO_API_KEY": studio.legacy_token})
        finally:
            switch(True)
        assert faults(checks) == {"token"}
        assert "allow legacy tokens" in checks["token"]["remedy"]


class TestTheWayBetweenThem:
    def test_label_studio_is_not_where_it_is_said_to_be(self, backend_web: Web) -> None:
        code, checks = doctor({**backend_web.environment, "LABEL_STUDIO_URL": f"http://127.0.0.1:{closed_port()}"})
        assert (code, faults(checks)) == (1, {"label studio"})
        assert "LABEL_STUDIO_URL" in checks["label studio"]["remedy"]

    def test_label_studio_cannot_reach_the_backend(self, settings: Settings, studio: Studio) -> None:
        project = new_project(studio)
        with web(settings) as gone:
            studio.connect(project, gone.url)
        code, checks = doctor(gone.environment, project)
        assert (code, faults(checks)) == (1, {"connection"})
        assert f"cannot reach its ML backend at {gone.url}" in checks["connection"]["message"]

    def test_no_backend_is_connected(self, backend_web: Web, studio: Studio) -> None:
        _, checks = doctor(backend_web.environment, new_project(studio))
        assert faults(checks) == {"connection"}
        assert "Connect Model" in checks["connection"]["remedy"]

    def test_another_backend_is_connected(self, backend_web: Web, studio: Studio, backend: Backend) -> None:
        project = new_project(studio)
        studio.connect(project, backend.url)
        _, checks = doctor(backend_web.environment, project)
        assert faults(checks) == set()
        assert checks["connection"]["state"] == "warning"
        assert "not this Coldblitz" in checks["connection"]["message"]
        assert "model version" not in checks  # what is shown there is not for this one to judge

    def test_the_project_is_gone(self, backend_web: Web) -> None:
        _, checks = doctor(backend_web.environment, 987654)
        assert faults(checks) == {"access"}


class TestTheWebhook:
    def test_it_is_missing(self, backend_web: Web, studio: Studio) -> None:
        project = new_project(studio)
        studio.connect(project, backend_web.url)
        for hook in studio.get("/api/webhooks/", project=project):
            studio.delete(f"/api/webhooks/{hook['id']}/")
        code, checks = doctor(backend_web.environment, project)
        assert (code, faults(checks)) == (1, {"webhook"})
        assert "There is no webhook" in checks["webhook"]["message"]

    def test_it_is_missing_because_label_studio_protects_itself_from_local_addresses(self, settings: Settings) -> None:
        half = {"ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "true"}
        with label_studio(settings=half) as studio:
            project = new_project(studio)
            with web(replace(settings, label_studio_url=studio.url, label_studio_api_key=studio.token)) as running:
                with pytest.raises(requests.HTTPError, match="reserved network address"):
                    studio.connect(project, running.url)
                _, checks = doctor(running.environment, project)
        assert faults(checks) == {"webhook"}
        assert "SSRF_PROTECTION_ENABLED=false" in checks["webhook"]["remedy"]

    def test_it_is_switched_off(self, backend_web: Web, studio: Studio) -> None:
        project = new_project(studio)
        studio.connect(project, backend_web.url)
        (hook,) = studio.get("/api/webhooks/", project=project)
        studio.patch(f"/api/webhooks/{hook['id']}/", {"url": hook["url"], "is_active": False})
        _, checks = doctor(backend_web.environment, project)
        assert faults(checks) == {"webhook"}
        assert "is off" in checks["webhook"]["message"]

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic b2xkOm9sZA=="}], ids=["none", "another"])
    def test_it_does_not_send_the_login(self, settings: Settings, studio: Studio, headers: dict[str, str]) -> None:
        locked = replace(settings, basic_auth_user="studio", basic_auth_pass="a-password")
        login = {"auth_method": "BASIC_AUTH", "basic_auth_user": "studio", "basic_auth_pass": "a-password"}
        project = new_project(studio)
        with web(locked) as running:
            studio.connect(project, running.url, **login)
            (hook,) = studio.get("/api/webhooks/", project=project)
            studio.patch(f"/api/webhooks/{hook['id']}/", {"url": hook["url"], "headers": headers})
            code, checks = doctor(running.environment, project)
            assert (code, faults(checks)) == (1, {"webhook"})
            assert "every event is refused" in checks["webhook"]["message"]
            right = {"Authorization": "Basic c3R1ZGlvOmEtcGFzc3dvcmQ="}
            studio.patch(f"/api/webhooks/{hook['id']}/", {"url": hook["url"], "headers": right})
            assert faults(doctor(running.environment, project)[1]) == set()


class TestTheProject:
    @pytest.fixture
    def connected(self, backend_web: Web, studio: Studio) -> Callable[[str | None], int]:
        def make(config: str | None = None) -> int:
            project = new_project(studio, config)
            studio.connect(project, backend_web.url)
            return project

        return make

    def test_the_label_config_has_nothing_to_predict(self, connected: Any, backend_web: Web, studio: Studio) -> None:
        project = connected()
        # Label Studio would not have connected it with such a config, and finds that the backend refuses it now.
        config = '<View><TextArea name="c" toName="v"/><Video name="v" value="$video"/></View>'
        studio.patch(f"/api/projects/{project}/", {"label_config": config})
        code, checks = doctor(backend_web.environment, project)
        assert (code, faults(checks)) == (1, {"label config", "connection"})
        assert "<TimelineLabels" in checks["label config"]["remedy"]

    def test_the_label_config_says_nothing_of_the_frame_rate(self, connected: Any, backend_web: Web) -> None:
        _, checks = doctor(backend_web.environment, connected(label_config(LABELS).replace(' framerate="$fps"', "")))
        assert checks["label config"]["state"] == "warning"
        assert "framerate" in checks["label config"]["remedy"]

    def test_local_files_without_their_storage(self, connected: Any, backend_web: Web, studio: Studio) -> None:
        project = connected()
        studio.import_tasks(project, [{"video": "/data/local-files/?d=clips/one.mp4", "fps": 25}])
        _, checks = doctor(backend_web.environment, project)
        assert faults(checks) == {"videos", "storage"}
        assert "local-files storage" in checks["storage"]["message"]

    def test_a_video_that_is_not_there(self, connected: Any, backend_web: Web, studio: Studio) -> None:
        project = connected()
        studio.import_tasks(project, [{"video": "/data/upload/1/never-uploaded.mp4", "fps": 25}])
        _, checks = doctor(backend_web.environment, project)
        assert faults(checks) == {"videos"}
        assert "never-uploaded.mp4" in checks["videos"]["message"]

    def test_a_pinned_version_without_predictions(
        self, connected: Any, backend_web: Web, studio: Studio, clips: list[Clip]
    ) -> None:
        project = connected()
        (task,) = upload_tasks(studio, project, [(clips[0].path, clips[0].fps)])
        prediction = {"task": task, "model_version": "cold-v1", "score": 0.5, "result": []}
        studio.post(f"/api/projects/{project}/import/predictions", [prediction])
        studio.patch(f"/api/projects/{project}/", {"model_version": "cold-v1"})
        _, checks = doctor(backend_web.environment, project)
        assert faults(checks) == set()
        assert "no model of that name is here" in checks["model version"]["message"]
        for each in studio.predictions(task):
            studio.delete(f"/api/predictions/{each['id']}/")
        _, checks = doctor(backend_web.environment, project)
        assert faults(checks) == {"model version"}
        assert "cold-v1 is pinned" in checks["model version"]["message"]


def test_without_a_project_all_connected_ones_are_looked_at(backend_web: Web, studio: Studio) -> None:
    project = new_project(studio)
    studio.connect(project, backend_web.url)
    told = coldblitz(backend_web.environment, "doctor")
    assert f"project {project}, webhook: Events are sent" in told.stdout
    assert told.exit_code == 1, "others of this Label Studio were broken above"
