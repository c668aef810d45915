"""What the compose file runs once: settings that nobody has set, and the first project of a new Label Studio."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml_backend.commands.compose import BACKEND, STUDIO_ENVIRONMENT, STUDIO_PASSWORD, USER, connect_first_project, fill
from ml_backend.errors import SettingsError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.settings import Settings

THERE = {
    "LABEL_STUDIO_URL": "http://studio.example",
    "LABEL_STUDIO_API_KEY": "token",
    "BASIC_AUTH_USER": "labelstudio",
    "BASIC_AUTH_PASS": "chosen",
}
NOTHING = dict.fromkeys(THERE, "") | {"BASIC_AUTH_USER": "labelstudio"}


def read(folder: Path, environment: dict[str, str]) -> Settings:
    return Settings.from_environment({**environment, "SETTINGS_DIR": str(folder)})


class TestSettings:
    def test_token_and_passwords_are_made_for_the_label_studio_beside_it(self, tmp_path: Path) -> None:
        fill(tmp_path, NOTHING)
        settings = read(tmp_path, NOTHING)
        assert settings.label_studio_url == "http://label-studio:8080"
        assert settings.label_studio_pages == "http://localhost:8080"
        assert len(settings.label_studio_api_key) == 40
        assert settings.basic_auth_user == "labelstudio"
        password = (tmp_path / STUDIO_PASSWORD).read_text().strip()
        assert len({settings.basic_auth_pass, password, settings.label_studio_api_key}) == 3
        # A shell reads it in Label Studio's container, whose user is another one.
        shell = f'. "{tmp_path / STUDIO_ENVIRONMENT}"; env'
        told = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout.splitlines()
        assert f"LABEL_STUDIO_USERNAME={USER}" in told
        assert f"LABEL_STUDIO_PASSWORD={password}" in told
        assert f"LABEL_STUDIO_USER_TOKEN={settings.label_studio_api_key}" in told
        assert all(path.stat().st_mode & 0o777 == 0o644 for path in tmp_path.iterdir())

    def test_the_next_start_finds_the_same_and_another_installation_has_others(self, tmp_path: Path) -> None:
        once, other = tmp_path / "once", tmp_path / "other"
        for folder in (once, other):
            folder.mkdir()
            fill(folder, NOTHING)
        before = {path.name: path.read_text() for path in once.iterdir()}
        fill(once, {**NOTHING, "STUDIO_PORT": "8081"})
        now = {path.name: path.read_text() for path in once.iterdir()}
        assert {name for name in now if now[name] != before[name]} == {"LABEL_STUDIO_HOST"}
        assert read(once, NOTHING).label_studio_pages == "http://localhost:8081"
        assert read(once, NOTHING).label_studio_api_key != read(other, NOTHING).label_studio_api_key

    def test_another_label_studio_takes_nothing_of_it_and_the_way_back_is_open(self, tmp_path: Path) -> None:
        fill(tmp_path, NOTHING)
        before = read(tmp_path, NOTHING)
        fill(tmp_path, THERE)
        elsewhere = read(tmp_path, THERE)
        assert elsewhere == Settings.from_environment(THERE)
        assert elsewhere.label_studio_host is None
        fill(tmp_path, NOTHING)
        assert read(tmp_path, NOTHING) == before

    @pytest.mark.parametrize("missing", ["LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS"])
    def test_half_a_label_studio_is_refused_with_what_is_missing(self, tmp_path: Path, missing: str) -> None:
        with pytest.raises(SettingsError, match=missing):
            fill(tmp_path, {**THERE, missing: ""})
        assert list(tmp_path.iterdir()) == []


class StudioOfProjects:
    """Answers as Label Studio does what is asked of projects and backends, of which it keeps these."""

    def __init__(self) -> None:
        self.projects: list[dict[str, Any]] = []
        self.backends: list[dict[str, Any]] = []
        self.refuses = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or "null")
        if (request.method, request.url.path) == ("GET", "/api/projects/"):
            return httpx.Response(200, json={"count": len(self.projects), "results": self.projects})
        if (request.method, request.url.path) == ("POST", "/api/projects/"):
            made = {**body, "id": len(self.projects) + 1, "created_at": "2026-01-01T00:00:00Z", "model_version": ""}
            self.projects.append(made)
            return httpx.Response(201, json=made)
        if (request.method, request.url.path) == ("GET", "/api/ml/"):
            project = int(request.url.params["project"])
            return httpx.Response(200, json=[each for each in self.backends if each["project"] == project])
        assert (request.method, request.url.path) == ("POST", "/api/ml/")
        if self.refuses:
            return httpx.Response(400, json={"detail": "it does not answer"})
        self.backends.append({**body, "id": len(self.backends) + 1})
        return httpx.Response(201, json=self.backends[-1])


class TestFirstProject:
    @pytest.fixture
    def there(self) -> StudioOfProjects:
        return StudioOfProjects()

    @pytest.fixture
    def connect(self, there: StudioOfProjects, tmp_path: Path) -> Callable[[], None]:
        settings = Settings.from_environment(THERE)
        studio = LabelStudio("http://studio.example", "a" * 40, transport=httpx.MockTransport(there))
        return lambda: connect_first_project(tmp_path, studio, settings)

    def test_a_new_label_studio_gets_one_project_that_is_connected_with_the_login(
        self, there: StudioOfProjects, connect: Callable[[], None]
    ) -> None:
        connect()
        connect()
        [project], [backend] = there.projects, there.backends
        assert (backend["project"], backend["url"]) == (project["id"], BACKEND)
        assert (backend["basic_auth_user"], backend["basic_auth_pass"]) == ("labelstudio", "chosen")
        [question] = parse_label_config(project["label_config"]).questions
        assert question.labels == ("A", "B", "C")

    def test_what_was_refused_is_done_by_the_next_try(
        self, there: StudioOfProjects, connect: Callable[[], None]
    ) -> None:
        there.refuses = True
        with pytest.raises(Exception, match="it does not answer"):
            connect()
        there.refuses = False
        connect()
        assert (len(there.projects), len(there.backends)) == (1, 1)

    def test_who_has_disconnected_it_finds_it_so(self, there: StudioOfProjects, connect: Callable[[], None]) -> None:
        connect()
        there.backends.clear()
        connect()
        assert there.backends == []

    def test_projects_of_people_are_left_alone(self, there: StudioOfProjects, connect: Callable[[], None]) -> None:
        there.projects.append(
            {
                "id": 1,
                "title": "Mice",
                "label_config": "<View/>",
                "model_version": "",
                "created_at": "2026-01-01T00:00:00Z",
            }
        )
        connect()
        assert (len(there.projects), there.backends) == (1, [])
