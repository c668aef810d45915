"""Networks that find objects in pictures: torchvision's and those of transformers, on CPU or GPU.

torch runs them on the CPU too: a picture has no fixed size here, and what a network finds no fixed number.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ml_backend.errors import DeviceFull
from ml_backend.features.backbones import device_for
from ml_backend.features.detection_weights import DetectorWeights, find_detector_weights
from ml_backend.processes import locked

Picture = NDArray[np.uint8]
# How many pictures run together: a processor gains nothing by more.
CPU_BATCH, GPU_BATCH = 4, 32
# Of the boxes in one picture the surest.
MOST = 300


class Found(NamedTuple):
    """What is in one picture. `boxes`: (n, 4) float32 left, top, right, bottom in its pixels. `scores`: (n,) float32 in 0..1.
    `classes`: (n,) int64, positions in `DetectionNetwork.names`."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def surest(self, least: float) -> Found:
        """Those with a score of at least `least`, `MOST` at most."""
        order = np.argsort(-self.scores, kind="stable")[:MOST]
        order = order[self.scores[order] >= least]
        return Found(self.boxes[order], self.scores[order], self.classes[order])


@dataclass(frozen=True, eq=False)
class Built:
    """A network with its weights. `run`: pictures of one size, (height, width, 3) uint8 RGB, the device, and a score below which
    nothing is wanted, to what is found in each. `side`: the longer side of pictures that it likes, in pixels. `usual`: what is
    less sure is noise mostly. `half`: whether it may calculate in half precision on a GPU."""

    module: nn.Module
    names: tuple[str, ...]
    side: int
    usual: float
    run: Callable[[Sequence[Picture], str, float], list[Found]] = field(repr=False)
    half: bool = True


@dataclass(frozen=True, eq=False)
class DetectionNetwork:
    """A network ready to run. `find`: any number of pictures of one size, and a score below which nothing is wanted, to what is
    found in each. `batch`: how many it takes best at a time. The rest as in `Built`."""

    names: tuple[str, ...]
    side: int
    usual: float
    batch: int
    find: Callable[[Sequence[Picture], float], list[Found]] = field(repr=False)


@lru_cache(maxsize=2)
def load_detection(
    name: str,
    device: str = "auto",
    folder: Path | None = None,
    cache_dir: Path | None = None,
    accepted: str | None = None,
    given: Path | None = None,
    words: tuple[str, ...] = (),
    stamp: str = "",
) -> DetectionNetwork:
    """torchvision's detector `torchvision/<name>` or transformers' `hf/<name>`, loaded once per process.

    `words`: what a network that reads text looks for. `stamp`: another one when what lies in `folder` has changed. The rest as in
    `find_detector_weights` and `load_backbone`. Raises WeightsError, and SettingsError for a device that is not there.
    """
    where = device_for(device)
    weights = find_detector_weights(name, folder, cache_dir, accepted, given)
    return on_device(_built(name, weights, words), where, cache_dir)


def _built(name: str, weights: DetectorWeights, words: tuple[str, ...]) -> Built:
    if name.startswith("hf/"):
        from ml_backend.features.transformers_detection import build_transformers

        return build_transformers(name, weights, words)
    from ml_backend.features.torchvision_detection import build_torchvision

    return build_torchvision(name, weights)


def on_device(built: Built, device: str, cache_dir: Path | None, batch: int | None = None) -> DetectionNetwork:
    """The network as it runs there. As with backbones, a worker has it on the GPU only while a batch runs, and one worker at a
    time; batches are halved, and kept so, whenever there is not enough memory for one. `find` raises DeviceFull when one picture
    is too many."""
    own_memory = device != "cpu"
    most = batch or (GPU_BATCH if own_memory else CPU_BATCH)
    wanted = most

    def run_if_it_fits(pictures: Sequence[Picture], least: float) -> list[Found] | None:
        half = torch.autocast(device, torch.float16) if own_memory and built.half else nullcontext()
        try:
            with half:
                return built.run(pictures, device, least)
        except torch.OutOfMemoryError:
            pass
        # Only here, where the error no longer holds on to what had been allocated before it.
        if own_memory:
            torch.cuda.empty_cache()
        return None

    def find(pictures: Sequence[Picture], least: float) -> list[Found]:
        nonlocal most
        found: list[Found] = []
        with ready_on(built.module, device, cache_dir), torch.inference_mode():
            while len(found) < len(pictures):
                part = run_if_it_fits(pictures[len(found) : len(found) + most], least)
                if part is not None:
                    found += [each.surest(least) for each in part]
                elif most > 1:
                    most //= 2
                else:
                    raise _full(device)
        return found

    return DetectionNetwork(built.names, built.side, built.usual, wanted, find)


@contextmanager
def ready_on(module: nn.Module, device: str, cache_dir: Path | None) -> Iterator[None]:
    """Has the module on the device while a batch runs. Raises DeviceFull where the GPU's memory is not enough."""
    if device == "cpu":
        # One thread of two leaves the other to the decoder.
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
        try:
            yield
        finally:
            torch.set_num_threads(before)
        return
    from ml_backend.features.gpu import gpu_lock

    with locked(gpu_lock(cache_dir or Path(tempfile.gettempdir()))):
        try:
            module.to(device)
            yield
        except torch.OutOfMemoryError:  # of the weights themselves
            raise _full(device) from None
        finally:
            module.to("cpu")
            torch.cuda.empty_cache()


def _full(device: str) -> DeviceFull:
    return DeviceFull(
        f"The memory of {device} is full: the detector has no room for one picture.",
        "It is retried automatically. Stop other programs that use the GPU, or set DEVICE to cpu.",
    )
