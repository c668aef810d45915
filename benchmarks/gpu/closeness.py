"""Whether a GPU sees what a processor sees, and goes on when its memory is too small for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.gpu.budget import Note, Report, Setup
from benchmarks.gpu.material import MOBILENET, NETWORKS, backbone_of, clip_of, network_of, noise, shorts_of, shown
from benchmarks.gpu.watch import held_mib
from ml_backend.errors import DeviceFull
from ml_backend.features.blocks import EMBEDDED
from ml_backend.features.gpu import BATCH, Embed, on_device

_LOCK = ".check.lock"


def closeness(setup: Setup, note: Note) -> None:
    """Cosine of what the processor's runtime and the GPU's make of the same pictures. Without a GPU its code runs on the processor."""
    note(compared=f"OpenVINO on the processor with the GPU's code on {setup.device}")
    for name in NETWORKS:
        ours = backbone_of(name, setup, "cpu")
        pictures = shown([clip_of(setup), *shorts_of(setup)], setup.scaled(256, 8), ours.view.side)
        if setup.on_gpu:
            embed: Embed = backbone_of(name, setup).embed
        else:
            embed = on_device(network_of(name, setup)[1], "cpu", setup.cache / _LOCK, 4, ours.view.side)
        note(**{name: {"pictures": len(pictures), **_cosines(ours.embed(pictures), embed(pictures))}})


def _cosines(one: Any, other: Any) -> Report:
    found: Report = {}
    for block in EMBEDDED:
        cosine = _cosine(one[block], other[block])
        found[block] = {"worst": round(float(cosine.min()), 5), "mean": round(float(cosine.mean()), 5)}
    return found


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(1) / np.maximum(lengths, 1e-12), np.float32)


def halving(setup: Setup, note: Note) -> None:
    """A batch that does not fit, then memory in which nothing fits.

    On a GPU this process's share of its memory is set lower. Without one, whatever runs more than so many pictures is made to raise
    what torch raises.
    """
    # A processor is slow in the GPU's half precision.
    batch = BATCH if setup.on_gpu else 8
    _, network = network_of(MOBILENET, setup)
    seen: list[int] = []
    network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    pictures = noise(2 * batch, 160)
    whole = _on(network, setup, batch)(pictures)
    note(whole_batches=list(seen), whole=held_mib(), provoked=_HOW[setup.on_gpu])
    for which, part in (("tight", 0.4), ("none", 0.0)):
        seen.clear()
        with _room(network, setup, batch, part):
            embed = _on(network, setup, batch)
            try:
                rows = embed(pictures)
            except DeviceFull as error:
                note(**{which: {"batches": list(seen), "said": str(error)}})
                continue
        worst = float(_cosine(rows["appearance"], whole["appearance"]).min())
        note(**{which: {"batches": list(seen), "worst_cosine_to_whole": round(worst, 5), "held": held_mib()}})


_HOW = {
    True: "torch.cuda.set_per_process_memory_fraction",
    False: "by hand: this is no GPU, and the network raises what torch would",
}


def _on(network: nn.Module, setup: Setup, batch: int) -> Embed:
    return on_device(network, setup.device, setup.cache / _LOCK, batch)


@contextmanager
def _room(network: nn.Module, setup: Setup, batch: int, part: float) -> Iterator[None]:
    """Memory for this part of what a batch takes."""
    if setup.on_gpu:
        most = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.empty_cache()
        held, peak = torch.cuda.memory_reserved(), torch.cuda.max_memory_reserved()
        torch.cuda.set_per_process_memory_fraction((held + part * (peak - held)) / most)
        torch.cuda.reset_peak_memory_stats()
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    undo = network.register_forward_pre_hook(_full_beyond(part * batch))
    try:
        yield
    finally:
        undo.remove()


def _full_beyond(pictures: float) -> Callable[[nn.Module, Any], None]:
    def check(module: nn.Module, given: Any) -> None:
        if len(given[0]) > pictures:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    return check
