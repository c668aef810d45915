"""Settings: those of the installation from the environment, those of a project from its ML backend's *extra params*."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError
from ml_backend.transport import check_certificates

GIB = 1024**3
FramesPerLabel = int | Mapping[str, int]
# A page of Label Studio, as it stands in a browser's address bar behind the address of Label Studio itself.
_PAGE = re.compile(r"/(?:projects(?:/\d.*|/?$)|user/.*|organization/?.*$)")
# How upstream's example backends call them.
_ALIASES = {
    "LABEL_STUDIO_URL": "LABEL_STUDIO_HOST",
    "LABEL_STUDIO_API_KEY": "LABEL_STUDIO_ACCESS_TOKEN",
    "DATA_DIR": "MODEL_DIR",
}
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
    basic_auth_user: str | None = None
    basic_auth_pass: str | None = field(default=None, repr=False)
    allow_no_login: bool = False
    video_hosts: tuple[str, ...] = ()
    backbone: str = "mobilenet_v2"
    backbone_weights: str = "default"
    backbone_license: str | None = None
    device: str = "auto"
    custom_model: Path | None = None
    text_model: str | None = None
    workers: int = 1
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
        check_certificates(environment)
        name = _name_of(environment, "LABEL_STUDIO_URL")
        url = label_studio_address(environment.get(name, ""))
        if url is None:
            told = environment.get(name, "").strip()[:200]
            raise SettingsError(
                f"{name} is {'not set' if not told else f'{told!r}, which is not an http(s) address'}.",
                "Set it to the address of your Label Studio, for example http://localhost:8080.",
            )
        if "@" in urlsplit(url).netloc:
            raise SettingsError(
                f"{name} holds a login.",
                "Leave it out: a request carries either a login or Label Studio's token. Where a proxy in front of Label Studio "
                "asks for one, let it pass /api, /data, /tasks and /projects, or give the address behind it.",
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
                "BASIC_AUTH_USER or BASIC_AUTH_PASS has a character that Label Studio cannot send in a login.",
                "Use letters, digits and signs of Western European languages (Latin-1) only; € is not among them.",
            )
        if ":" in (user or ""):
            raise SettingsError("BASIC_AUTH_USER has a colon, which ends a login's user name.", "Choose another.")
        return cls(
            label_studio_url=url,
            label_studio_api_key=key,
            label_studio_host=_public_name(environment, url),
            port=_integer(environment, "PORT", cls.port, 65535),
            host=environment.get("HOST") or cls.host,
            data_dir=Path(environment.get(_name_of(environment, "DATA_DIR")) or cls.data_dir).expanduser().absolute(),
            redis_url=secret(environment, "REDIS_URL"),
            basic_auth_user=user,
            basic_auth_pass=password,
            allow_no_login=_yes(environment, "ALLOW_NO_LOGIN"),
            video_hosts=_hosts(environment, "VIDEO_HOSTS"),
            public_hosts=_hosts(environment, "PUBLIC_HOSTS"),
            backbone=environment.get("BACKBONE") or cls.backbone,
            backbone_weights=environment.get("BACKBONE_WEIGHTS") or cls.backbone_weights,
            backbone_license=environment.get("BACKBONE_LICENSE") or None,
            device=environment.get("DEVICE") or cls.device,
            custom_model=Path(custom).expanduser().absolute() if (custom := environment.get("CUSTOM_MODEL")) else None,
            text_model=environment.get("TEXT_MODEL") or None,
            workers=_integer(environment, "WORKERS", cls.workers),
            cache_max_bytes=_integer(environment, "CACHE_MAX_BYTES", cls.cache_max_bytes),
            max_video_bytes=_integer(environment, "MAX_VIDEO_BYTES", cls.max_video_bytes),
        )


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
    told = []
    for name, alias in _ALIASES.items():
        if (taken := _name_of(environment, name)) != name:
            told.append(f"{taken} was taken for {name}, which is not set.")
        elif alias != "LABEL_STUDIO_HOST" and _is_set(environment, alias):
            told.append(f"{alias} is ignored, since {name} is set.")
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
    try:
        value = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingsError(f"{name}_FILE names {file}, which cannot be read ({reason}).", "Mend it.") from error
    if not value:
        raise SettingsError(f"{name}_FILE names {file}, which is empty.", "Write the value into it.")
    return value


def _yes(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "0", "1", "no", "yes", "false", "true"):
        raise SettingsError(f"{name} is {text[:40]!r}.", "Set it to true or false.")
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
                    f"{name} has {host[:80]!r}, which is no host name, address or network.",
                    "Write them as in: files.example, 10.1.2.3, 10.2.0.0/16.",
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


def _integer(environment: Mapping[str, str], name: str, default: int, most: int = 2**63 - 1) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or not 1 <= int(text) <= most:
        remedy = "It must be a whole number of 1 or more." if most > 2**62 else f"It must be a number from 1 to {most}."
        raise SettingsError(f"{name} is {text[:40]!r}.", remedy)
    return int(text)


@dataclass(frozen=True)
class BlitzSettings:
    """How Blitz learns: the value of the extra param `blitz`.

    `fit`: *head* trains on what the frozen network sees, *finetune* trains the network first. The rest is about that:
    `cycles`: epochs of the one-cycle schedule. `validation_split`: share of the videos that are held out.
    `early_stopping`: it ends after so many epochs that were no better on them. `image_size`: side of the pictures it
    trains on, in pixels; it predicts from 160. `frame_step`: it trains on every so many-th frame.
    """

    fit: Literal["head", "finetune"] = "head"
    cycles: int = 10
    validation_split: float = 0.2
    early_stopping: int = 3
    image_size: int = 160
    frame_step: int = 5


@dataclass(frozen=True)
class ProjectSettings:
    """What a project may set in its ML backend's *extra params*.

    `sampling`: how keyframes are picked; `auto` is `unique` at once, and medoids of the embeddings when they are there;
    `random` draws them by chance, `shots` shares them out over the shots.
    `frames_per_video`: at most so many (Label Studio shows about ten rows well). `sample_fps`: frames per second looked
    at before the video is embedded. `hash_threshold`: bits of 64 by which a frame must differ; 4 is what docs/suggestions.md measured.
    `mode`: which kind of model to train; `auto` is Cold until two whole timelines have been reviewed, then Blitz, and
    custom when a model file is named. `custom_model`: name of a file in DATA_DIR/custom_models.
    `default_label`: what the gaps of a dense annotation mean (none when unset).
    `min_frames`: shorter runs are merged into their neighbours; 1 is off, 10 is the dissertation's rule. `fill_gaps`: up to
    so many frames between two runs of one label are counted in with them. Both are one number, or one for each label.
    `dense`: whether annotations cover whole videos, when the label config has no *reviewed* choice to say it.
    `serve_uncertain_first`: a model that becomes active sets Label Studio's task order to *Uncertainty sampling*.
    `blitz`: how Blitz learns. `companion`: whether suggested frames are images in a project of their own, too.
    """

    sampling: Literal["auto", "uniform", "random", "unique", "shots"] = "auto"
    frames_per_video: int = 10
    sample_fps: float = 2.0
    hash_threshold: int = 4
    mode: Literal["auto", "cold", "blitz", "custom"] = "auto"
    custom_model: str | None = None
    default_label: str | None = None
    min_frames: FramesPerLabel = 1
    fill_gaps: FramesPerLabel = 0
    dense: bool | None = None
    serve_uncertain_first: bool = False
    blitz: BlitzSettings = BlitzSettings()
    companion: bool = False


# Each number's smallest and largest sensible value; outside it the default applies and the admin is told.
_RANGES: dict[str, tuple[float, float]] = {
    "frames_per_video": (1, 1000),
    "sample_fps": (0.01, 240),
    "hash_threshold": (1, 64),
    "min_frames": (1, 100_000),
    "fill_gaps": (0, 100_000),
    "blitz.cycles": (1, 100),
    "blitz.validation_split": (0.05, 0.5),
    "blitz.early_stopping": (1, 100),
    "blitz.image_size": (32, 512),
    "blitz.frame_step": (1, 1000),
}


def parse_project_settings(extra_params: object) -> tuple[ProjectSettings, tuple[str, ...]]:
    """The valid part of a project's extra params, and one sentence for each key that was ignored."""
    if extra_params is None or extra_params == "":
        return ProjectSettings(), ()
    if not isinstance(extra_params, Mapping):
        return ProjectSettings(), ("The extra params are not a JSON object; all defaults apply.",)
    problems: list[str] = []
    valid = _valid(ProjectSettings, extra_params, "", problems)
    if "blitz" in valid:
        valid["blitz"] = BlitzSettings(**_valid(BlitzSettings, valid["blitz"], "blitz.", problems))
    return ProjectSettings(**valid), tuple(problems)


def checked_blitz(given: Mapping[str, Any], otherwise: BlitzSettings) -> BlitzSettings:
    """`otherwise` with the values `given`. Raises SettingsError when one of them is not valid."""
    hints = get_type_hints(BlitzSettings)
    for name, value in given.items():
        problem = _problem(f"blitz.{name}", value, hints[name]) if name in hints else "there is no such setting"
        if problem is not None:
            raise SettingsError(f"blitz.{str(name)[:40]} cannot be set: {problem[:200]}.", "Correct it, and try again.")
    return replace(otherwise, **given)


def range_of(name: str) -> tuple[float, float]:
    """The smallest and the largest value of a number among the project's settings, such as `blitz.cycles`."""
    return _RANGES[name]


def _valid(
    settings: type[ProjectSettings | BlitzSettings], given: Mapping[str, object], within: str, problems: list[str]
) -> dict[str, Any]:
    """The valid values of `given`; one sentence for each of the others is added to `problems`."""
    hints = get_type_hints(settings)
    known = {f.name for f in fields(settings)}
    valid: dict[str, Any] = {}
    for name, value in given.items():
        shown = f"{within}{name}"
        if name not in known:
            listed = ", ".join(sorted(known))
            problems.append(f"Extra param {shown!r} is unknown and was ignored; known are {listed}.")
        elif (problem := _problem(shown, value, hints[name])) is not None:
            problems.append(f"Extra param {shown!r} was ignored: {problem}.")
        else:
            valid[name] = value
    return valid


def _problem(name: str, value: object, hint: Any) -> str | None:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return None if value in choices else f"{value!r} is not one of {', '.join(map(repr, choices))}"
    if hint is BlitzSettings:
        return None if isinstance(value, Mapping) else f"{value!r} is not a JSON object"
    if hint == FramesPerLabel:
        if isinstance(value, Mapping):
            told = ((label, _problem(name, frames, int)) for label, frames in value.items())
            return next((f"for {label!r}, {problem}" for label, problem in told if problem), None)
        hint = int
    accepted = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if hint is float:
        accepted = (int, float)
    # bool is an int in Python, but `true` is no number of frames.
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        return f"{value!r} has the wrong type"
    if name in _RANGES and isinstance(value, int | float):
        low, high = _RANGES[name]
        if not low <= value <= high:
            return f"{value!r} is not between {low:g} and {high:g}"
    return None
