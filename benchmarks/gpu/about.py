"""What the check runs on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from benchmarks.gpu.budget import Note, Setup
from ml_backend.features.backbones import device_for
from ml_backend.features.processor import processor_features

_PACKAGES = ("torch", "torchvision", "timm", "av", "openvino", "torchcodec", "nvidia-ml-py", "triton", "numpy")


def about(setup: Setup, note: Note) -> None:
    """The device that is used; card, driver, processor and versions. Raises SettingsError for a device that is not there."""
    device = device_for(setup.device)
    note(device=device)
    note(python=platform.python_version(), cores=os.cpu_count(), usable_cores=len(os.sched_getaffinity(0)))
    note(packages={name: _version(name) for name in _PACKAGES})
    note(processor_features=processor_features())
    if device == "cpu":
        note(card=None)
        return
    import torch

    card = torch.cuda.get_device_properties(0)
    note(card=card.name, card_mib=card.total_memory // 2**20, card_capability=f"{card.major}.{card.minor}")
    note(cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    note(driver=subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not there"
