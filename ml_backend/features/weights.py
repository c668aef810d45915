"""A backbone's weights: its makers' own, a file or folder, or none; under which licence; and what to say when there are none.

Without torch for the usual backbones: loading it takes seconds and half a gigabyte, and a network that was converted once
does not need it.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from ml_backend import requests_transport, transport
from ml_backend.errors import WeightsError
from ml_backend.wording import quoted

_CONNECT_SECONDS, _READ_SECONDS = 5, 30
_SERVER = "https://download.pytorch.org/models/"
# torchvision's own weights for these, as its enums name them.
FILES = {
    "mobilenet_v2": "mobilenet_v2-7ebf99e0.pth",
    "squeezenet1_0": "squeezenet1_0-b66bff10.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
}


# Those that allow every use that gives credit.
_FREE = re.compile(
    r"(apache-2\.0|mit|bsd(-[23]-clause(-clear)?)?|isc|zlib|unlicense|cc0-1\.0|cc-by(-sa)?-[34]\.0|unknown|)"
)
# torchvision's own weights that were made with SWAG's.
_SWAG = {"vit_h_14", "regnet_y_128gf"}


@dataclass(frozen=True)
class Weights:
    """Where a backbone's weights come from. `path` is None for an untrained one; `warning` says what is wrong with that.

    `licence`: of the weights, by its usual short name, empty where nobody says. `source`: where they came from. `tuned`: a state
    dict that takes their place, of a network that was fine-tuned from them.
    """

    path: Path | None
    digest: str
    warning: str | None = None
    licence: str = ""
    source: str = ""
    tuned: Path | None = None


def find_weights(name: str, weights: str, cache_dir: Path | None, accepted: str | None = None) -> Weights:
    """Resolves `default`, `none` or a path for torchvision's model `name`, `timm/<name>` or `hf/<name>`.

    `accepted`: a licence that the admin has read. Raises WeightsError, also for weights that need such a word.
    """
    found = _find(name, weights, cache_dir)
    if not is_free(found.licence) and found.licence.lower() != (accepted or "").lower():
        raise WeightsError(
            f"The weights of {name} are under the license {found.licence}, which may not allow what you do with them.",
            f"Read it ({found.source}), and set BACKBONE_LICENSE={found.licence} if it does, or choose another BACKBONE.",
        )
    # Older versions took its height for its channels: what they have stored and converted is not used.
    return replace(found, digest=f"{found.digest}-nhwc") if name.startswith("swin_") else found


def is_free(licence: str) -> bool:
    """Whether it allows every use that gives credit; so does one that nobody names."""
    return _FREE.fullmatch(licence.lower()) is not None


def file_name(name: str, digest: str) -> str:
    """What the converted network is called on disk, without its suffix."""
    return f"{name.replace('/', '_')}-{digest}"


def _find(name: str, weights: str, cache_dir: Path | None) -> Weights:
    if name.startswith(("timm/", "hf/")):
        from ml_backend.features.hub import find_hub_weights

        return find_hub_weights(name, weights, cache_dir)
    url = _SERVER + FILES[name] if name in FILES else _other(name)
    if weights == "none":
        return Weights(None, "untrained", untrained_warning("BACKBONE_WEIGHTS is none", name))
    if weights != "default":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"BACKBONE_WEIGHTS names {weights}, which is not a file.",
                "Give a state dict's path, `default` or `none`.",
            )
        return Weights(path, digest(path), source=str(path))
    return _default(name, url, cache_dir)


def _other(name: str) -> str:
    """The address of torchvision's own weights for a network that is not in `FILES`."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise WeightsError(
            f"BACKBONE is {quoted(name)}, which torchvision's classifiers do not include.",
            f"Use one of {', '.join(FILES)}, timm/<name>, or hf/<name>.",
        )
    return str(models.get_model_weights(name).DEFAULT.url)


def _default(name: str, url: str, cache_dir: Path | None) -> Weights:
    licence = "cc-by-nc-4.0" if name in _SWAG else "bsd-3-clause"
    path, target = cached(url, cache_dir)
    if path is not None:
        return Weights(path, digest(path), None, licence, url)
    try:
        path = download(url, target)
    except (requests.RequestException, OSError, ValueError) as error:
        return Weights(
            None, "untrained", untrained_warning(f"{url} could not be fetched ({transport.why(error, url)[0]})", name)
        )
    return Weights(path, digest(path), None, licence, url)


def untrained_warning(reason: str, name: str) -> str:
    maker = "timm" if name.startswith("timm/") else "torchvision"
    return (
        f"The backbone {name} is untrained, because {reason}: it is good enough for a demonstration only. "
        f"Set BACKBONE_WEIGHTS to a file with {maker}'s weights for {name}, or let the backend reach the network once."
    )


def cached(url: str, cache_dir: Path | None) -> tuple[Path | None, Path]:
    """The file of torchvision's weights at `url`, None when it was not fetched yet; and where it is to be put."""
    places = [_torch_cache(), *([cache_dir] if cache_dir else [])]
    files = [place / url.rsplit("/", 1)[-1] for place in places]
    return next((file for file in files if file.is_file()), None), files[-1]


def _torch_cache() -> Path:
    """Where torch.hub keeps what it downloads."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints"


def download(url: str, target: Path) -> Path:
    """Fetches torchvision's weights, whose file names end in the first digits of their SHA-256, into `target`.

    Raises requests.RequestException, OSError, and ValueError when it is another file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    digest = hashlib.sha256()
    try:
        with (
            requests_transport.session(url).get(url, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as answer,
            part.open("wb") as file,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_content(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        expected = target.stem.rsplit("-", 1)[-1]
        if not digest.hexdigest().startswith(expected):
            raise ValueError(f"{url} gave something else")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def digest(path: Path) -> str:
    """First digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
