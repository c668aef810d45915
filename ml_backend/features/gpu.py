"""Running a network on a GPU that any number of workers share.

A worker has its network on the GPU, and any memory there, only while a batch runs, and one worker runs a batch at a time.
So there is never a second copy, nothing is held by a worker that is idle or decodes, and each worker's decoder feeds the
GPU in turn. It costs copying the weights for each batch, which is little beside decoding the frames that fill one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml_backend.errors import DeviceFull
from ml_backend.features.blocks import EMBEDDED
from ml_backend.processes import locked
from ml_backend.video.view import PICTURE

BATCH = 128

Embed = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]


def gpu_name() -> str:
    """The same for the same GPU in every process, container and machine."""
    return str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)


def gpu_lock(cache_dir: Path | None) -> Path:
    """The file that is locked while the GPU works. In the folder that all workers share, by the GPU's own name:
    containers on one machine share it, too."""
    return (cache_dir or Path(tempfile.gettempdir())) / f".{gpu_name()}.lock"


def on_device(model: nn.Module, device: str, lock: Path, batch: int = BATCH, side: int = PICTURE) -> Embed:
    """A `Backbone.embed` that runs `model`, a network that gives the blocks of `EMBEDDED`, in half precision on `device`.

    `lock`: a file, the same one for all processes that share the device. `side`: of the pictures, in
    pixels. `batch`: how many run together; halved, and
    kept so, whenever the device has not enough memory left for them. `embed` raises DeviceFull when one is too many.
    """
    own_memory = torch.device(device).type != "cpu"
    kept = {name: _ready_to_copy(tensor, own_memory) for name, tensor in model.state_dict().items()}
    held = torch.zeros(batch, side, side, 3, dtype=torch.uint8, pin_memory=own_memory)
    most = batch

    def run(weights: Mapping[str, Tensor], pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        # Always as many, since a batch of another size may choose other kernels, which round differently.
        held[: len(pictures)] = torch.from_numpy(pictures)
        with torch.autocast(torch.device(device).type, torch.float16):
            outputs = torch.func.functional_call(model, dict(weights), (held[:most].to(device, non_blocking=True),))
        return [output[: len(pictures)].float().cpu().numpy() for output in outputs]

    def run_if_it_fits(weights: Mapping[str, Tensor], pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]] | None:
        try:
            return run(weights, pictures)
        except torch.OutOfMemoryError:
            pass
        # Only here, where the error no longer holds on to what had been allocated before it.
        _give_back(own_memory)
        return None

    def embed(pictures: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        nonlocal most
        parts: list[list[NDArray[np.float32]]] = []
        first = 0
        with locked(lock), torch.inference_mode():
            try:
                weights = {name: tensor.to(device, non_blocking=True) for name, tensor in kept.items()}
                while first < len(pictures):
                    rows = run_if_it_fits(weights, pictures[first : first + most])
                    if rows is not None:
                        parts.append(rows)
                        first += len(rows[0])
                    elif most > 1:
                        most //= 2
                    else:
                        raise _full(device)
            except torch.OutOfMemoryError:  # of the weights themselves
                raise _full(device) from None
            finally:
                weights = {}
                _give_back(own_memory)
        return {name: np.concatenate(rows) for name, rows in zip(EMBEDDED, zip(*parts, strict=True), strict=True)}

    return embed


def _ready_to_copy(tensor: Tensor, own_memory: bool) -> Tensor:
    if tensor.dim() == 4:
        tensor = tensor.to(memory_format=torch.channels_last)
    return tensor.pin_memory() if own_memory else tensor


def _give_back(own_memory: bool) -> None:
    if own_memory:
        torch.cuda.empty_cache()


def _full(device: str) -> DeviceFull:
    return DeviceFull(
        f"The memory of {device} is full: not even one picture can be embedded there.",
        "It is retried automatically. Stop other programs that use the GPU, or set DEVICE to cpu.",
    )
