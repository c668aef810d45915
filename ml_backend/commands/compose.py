"""What `docker-compose.yml` runs once at every start: the settings that nobody has set, and the first project of a new Label Studio."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from ml_backend import logs
from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from ml_backend.labelstudio.studio import LabelStudio

app = typer.Typer(help="What docker-compose.yml runs once at every start.")

STUDIO = "http://label-studio:8080"
# Label Studio has no webhooks for host names without a dot.
BACKEND = "http://ml-backend.coldblitz:9090"
USER = "admin@example.com"
# What Label Studio's own image reads before it starts.
STUDIO_ENVIRONMENT = "label-studio.env"
STUDIO_PASSWORD = "studio-password"
_STUDIO_TOKEN, _BACKEND_PASSWORD, _CONNECTED = "studio-token", "backend-password", "connected"
_SETTINGS = ("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS")
_TITLE = "My videos"


@app.command()
def settings() -> None:
    """Fills SETTINGS_DIR for the Label Studio beside it, unless there is a LABEL_STUDIO_URL. Example: coldblitz compose settings"""
    fill(_folder(), os.environ)


@app.command()
def project() -> None:
    """Connects a first project of the Label Studio beside it, and says where it is. Example: coldblitz compose project"""
    # Imported here: the SDK takes seconds, and other commands need none of it.
    from ml_backend.labelstudio.studio import LabelStudio

    where = Settings.from_environment()
    logs.hide(*where.secrets)
    with LabelStudio(where.label_studio_url, where.label_studio_api_key) as studio:
        connect_first_project(_folder(), studio, where)
    password = _text(_folder() / STUDIO_PASSWORD)
    login = f"user {where.basic_auth_user}, password {where.basic_auth_pass}"
    told = terminal()
    told.print(f"Label Studio: {where.label_studio_pages} (user {USER}, password {password})", soft_wrap=True)
    told.print(
        f"To connect another project: Settings, Model, Connect Model, {BACKEND}, Basic Authentication ({login})",
        soft_wrap=True,
    )


def fill(folder: Path, environment: Mapping[str, str]) -> None:
    """Writes what `Settings` reads from `folder`, and what Label Studio's container reads there.

    Token and passwords are made once and kept. With a LABEL_STUDIO_URL `Settings` finds nothing there. Raises SettingsError when
    the environment names another Label Studio and not all that belongs to it.
    """
    if environment.get("LABEL_STUDIO_URL"):
        for name in ("LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS"):
            if not environment.get(name):
                raise SettingsError(
                    f"LABEL_STUDIO_URL is set, but {name} is not.",
                    "Set all three, or none of them for the Label Studio that `--profile studio` starts.",
                )
        for name in _SETTINGS:
            (folder / name).unlink(missing_ok=True)
        return
    # A legacy token can be chosen before there is a Label Studio; a personal access token cannot.
    for name, secret in (
        (_STUDIO_TOKEN, secrets.token_hex(20)),
        (STUDIO_PASSWORD, secrets.token_urlsafe(12)),
        (_BACKEND_PASSWORD, secrets.token_urlsafe(12)),
    ):
        if not (folder / name).exists():
            _write(folder / name, secret)
    token = _text(folder / _STUDIO_TOKEN)
    _write(folder / "LABEL_STUDIO_URL", STUDIO)
    _write(folder / "LABEL_STUDIO_HOST", f"http://localhost:{environment.get('STUDIO_PORT') or 8080}")
    _write(folder / "LABEL_STUDIO_API_KEY", token)
    _write(folder / "BASIC_AUTH_PASS", _text(folder / _BACKEND_PASSWORD))
    exported = {
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": _text(folder / STUDIO_PASSWORD),
        "LABEL_STUDIO_USER_TOKEN": token,
    }
    _write(folder / STUDIO_ENVIRONMENT, "\n".join(f"export {name}={quote(value)}" for name, value in exported.items()))
    text = f"LABEL_STUDIO_URL is not set, so Coldblitz works for the Label Studio of `--profile studio`, {STUDIO}."
    terminal().print(text, soft_wrap=True)


def connect_first_project(folder: Path, studio: LabelStudio, where: Settings) -> None:
    """Makes a project, unless that was done or there are any, and connects it; raises as `LabelStudio` does."""
    from ml_backend.labelstudio.recommended import PALETTE, recommended_config

    if (folder / _CONNECTED).exists():
        return
    projects = list(islice(studio.projects.all(), 2))
    # An earlier try may have ended between the two.
    begun = [each.key.id for each in projects if each.title == _TITLE]
    if not projects or len(begun) == len(projects) == 1:
        labels = dict(zip(("A", "B", "C"), PALETTE, strict=False))
        number = begun[0] if begun else studio.projects.create(_TITLE, recommended_config(labels, framerate="25"))
        if not studio.backends.all(number):
            user, password = where.basic_auth_user or "", where.basic_auth_pass or ""
            studio.backends.connect(number, BACKEND, "Coldblitz", user, password)
    _write(folder / _CONNECTED, "yes")


def _folder() -> Path:
    return Path(os.environ.get("SETTINGS_DIR") or "/settings")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(f"{text}\n", encoding="utf-8")
    # Label Studio's container runs as another user; these containers alone have the volume.
    partial.chmod(0o644)
    partial.replace(path)
