"""What is copied, and what could be used instead: torch.compile for the network, NVDEC for decoding."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu.budget import Note, Report, Setup, one_line
from benchmarks.gpu.material import MOBILENET, NETWORKS, VIT_S, clip_of, network_of, noise
from benchmarks.throughput.limits import decode_limit
from ml_backend.features.gpu import BATCH, on_device
from ml_backend.video.view import PICTURE

_NOT_THERE = "not there"
_REPEATS = 5


def transfers(setup: Setup, note: Note) -> None:
    """What each turn on the GPU copies there and back, and how long that takes beside the whole turn."""
    # A processor is slow in the GPU's half precision.
    batch = BATCH if setup.on_gpu else 2
    pictures = torch.from_numpy(noise(batch, PICTURE))
    note(batch=batch, pictures_mib=_mib([pictures]))
    pinned = pictures.pin_memory() if setup.on_gpu else pictures
    for name, tensor in (("pageable", pictures), ("pinned", pinned)):
        note(**{f"pictures_{name}_ms": _ms(setup, partial(_there, [tensor], setup))})
    for name in NETWORKS:
        _, network = network_of(name, setup)
        kept = [each.pin_memory() if setup.on_gpu else each for each in network.state_dict().values()]
        embed = on_device(network, setup.device, setup.cache / ".check.lock", batch)
        rows = embed(pictures.numpy())
        back = [torch.from_numpy(each).to(setup.device) for each in rows.values()]
        figures = {
            "weights_mib": _mib(kept),
            "weights_ms": _ms(setup, partial(_there, kept, setup)),
            "rows_mib": _mib(back),
            "rows_ms": _ms(setup, partial(_back, back)),
            "turn_ms": _ms(setup, partial(embed, pictures.numpy())),
        }
        note(**{name: figures})


def _there(tensors: Iterable[Tensor], setup: Setup) -> list[Tensor]:
    return [each.to(setup.device, non_blocking=True, copy=True) for each in tensors]


def _back(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [each.to("cpu", copy=True) for each in tensors]


def _mib(tensors: Iterable[Tensor]) -> float:
    return round(sum(each.nbytes for each in tensors) / 2**20, 2)


def _ms(setup: Setup, work: Callable[[], object]) -> float:
    """Median, until the device is done."""
    took = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        work()
        if setup.on_gpu:
            torch.cuda.synchronize()
        took.append(time.perf_counter() - began)
    return round(1000 * median(took[1:]), 3)


def compiled(setup: Setup, note: Note) -> None:
    """The network as it is and by torch.compile, in half precision on the device, its weights there already."""
    for name in (MOBILENET, VIT_S):
        _, network = network_of(name, setup)
        note(**{name: _compiled(network.to(setup.device).to(memory_format=torch.channels_last), setup)})


def _compiled(network: nn.Module, setup: Setup) -> Report:
    batch = BATCH if setup.on_gpu else 4
    pictures = torch.from_numpy(noise(batch, PICTURE)).to(setup.device)
    number = torch.float16 if setup.on_gpu else torch.bfloat16

    def run(module: Callable[[Tensor], tuple[Tensor, ...]]) -> Tensor:
        with torch.inference_mode(), torch.autocast(setup.device, number):
            return module(pictures)[0].float()

    figures: Report = {
        "batch": batch,
        "ours_pictures_per_second": round(1000 * batch / _ms(setup, lambda: run(network))),
    }
    began = time.perf_counter()
    try:
        faster = torch.compile(network)
        rows = run(faster)
    except Exception as error:  # a compiler that is not there raises one of many kinds
        return figures | {"compiled": f"{_NOT_THERE} ({one_line(error)})"}
    cosine = nn.functional.cosine_similarity(rows, run(network)).min()
    return figures | {
        "compile_seconds": round(time.perf_counter() - began, 1),
        "compiled_pictures_per_second": round(1000 * batch / _ms(setup, lambda: run(faster))),
        "worst_cosine": round(float(cosine), 5),
    }


def decoders(setup: Setup, note: Note) -> None:
    """Frames a second to the network's square: ours on all cores, torchcodec, and FFmpeg with NVDEC."""
    path = clip_of(setup)
    note(ours=round(decode_limit(path), 1))
    for name, work in (("torchcodec", _torchcodec), ("nvdec_by_pyav", _nvdec)):
        began = time.perf_counter()
        try:
            frames = work(path, setup)
        except Exception as error:  # of a library or driver that is not there, or cannot be loaded
            note(**{name: f"{_NOT_THERE} ({one_line(error)})"})
        else:
            note(**{name: round(frames / (time.perf_counter() - began), 1)})


def _torchcodec(path: Path, setup: Setup) -> int:
    decoder: Any = importlib.import_module("torchcodec.decoders").VideoDecoder(str(path), device=setup.device)
    done, total = 0, len(decoder)
    while done < total:
        frames = decoder.get_frames_in_range(done, min(done + 64, total)).data
        small = nn.functional.interpolate(frames.float(), (PICTURE, PICTURE), mode="bilinear")
        done += len(small)
    if setup.on_gpu:
        torch.cuda.synchronize()
    return done


def _nvdec(path: Path, setup: Setup) -> int:
    """Decoded on the GPU, brought back, and scaled on the processor, as a drop-in for our decoder would be."""
    import av
    from av.codec.hwaccel import HWAccel
    from av.video.reformatter import VideoReformatter

    scaler, done = VideoReformatter(), 0
    with av.open(str(path), hwaccel=HWAccel("cuda", allow_software_fallback=False)) as container:
        for frame in container.decode(video=0):
            np.asarray(scaler.reformat(frame, PICTURE, PICTURE, "rgb24").to_ndarray())
            done += 1
    return done
