"""How the extra params `detector` and `follower` name what finds objects and what follows drawn boxes.

Imports nothing: the web reads settings.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from ml_backend.wording import quoted

# Those that need no file.
BUILT_IN = ("motion", "people")
NONE = "none"
# What a project asks for whose extra param names no detector: tracks stay as they are until it is mended.
UNKNOWN = "unknown"
# How drawn boxes are followed unless a network is named.
AUTO = "auto"
# torchvision's that give boxes alone.
TORCHVISION = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)
# Learns from the boxes that people submit.
TRAIN = "train"
# What is trained where no weights of a detector are to be had: FCOS on MobileNetV2.
SMALL = "small"
# The network that `train` begins from where nothing else is named.
USUAL_BASE = "torchvision/ssdlite320_mobilenet_v3_large"
_HUB = re.compile(r"(?!.*\.\.)[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
_CUSTOM_SUFFIXES = (".py", ".onnx")
_KNOWN = "'motion', 'people', 'train', 'none', 'torchvision/<name>', 'hf/<name>', 'custom', 'custom:<file>'"
# The file that `custom` stands for, without its suffix.
CUSTOM_STEM = "detector"


def wrong_detector(value: object) -> str | None:
    """What is wrong with a value of the extra param; None when nothing is."""
    if not isinstance(value, str):
        return f"{quoted(value)} has the wrong type"
    family, _, name = value.partition("/")
    if value in (*BUILT_IN, NONE, TRAIN, "custom"):
        return None
    if is_trained(value):
        base = base_of(value)
        if base.startswith("torchvision/"):
            return wrong_detector(base)
        return f"{quoted(value)} cannot be trained; use {TRAIN!r}, or {TRAIN}:torchvision/<name>"
    if family == "torchvision":
        begun = [each for each in TORCHVISION if name and each.startswith(name)]
        near = begun or get_close_matches(name, TORCHVISION, 3, 0.5) or TORCHVISION
        return None if name in TORCHVISION else f"torchvision has no detector {quoted(name)}; use {' or '.join(near)}"
    if family == "hf":
        return None if _HUB.fullmatch(name) else f"{quoted(value)} is not hf/ with the name of a model on Hugging Face"
    if value.startswith("custom:"):
        file = value.removeprefix("custom:")
        return (
            None if is_file_name(file) else f"{quoted(file)} is not the name of a {' or '.join(_CUSTOM_SUFFIXES)} file"
        )
    return f"{quoted(value)} is not one of {_KNOWN}"


def wrong_follower(value: object) -> str | None:
    """What is wrong with a value of the extra param; None when nothing is."""
    if not isinstance(value, str):
        return f"{quoted(value)} has the wrong type"
    if value == AUTO or (value.startswith("hf/") and _HUB.fullmatch(value.removeprefix("hf/"))):
        return None
    return f"{quoted(value)} is neither {AUTO!r} nor hf/ with the name of a SAM 2 model on Hugging Face"


def is_trained(name: str) -> bool:
    """Whether it is to learn from people's boxes."""
    return name == TRAIN or name.startswith(f"{TRAIN}:")


def base_of(name: str) -> str:
    """The network from which a detector that learns begins."""
    return name.partition(":")[2] or USUAL_BASE


def is_file_name(name: str) -> bool:
    """Whether it names a file of a kind that can be a detector, in the folder itself."""
    return name.endswith(_CUSTOM_SUFFIXES) and name[0] not in "._" and not set(name) & set("/\\\0")
