"""Running a network: OpenVINO on the CPU, torch on the GPU. Torch is loaded only to convert a network or for a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import EMBEDDED
from ml_backend.features.network_conversion import CPU_BATCH, converted
from ml_backend.features.silent_openvino import ov
from ml_backend.features.weights import Weights
from ml_backend.video.view import PICTURE

Embed = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]


def on_cpu(name: str, weights: Weights, cache_dir: Path | None, side: int = PICTURE) -> tuple[Embed, str, int]:
    """The network's `embed` of pictures of this `side`, the name of its number format, and the batch it likes; converted once
    per `cache_dir`.

    Raises WeightsError.
    """
    model = converted(name, weights, cache_dir, side)
    # In half precision where the processor has instructions for it; one thread of two leaves the other to the decoder.
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": max(1, (os.cpu_count() or 1) // 2),
    }
    compiled = ov.Core().compile_model(model, "CPU", options)
    numbers = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    request = compiled.create_infer_request()

    def embed(pictures: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        parts = []
        for first in range(0, len(pictures), CPU_BATCH):
            some = pictures[first : first + CPU_BATCH]
            # A batch of another size would compile other kernels, which round differently.
            padded = np.concatenate([some, np.zeros((CPU_BATCH - len(some), *some.shape[1:]), np.uint8)])
            request.infer([padded])
            parts.append([np.array(request.get_output_tensor(i).data[: len(some)]) for i in range(len(EMBEDDED))])
        return {name: np.concatenate(rows) for name, rows in zip(EMBEDDED, zip(*parts, strict=True), strict=True)}

    return embed, numbers, CPU_BATCH


def on_gpu(name: str, weights: Weights, cache_dir: Path | None, side: int = PICTURE) -> tuple[Embed, str, int]:
    """The network's `embed` in half precision, the name of its number format, and the batch it likes.

    Raises WeightsError.
    """
    from ml_backend.features.gpu import BATCH, gpu_lock, on_device
    from ml_backend.features.networks import build
    from ml_backend.features.trunks import Taps

    return (
        on_device(Taps.of(name, build(name, weights, side)), "cuda", gpu_lock(cache_dir), side=side),
        "cuda-fp16",
        BATCH,
    )
