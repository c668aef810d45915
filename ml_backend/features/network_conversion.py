"""Networks as OpenVINO runs them: converted once per folder, ahead of the first job where there is time.

Converting takes torch, ten seconds and most of a gigabyte; reading what was converted takes a tenth of a second.
"""

from __future__ import annotations

import logging
import os
import uuid
import warnings
from pathlib import Path

from ml_backend.features.silent_openvino import ov
from ml_backend.features.weights import Weights, file_name
from ml_backend.processes import locked
from ml_backend.video.view import PICTURE

log = logging.getLogger(__name__)

CPU_BATCH = 4


def converted(name: str, weights: Weights, cache_dir: Path | None, side: int = PICTURE) -> ov.Model:
    """The network `name` with these weights, (4, side, side, 3) uint8 in: from `cache_dir`, or converted and put there.

    Processes that share the folder convert it once between them; one that cannot be read is converted again. Raises
    WeightsError.
    """
    if cache_dir is None:
        return _convert(name, weights, side)
    path = converted_path(cache_dir, name, weights, side)
    if (known := _read(path)) is not None:
        return known
    with locked(path.with_suffix(".lock")):
        # Another process may have converted it meanwhile.
        if (known := _read(path)) is not None:
            return known
        model = _convert(name, weights, side)
        _keep(model, path)
        return model


def converted_path(cache_dir: Path, name: str, weights: Weights, side: int = PICTURE) -> Path:
    """Where it is kept once it is converted."""
    size = "" if side == PICTURE else f"-{side}"
    return cache_dir / f"{file_name(name, weights.digest)}{size}.xml"


def _read(path: Path) -> ov.Model | None:
    if not path.exists():
        return None
    try:
        return ov.Core().read_model(path)
    except RuntimeError:
        log.warning("%s cannot be read, and is converted again.", path)
        return None


def _convert(name: str, weights: Weights, side: int) -> ov.Model:
    import torch

    from ml_backend.features.networks import build
    from ml_backend.features.trunks import Taps

    taps = Taps.of(name, build(name, weights, side))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is what torch is about to replace, and what OpenVINO reads best
        # As many as will run: some networks keep the number of pictures that they were traced with.
        example = torch.zeros(CPU_BATCH, side, side, 3, dtype=torch.uint8)
        # Tracing a second time to compare takes as long again, and nothing here depends on what a picture shows.
        traced = torch.jit.trace(taps, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=example)
    model.reshape([CPU_BATCH, side, side, 3])
    return model


def _keep(model: ov.Model, path: Path) -> None:
    part = path.with_name(f"{uuid.uuid4().hex}.part.xml")
    try:
        ov.save_model(model, part, compress_to_fp16=False)
        # The weights first: a reader that finds the .xml finds them too.
        os.replace(part.with_suffix(".bin"), path.with_suffix(".bin"))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        part.with_suffix(".bin").unlink(missing_ok=True)
