"""The detector that a name stands for: `motion`, `people`, `torchvision/<name>`, `hf/<name>`, `custom`, `custom:<file>`.

torch is loaded only for a network of torchvision or transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_backend.errors import CustomModelError
from ml_backend.objects.custom_detector import custom_detector_file, load_custom_detector
from ml_backend.objects.detector import Detector
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.network_detector import NetworkDetector
from ml_backend.objects.people import PeopleDetector

_BUILT_IN: dict[str, type[MotionDetector] | type[PeopleDetector]] = {
    "motion": MotionDetector,
    "people": PeopleDetector,
}


@dataclass(frozen=True)
class Places:
    """Where detectors are found and run. `weights`: a folder in which a network's weights lie under its name. `files`: the folder of
    researchers' files. `cache`: what is fetched is kept there. `device`: `auto`, `cpu` or `cuda`. `accepted`: a license that
    the admin has read. `given`: the weights of the one network that is meant, wherever they lie."""

    weights: Path | None = None
    files: Path = Path()
    cache: Path | None = None
    device: str = "auto"
    accepted: str | None = None
    given: Path | None = None


def is_network(name: str) -> bool:
    """Whether it is a network of torchvision or transformers."""
    return name.startswith(("torchvision/", "hf/"))


def is_custom(name: str) -> bool:
    """Whether it is a researcher's file."""
    return name == "custom" or name.startswith("custom:")


def make_detector(name: str, places: Places, words: Sequence[str] = (), least: float | None = None) -> Detector:
    """A detector for one video. `words`: what a network that reads text looks for. `least`: the score below which a network's boxes
    are not wanted; None is what is usual for it.

    Raises WeightsError, SettingsError for a device that is not there, and CustomModelError.
    """
    if is_custom(name):
        return load_custom_detector(custom_detector_file(places.files, name))
    if is_network(name):
        from ml_backend.features.detection import load_detection

        network = load_detection(
            name,
            places.device,
            places.weights,
            places.cache,
            places.accepted,
            places.given,
            tuple(words),
            stamp(name, places),
        )
        return NetworkDetector(network, least)
    if name not in _BUILT_IN:
        raise CustomModelError(
            "The extra param 'detector' names no detector.", "Correct it; tracks stay as they are until then."
        )
    return _BUILT_IN[name]()


def stamp(name: str, places: Places) -> str:
    """The same for as long as the file, or what was copied into the folder of weights, is the same; empty for what has no file."""
    if is_custom(name):
        file = places.files / name.partition(":")[2] if ":" in name else places.files / "detector.py"
        files = [file, file.with_suffix(".onnx"), file.with_suffix(".json")]
    elif is_network(name) and places.weights is not None:
        from ml_backend.features.detection_weights import local_weights

        found = local_weights(name, places.weights)
        if found is None:
            return ""
        files = sorted(found.iterdir()) if found.is_dir() else [found, found.with_suffix(".json")]
    else:
        return ""
    return " ".join(map(_of_file, files))


def _of_file(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:
        return "-"
    return f"{found.st_size}.{found.st_mtime_ns}"
