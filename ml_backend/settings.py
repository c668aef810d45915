"""Settings of the installation, from the environment; those of a project are in `project_settings`."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError
from ml_backend.transport import check_certificates
from ml_backend.wording import quoted

GIB = 1024**3
_WEEK = 7 * 24 * 60  # in minutes
# A page of Label Studio, as it stands in a browser's address bar behind the address of Label Studio itself.
_PAGE = re.compile(r"/(?:projects(?:/\d.*|/?$)|user/.*|organization/?.*$)")
# How upstream's example backends call them.
_ALIASES = {
    "LABEL_STUDIO_URL": "LABEL_STUDIO_HOST",
    "LABEL_STUDIO_API_KEY": "LABEL_STUDIO_ACCESS_TOKEN",
    "DATA_DIR": "MODEL_DIR",
}
# What their servers read, and ours has no use for.
_NEEDLESS = {
    "THREADS": "the web process always has enough threads. WORKERS is the number of processes that train and predict, not of "
    "web processes."
}
_STORES = ("file", "s3", "gs", "az")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,252}[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """One installation of the backend. Tokens and passwords never appear in its `repr`, so they never reach a log."""

    label_studio_url: str
    label_studio_api_key: str = field(repr=False)
    port: int = 9090
    host: str = "127.0.0.1"
    data_dir: Path = Path("data")
    redis_url: str | None = field(default=None, repr=False)
    store_url: str | None = None
    basic_auth_user: str | None = None
    basic_auth_pass: str | None = field(default=None, repr=False)
    allow_no_login: bool = False
    video_hosts: tuple[str, ...] = ()
    backbone: str = "mobilenet_v2"
    backbone_weights: str = "default"
    backbone_license: str | None = None
    detector_license: str | None = None
    device: str = "auto"
    embedding_runtime: str = "auto"
    custom_model: Path | None = None
    text_model: str | None = None
    workers: int = 1
    video_part_minutes: int = 10
    cache_max_bytes: int = 20 * GIB
    max_video_bytes: int = 20 * GIB
    label_studio_host: str | None = None
    public_hosts: tuple[str, ...] = ()

    @property
    def label_studio_pages(self) -> str:
        """The address under which people open Label Studio."""
        return self.label_studio_host or self.label_studio_url

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be seen by anybody."""
        password = _password(self.redis_url) if self.redis_url else None
        return tuple(filter(None, (self.label_studio_api_key, self.basic_auth_pass, password)))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads the variables of the README's table.

        Raises SettingsError when LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY is missing or a value has the wrong form.
        """
        environment = with_folder(environment)
        check_certificates(environment)
        name = _name_of(environment, "LABEL_STUDIO_URL")
        url = label_studio_address(environment.get(name, ""))
        if url is None:
            told = environment.get(name, "").strip()[:200]
            raise SettingsError(
                f"{name} is {'not set' if not told else f'{quoted(told)}, which is not an http(s) address'}.",
                "Set it to the address of your Label Studio, for example http://localhost:8080.",
            )
        if "@" in urlsplit(url).netloc:
            raise SettingsError(
                f"{name} holds a login.",
                "Remove it: a request carries either a login or Label Studio's token. If a proxy in front of Label "
                "Studio requires a login, let it pass /api, /data, /tasks, and /projects, or use the address "
                "behind it.",
            )
        key = (secret(environment, _name_of(environment, "LABEL_STUDIO_API_KEY")) or "").strip()
        if not key:
            raise SettingsError(
                "LABEL_STUDIO_API_KEY is not set, nor is LABEL_STUDIO_API_KEY_FILE.",
                "Copy a personal access token from Label Studio (Account & Settings, Personal Access Token) into it.",
            )
        user, password = environment.get("BASIC_AUTH_USER") or None, secret(environment, "BASIC_AUTH_PASS")
        if (user is None) != (password is None):
            raise SettingsError("Only one of BASIC_AUTH_USER and BASIC_AUTH_PASS is set.", "Set both, or neither.")
        if max(map(ord, f"{user}{password}"), default=0) > 255:
            raise SettingsError(
                "BASIC_AUTH_USER or BASIC_AUTH_PASS contains a character that Label Studio cannot send in a login.",
                "Use only letters, digits, and characters of Western European languages (Latin-1); € is not one of them.",
            )
        if ":" in (user or ""):
            raise SettingsError(
                "BASIC_AUTH_USER contains a colon, which cannot be part of a user name.", "Choose another."
            )
        return cls(
            label_studio_url=url,
            label_studio_api_key=key,
            label_studio_host=_public_name(environment, url),
            port=_integer(environment, "PORT", cls.port, 65535),
            host=environment.get("HOST") or cls.host,
            data_dir=Path(environment.get(_name_of(environment, "DATA_DIR")) or cls.data_dir).expanduser().absolute(),
            redis_url=secret(environment, "REDIS_URL"),
            store_url=_store(environment),
            basic_auth_user=user,
            basic_auth_pass=password,
            allow_no_login=_yes(environment, "ALLOW_NO_LOGIN"),
            video_hosts=_hosts(environment, "VIDEO_HOSTS"),
            public_hosts=_hosts(environment, "PUBLIC_HOSTS"),
            backbone=environment.get("BACKBONE") or cls.backbone,
            backbone_weights=environment.get("BACKBONE_WEIGHTS") or cls.backbone_weights,
            backbone_license=environment.get("BACKBONE_LICENSE") or None,
            detector_license=environment.get("DETECTOR_LICENSE") or None,
            device=environment.get("DEVICE") or cls.device,
            embedding_runtime=environment.get("EMBEDDING_RUNTIME") or cls.embedding_runtime,
            custom_model=Path(custom).expanduser().absolute() if (custom := environment.get("CUSTOM_MODEL")) else None,
            text_model=environment.get("TEXT_MODEL") or None,
            workers=_integer(environment, "WORKERS", cls.workers),
            video_part_minutes=_integer(environment, "VIDEO_PART_MINUTES", cls.video_part_minutes, _WEEK, least=0),
            cache_max_bytes=_integer(environment, "CACHE_MAX_BYTES", cls.cache_max_bytes),
            max_video_bytes=_integer(environment, "MAX_VIDEO_BYTES", cls.max_video_bytes),
        )


def with_folder(environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """`environment`, and what it does not set from the files in SETTINGS_DIR, each of which is called like a variable.

    Raises SettingsError when a file cannot be read.
    """
    folder = environment.get("SETTINGS_DIR")
    if not folder:
        return environment
    names = [
        name for name in (each.upper() for each in Settings.__dataclass_fields__) if not _is_set(environment, name)
    ]
    found = {name: path for name in names if (path := Path(folder).expanduser() / name).is_file()}
    return {**environment, **{name: _text_of(path, f"SETTINGS_DIR has {path}") for name, path in found.items()}}


def label_studio_address(text: str) -> str | None:
    """The address of Label Studio itself, of one of its pages too, without a slash at its end; None for another text."""
    text = text.strip()
    if not text.startswith(("http://", "https://")) or not _host(text):
        return None
    address = urlsplit(text)
    path = (
        ""
        if (page := _PAGE.search(address.path)) and not page.start()
        else address.path[: page.start() if page else None]
    )
    return f"{address.scheme}://{address.netloc}{path.rstrip('/')}"


def own_address(environment: Mapping[str, str] = os.environ) -> str:
    """Where this machine's backend answers, by HOST and PORT. Raises SettingsError."""
    host = environment.get("HOST") or Settings.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{_integer(environment, 'PORT', Settings.port, 65535)}"


def notes(environment: Mapping[str, str] = os.environ) -> list[str]:
    """One sentence for each variable that was read by another name or otherwise than it was written, or was not read."""
    environment = with_folder(environment)
    told = []
    for name, alias in _ALIASES.items():
        if (taken := _name_of(environment, name)) != name:
            told.append(f"{taken} is used as {name}, which is not set.")
        elif alias != "LABEL_STUDIO_HOST" and _is_set(environment, alias):
            told.append(f"{alias} is ignored, since {name} is set.")
    told += [f"{name} is ignored: {why}" for name, why in _NEEDLESS.items() if _is_set(environment, name)]
    name = _name_of(environment, "LABEL_STUDIO_URL")
    given, read = environment.get(name, "").strip(), label_studio_address(environment.get(name, ""))
    if read is not None and given.rstrip("/") != read:
        told.append(f"{name} was read as {read}.")
    if (
        name == "LABEL_STUDIO_URL"
        and (host := environment.get("LABEL_STUDIO_HOST"))
        and label_studio_address(host) is None
    ):
        told.append("LABEL_STUDIO_HOST is ignored, since it is not an http(s) address.")
    return told


def _public_name(environment: Mapping[str, str], url: str) -> str | None:
    """What LABEL_STUDIO_HOST says, where it says another address than LABEL_STUDIO_URL."""
    public = label_studio_address(environment.get("LABEL_STUDIO_HOST", ""))
    return public if public not in (None, url) and "@" not in urlsplit(public or "").netloc else None


def _name_of(environment: Mapping[str, str], name: str) -> str:
    """`name`, or its alias where that alone is set."""
    alias = _ALIASES[name]
    return alias if _is_set(environment, alias) and not _is_set(environment, name) else name


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def secret(environment: Mapping[str, str], name: str) -> str | None:
    """A token, password or address with a password, from variable `name` or from the file that `name`_FILE names.

    None when neither is set. Raises SettingsError when both are or the file cannot be read.
    """
    value, file = environment.get(name) or None, environment.get(f"{name}_FILE")
    if not file:
        return value
    if value is not None:
        raise SettingsError(f"Both {name} and {name}_FILE are set.", "Set only one of them.")
    return _text_of(Path(file).expanduser(), f"{name}_FILE names {file}")


def _text_of(path: Path, named: str) -> str:
    """What stands in a file; `named`: how the SettingsError begins that is raised when nothing does."""
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingsError(
            f"{named}, which cannot be read ({reason}).", "Correct the path or the file's permissions."
        ) from error
    if not value:
        raise SettingsError(f"{named}, which is empty.", "Write the value into it.")
    return value


def _store(environment: Mapping[str, str]) -> str | None:
    url = environment.get("STORE_URL", "").strip()
    if not url:
        return None
    try:
        parts = urlsplit(url)
        place = Path(parts.path).is_absolute() and not parts.netloc if parts.scheme == "file" else bool(parts.netloc)
    except ValueError:
        place = False
    if not place or parts.scheme not in _STORES or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "STORE_URL is not the address of a store.",
            "Write it like s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///mnt/shared, without credentials.",
        )
    return url.rstrip("/")


def _yes(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "0", "1", "no", "yes", "false", "true"):
        raise SettingsError(f"{name} is {quoted(text)}.", "Set it to true or false.")
    return text in ("1", "yes", "true")


def _hosts(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Host names, addresses and networks, with commas or spaces between them."""
    hosts = tuple(environment.get(name, "").replace(",", " ").split())
    for host in hosts:
        try:
            ipaddress.ip_network(host, strict=False)
        except ValueError as error:
            # What looks like a number is an address with a mistake.
            if not _HOST_NAME.fullmatch(host) or host.replace(".", "").isdecimal():
                raise SettingsError(
                    f"{name} has {quoted(host)}, which is not a host name, address, or network.",
                    "Write them like this: files.example, 10.1.2.3, 10.2.0.0/16.",
                ) from error
    return hosts


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _integer(environment: Mapping[str, str], name: str, default: int, most: int = 2**63 - 1, *, least: int = 1) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or not least <= int(text) <= most:
        remedy = f"It must be a whole number of {least} or more."
        if most < 2**62:
            remedy = f"It must be a number from {least} to {most}."
        raise SettingsError(f"{name} is {quoted(text)}.", remedy)
    return int(text)
