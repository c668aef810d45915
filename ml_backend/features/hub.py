"""Backbones of timm and of transformers: where their weights lie, fetched once or in a folder, and under which license."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_backend import transport
from ml_backend.errors import WeightsError
from ml_backend.features.weights import Weights, untrained_warning
from ml_backend.wording import quoted

WEIGHTS = "model.safetensors"
_FETCH_SECONDS = 5


def fetch_model_folder(
    source: str, cache_dir: Path | None, files: Sequence[str], message: str, remedy: str, endpoint: str | None = None
) -> Path:
    """The folder of the repository `source`, with those of `files` that it has; asked for over the network where it is not
    in `cache_dir`.

    Raises WeightsError: `message`, in which `{}` stands for the reason, and `remedy`, unless the certificate or the proxy is
    the reason. `endpoint`: the server, Hugging Face's own when None.
    """
    from huggingface_hub import constants, get_session, set_client_factory, snapshot_download

    server = endpoint or constants.ENDPOINT
    whole = [*files, WEIGHTS]
    # The other way to fetch, xet, knows none of these settings.
    constants.HF_HUB_DISABLE_XET = True
    library_client = type(get_session())
    set_client_factory(
        lambda: library_client(
            verify=transport.certificates(),
            proxy=transport.proxy_of(server),
            trust_env=False,
            follow_redirects=True,
            timeout=None,
        )
    )
    reason, instead = "", None
    for offline in (True, False):
        try:
            folder = Path(
                snapshot_download(
                    source,
                    cache_dir=cache_dir,
                    allow_patterns=whole,
                    local_files_only=offline,
                    etag_timeout=_FETCH_SECONDS,
                    endpoint=server,
                )
            )
        except Exception as error:  # it raises a dozen kinds, some of them of the libraries below it
            reason, instead = transport.why(error, server)
            continue
        # One that was broken off is completed.
        if not offline or (folder / WEIGHTS).is_file():
            return folder
    raise WeightsError(message.replace("{}", reason), instead or remedy)


CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
_READ = (CONFIG, PREPROCESSOR, WEIGHTS)
# What a text model beside a vision tower reads, and what says under which licence the weights are.
_BESIDE = ("README.md", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
# Model types whose weights are under a licence of their own, for a folder that says nothing.
_OWN_LICENCES = {"dinov3_vit": "dinov3-license", "dinov3_convnext": "dinov3-license"}


def find_hub_weights(name: str, weights: str, cache_dir: Path | None) -> Weights:
    """Of `timm/<name>` or `hf/<name>`: a folder, or a state dict for timm; fetched once for `default`. Raises WeightsError."""
    family, _, model = name.partition("/")
    about = _timm_config(model) if family == "timm" else {}
    if weights == "none" and family == "timm":
        return Weights(None, "untrained", untrained_warning("BACKBONE_WEIGHTS is none", name))
    if weights == "none":
        raise WeightsError(
            f"BACKBONE is {name}, and BACKBONE_WEIGHTS is none: a model of transformers is made from its folder.",
            "Give the folder, or unset BACKBONE_WEIGHTS to have it fetched.",
        )
    if weights == "default":
        source = str(about.get("hf_hub_id") or "") if family == "timm" else model
        folder = _fetched(name, source, cache_dir)
        return _of_folder(name, folder, f"https://huggingface.co/{source}", str(about.get("license") or ""))
    path = Path(weights).expanduser()
    if path.is_dir():
        return _of_folder(name, path, str(path), "")
    if path.is_file() and family == "timm":
        return Weights(path, digest_of([path]), source=str(path), licence=_tagged_licence(model, about))
    raise WeightsError(
        f"BACKBONE_WEIGHTS names {weights}, which is no {'file or folder' if family == 'timm' else 'folder'}.",
        _remedy(family),
    )


def config_of(folder: Path, file: str = CONFIG) -> dict[str, Any]:
    """What a JSON file in a model's folder says. Raises WeightsError."""
    try:
        found = json.loads((folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{folder / file} cannot be read ({type(error).__name__}).", "Copy the whole folder again."
        ) from error
    if not isinstance(found, dict):
        raise WeightsError(f"{folder / file} is not a JSON object.", "Copy the whole folder again.")
    return found


def digest_of(files: list[Path]) -> str:
    """First digits of one SHA-256 over all of them."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]


def needed(module: str, extra: str, by: str = "BACKBONE") -> Any:
    """The module, which comes with an extra. Raises WeightsError, which says `by` what it is needed, when it is not installed."""
    try:
        return __import__(module)
    except ImportError as error:
        raise WeightsError(
            f"{by} needs {module}, which is not installed ({error}).",
            f"Install it next to Coldblitz: pip install 'coldblitz[{extra}]'.",
        ) from error


def backbone_names() -> tuple[list[str], str]:
    """Those of torchvision and of timm, and what to do for more of them, empty when nothing is lacking."""
    from torchvision import models

    names = list(models.list_models(module=models))
    try:
        timm = needed("timm", "timm")
    except WeightsError as error:
        return names, error.remedy
    return [*names, *(f"timm/{name}" for name in timm.list_pretrained())], ""


def _timm_config(model: str) -> dict[str, Any]:
    """What timm knows of a model's own weights. Raises WeightsError for a model that it does not know."""
    timm = needed("timm", "timm")
    plain, _, tag = model.partition(".")
    if not timm.is_model(plain):
        near = difflib.get_close_matches(plain, timm.list_models(), 3, 0.5) or ["vit_small_patch14_dinov2"]
        raise WeightsError(
            f"BACKBONE is timm/{model}, which timm {timm.__version__} does not know.",
            f"Use a name such as {', '.join(f'timm/{each}' for each in near)}.",
        )
    try:
        found = timm.get_pretrained_cfg(model, allow_unregistered=True)
    except RuntimeError:
        found = None
    if tag and found is None:
        raise WeightsError(
            f"timm has no weights {quoted(tag)} for {plain}.",
            f"Use one of {', '.join(timm.list_pretrained(f'{plain}.*')[:6]) or 'another model’s'}.",
        )
    return dict(found.to_dict()) if found is not None else {}


def _tagged_licence(model: str, about: Mapping[str, Any]) -> str:
    """Of a file: only a name with a tag says which weights it holds."""
    return str(about.get("license") or "") if "." in model else ""


def _fetched(name: str, source: str, cache_dir: Path | None) -> Path:
    if not source or source.count("/") != 1:
        raise WeightsError(f"There are no weights to fetch for {name}.", _remedy(name.partition("/")[0]))
    return fetch_model_folder(
        source,
        cache_dir,
        [*_READ, *_BESIDE],
        f"The weights of {name} could not be fetched from huggingface.co/{source} ({{}}).",
        f"Let a worker reach the network once, or copy them: {_remedy(name.partition('/')[0])}",
    )


def _remedy(family: str) -> str:
    if family == "timm":
        return "Set BACKBONE_WEIGHTS to a folder with config.json and model.safetensors as timm saves them, or a state dict."
    return "Set BACKBONE_WEIGHTS to a folder with config.json and model.safetensors as transformers saves them."


def _of_folder(name: str, folder: Path, source: str, licence: str) -> Weights:
    files = [folder / file for file in _READ if (folder / file).is_file()]
    if folder / WEIGHTS not in files or folder / CONFIG not in files:
        missing = WEIGHTS if folder / WEIGHTS not in files else CONFIG
        raise WeightsError(f"{folder} has no {missing}.", _remedy(name.partition("/")[0]))
    return Weights(folder, digest_of(files), source=source, licence=licence_of(folder) or licence)


def licence_of(folder: Path) -> str:
    """Of a model's folder, by its usual short name; empty where nobody says. Raises WeightsError."""
    said = config_of(folder)
    own = str(said.get("pretrained_cfg", {}).get("license") or _OWN_LICENCES.get(str(said.get("model_type")), ""))
    return _readme_licence(folder) or own


def _readme_licence(folder: Path) -> str:
    """What the model card of a folder says at its top; empty without one."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:20_000]
    except OSError:
        return ""
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    if head is None:
        return ""
    said = dict(re.findall(r"^(license|license_name): *[\"']?([^\"'\n#]+)", head[1], re.MULTILINE))
    licence = said.get("license", "").strip()
    return str(said.get("license_name", licence)).strip() if licence in ("other", "") else str(licence)
