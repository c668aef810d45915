"""A detector's weights: in a folder of this machine, in the cache, or fetched once; and under which license.

Without torch, but for torchvision's own addresses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import requests

from ml_backend import transport
from ml_backend.errors import WeightsError
from ml_backend.features.hub import CONFIG, PREPROCESSOR, WEIGHTS, fetch_model_folder, licence_of, needed
from ml_backend.features.weights import cached, download, is_free

_SUFFIXES = (".pth", ".pt", ".safetensors")
_READ = (CONFIG, PREPROCESSOR)
_BESIDE = (
    "README.md",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
# torchvision's own.
_LICENCE = "bsd-3-clause"


@dataclass(frozen=True)
class DetectorWeights:
    """`path`: a state dict of torchvision, or a folder of transformers. `names`: the class names of a state dict that has others
    than its makers' own; None where it has those."""

    path: Path
    source: str
    licence: str = ""
    names: tuple[str, ...] | None = None


def local_weights(name: str, folder: Path | None) -> Path | None:
    """What lies in `folder` under the name `torchvision/<name>` or `hf/<name>`; None when nothing does."""
    if folder is None:
        return None
    if name.startswith("hf/"):
        return path if (path := folder / name).is_dir() else None
    files = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def find_detector_weights(
    name: str,
    folder: Path | None = None,
    cache_dir: Path | None = None,
    accepted: str | None = None,
    given: Path | None = None,
) -> DetectorWeights:
    """Of `torchvision/<name>` or `hf/<name>`: `given`, what lies in `folder`, what was fetched into `cache_dir` before, or what is
    fetched now. `accepted`: a license that the admin has read.

    Raises WeightsError, also for weights that need such a word.
    """
    family, _, model = name.partition("/")
    place = given or local_weights(name, folder)
    find = _of_hub if family == "hf" else _of_torchvision
    found = find(name, model, place, cache_dir, _remedy(name, folder))
    if not is_free(found.licence) and found.licence.lower() != (accepted or "").lower():
        raise WeightsError(
            f"The weights of {name} are under the license {found.licence}, which may not allow what you do with them.",
            f"Read it ({found.source}), and set DETECTOR_LICENSE={found.licence} if it does, or choose another detector.",
        )
    return found


def _of_torchvision(name: str, model: str, place: Path | None, cache_dir: Path | None, remedy: str) -> DetectorWeights:
    if place is not None:
        if not place.is_file() or place.suffix not in _SUFFIXES:
            raise WeightsError(f"{place} is not a state dict of {name}.", f"Give a {', '.join(_SUFFIXES)} file.")
        return DetectorWeights(place, str(place), names=_names_beside(place))
    from torchvision import models

    url = str(models.get_model_weights(model).DEFAULT.url)
    path, target = cached(url, cache_dir)
    if path is None:
        try:
            path = download(url, target)
        except (requests.RequestException, OSError, ValueError) as error:
            reason, instead = transport.why(error, url)
            raise WeightsError(
                f"The weights of {name} could not be fetched from {url} ({reason}).", instead or remedy
            ) from error
    return DetectorWeights(path, url, _LICENCE)


def _of_hub(name: str, model: str, place: Path | None, cache_dir: Path | None, remedy: str) -> DetectorWeights:
    source = str(place)
    if place is None:
        needed("transformers", "text", "The detector")
        source = f"https://huggingface.co/{model}"
        message = f"The weights of {name} could not be fetched from huggingface.co/{model} ({{}})."
        place = fetch_model_folder(model, cache_dir, [*_READ, *_BESIDE], message, remedy)
    missing = next((file for file in (*_READ, WEIGHTS) if not (place / file).is_file()), None)
    if missing is not None:
        pickled = next(iter(sorted(place.glob("*.bin"))), None) if missing == WEIGHTS else None
        told = f"; {pickled.name} is pickled, which is never read" if pickled else ""
        raise WeightsError(
            f"{place} has no {missing}{told}.",
            "Use a folder of such a model as transformers saves it: "
            f"{CONFIG}, {PREPROCESSOR}, {WEIGHTS}, and a tokenizer if it reads text.",
        )
    return DetectorWeights(place, source, licence_of(place))


def _names_beside(path: Path) -> tuple[str, ...] | None:
    """The labels that a JSON file beside a state dict names, in the order of its classes behind the background."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return None
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        labels = said["labels"] if isinstance(said, dict) else None
    except (OSError, ValueError, KeyError):
        labels = None
    names = tuple(str(each) for each in labels) if isinstance(labels, list) else ()
    if not all(names) or len(set(names)) < max(len(names), 1):
        raise WeightsError(f"{beside} does not name the classes.", 'Write {"labels": ["mouse", "rat"]} into it.')
    return names


def _remedy(name: str, folder: Path | None) -> str:
    if folder is None:
        return "Let this machine reach the network once, or name a copy with --weights."
    what = f"the folder {folder / name}" if name.startswith("hf/") else f"{folder / name}.pth"
    return f"Let a worker reach the network once, or copy them to {what}."
