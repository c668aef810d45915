"""Running a network: OpenVINO on the CPU, torch on the GPU. Torch is loaded only to convert a network or for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import EMBEDDED
from ml_backend.features.network_conversion import CPU_BATCH, converted, converted_path
from ml_backend.features.runtime_choice import chosen, numbers_of
from ml_backend.features.weights import Weights
from ml_backend.video.view import PICTURE

Embed = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Running:
    """A network ready to run: its `embed`, the `batch` it likes, the name of the `numbers` that it calculates in, and a sentence that
    says why in these."""

    embed: Embed
    numbers: str
    batch: int
    why: str


def on_cpu(name: str, weights: Weights, cache_dir: Path | None, side: int = PICTURE, runtime: str = "auto") -> Running:
    """The network for pictures of this `side`, in the format that `runtime` wants (see RUNTIMES); converted once per `cache_dir`.

    Raises WeightsError and SettingsError.
    """
    model = converted(name, weights, cache_dir, side)
    network, why = chosen(model, runtime, cache_dir and converted_path(cache_dir, name, weights, side))
    request = network.create_infer_request()

    def embed(pictures: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        parts = []
        for first in range(0, len(pictures), CPU_BATCH):
            some = pictures[first : first + CPU_BATCH]
            # A batch of another size would compile other kernels, which round differently.
            padded = np.concatenate([some, np.zeros((CPU_BATCH - len(some), *some.shape[1:]), np.uint8)])
            request.infer([padded])
            parts.append([np.array(request.get_output_tensor(i).data[: len(some)]) for i in range(len(EMBEDDED))])
        return {name: np.concatenate(rows) for name, rows in zip(EMBEDDED, zip(*parts, strict=True), strict=True)}

    return Running(embed, numbers_of(network), CPU_BATCH, why)


def on_gpu(name: str, weights: Weights, cache_dir: Path | None, side: int = PICTURE) -> Running:
    """The network in half precision. Raises WeightsError."""
    from ml_backend.features.gpu import BATCH, gpu_lock, on_device
    from ml_backend.features.networks import build
    from ml_backend.features.trunks import Taps

    embed = on_device(Taps.of(name, build(name, weights, side)), "cuda", gpu_lock(cache_dir), side=side)
    return Running(embed, "cuda-fp16", BATCH, "A GPU calculates, in half precision.")
