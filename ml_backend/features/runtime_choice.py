"""Which numbers a network calculates in on this processor: by default the fastest in which its embeddings stay what they are,
measured once per folder and processor, and remembered beside the converted network."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.features.network_conversion import CPU_BATCH
from ml_backend.features.processor import processor_key
from ml_backend.features.silent_openvino import ov
from ml_backend.processes import locked

log = logging.getLogger(__name__)

RUNTIMES = ("auto", "f32", "bf16")
EXACT, HALF = "f32", "bf16"
# From this cosine on, of the worst picture, embeddings in two formats are the same for a head: benchmarks.throughput.mixing.
CLOSE = 0.95
# Exact numbers are kept unless the others are so many times as fast.
_WORTH = 1.1
_ROUNDS, _SECONDS = 12, 1.5
# The finest and the coarsest shapes in the pictures that are compared, in cells a side.
_SCALES = (4, 10, 40, 160)


@dataclass(frozen=True)
class Measured:
    """`rates`: by number format, pictures a second. `cosine`: the worst of the other format's embeddings with the exact ones.
    `version`: of OpenVINO."""

    rates: dict[str, float]
    cosine: float
    version: str

    @property
    def fastest(self) -> str:
        """Of the formats whose embeddings are close enough."""
        worth = self.cosine >= CLOSE and self.rates[HALF] >= _WORTH * self.rates[EXACT]
        return HALF if worth else EXACT

    @property
    def told(self) -> str:
        """One sentence for people."""
        return (
            f"The processor calculates in {self.fastest}: measured here, {EXACT} embeds {self.rates[EXACT]:.0f} pictures per second "
            f"and {HALF} {self.rates[HALF]:.0f}, with embeddings that are alike by a cosine of {self.cosine:.4f} "
            f"({CLOSE} is enough)."
        )


def compiled(model: ov.Model, numbers: str) -> ov.CompiledModel:
    """The network ready to run in this format, or in f32 where the processor has no instructions for it."""
    # One thread of two leaves the other to the decoder.
    options = {
        "INFERENCE_PRECISION_HINT": numbers,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": max(1, (os.cpu_count() or 1) // 2),
    }
    return ov.Core().compile_model(model, "CPU", options)


def numbers_of(network: ov.CompiledModel) -> str:
    """The format that it does calculate in."""
    return str(network.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def chosen(model: ov.Model, wanted: str, beside: Path | None) -> tuple[ov.CompiledModel, str]:
    """The network in the `wanted` one of RUNTIMES, and a sentence that says which format it is in and why.

    `beside`: where it is converted; what is measured is remembered there, so that it is measured once. With None, nothing is
    measured: `auto` is then bf16 where the processor has it. Raises SettingsError.
    """
    if wanted not in RUNTIMES:
        raise SettingsError(
            f"EMBEDDING_RUNTIME is {wanted!r}.", f"Set it to {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}."
        )
    if wanted == EXACT:
        return compiled(model, EXACT), f"The processor calculates in {EXACT}, as EMBEDDING_RUNTIME says."
    half = compiled(model, HALF)
    numbers = numbers_of(half)
    if numbers == EXACT:
        asked = f", although EMBEDDING_RUNTIME is {wanted}" if wanted != "auto" else ""
        return half, f"The processor calculates in {EXACT}{asked}, since it has no instructions for {HALF}."
    if wanted == HALF or beside is None:
        why = "as EMBEDDING_RUNTIME says" if wanted == HALF else "since it has instructions for it"
        return half, f"The processor calculates in {numbers}, {why}."
    measured, exact = _remembered(model, half, beside)
    if measured.fastest == HALF:
        return half, measured.told
    return exact or compiled(model, EXACT), measured.told


def _remembered(model: ov.Model, half: ov.CompiledModel, beside: Path) -> tuple[Measured, ov.CompiledModel | None]:
    """What was measured on such a processor, and the exact network if it had to be measured now."""
    path = beside.with_name(f"{beside.stem}.{processor_key()}.json")
    if (known := _read(path)) is not None:
        return known, None
    # One at a time, or they would measure each other.
    with locked(path.with_suffix(".lock")):
        if (known := _read(path)) is not None:
            return known, None
        exact = compiled(model, EXACT)
        measured = measure(exact, half)
        log.info("%s", measured.told)
        part = path.with_name(f"{uuid.uuid4().hex}.part.json")
        try:
            part.write_text(json.dumps(asdict(measured)))
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        return measured, exact


def _read(path: Path) -> Measured | None:
    """None of what is not there, damaged, or was measured with another version of OpenVINO."""
    try:
        found = json.loads(path.read_text())
        known = Measured(
            {each: float(found["rates"][each]) for each in (EXACT, HALF)}, float(found["cosine"]), found["version"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if known.version == ov.get_version() else None


def measure(exact: ov.CompiledModel, half: ov.CompiledModel) -> Measured:
    """Runs both in turn, for a second or two."""
    requests = {EXACT: exact.create_infer_request(), HALF: half.create_infer_request()}
    side = exact.inputs[0].shape[1]
    batches = np.split(_pictures(2 * CPU_BATCH, side), 2)
    seconds: dict[str, list[float]] = {name: [] for name in requests}
    worst, began = 1.0, time.monotonic()
    for turn in range(_ROUNDS):
        # The first two rounds warm up and compare.
        if turn > 2 and time.monotonic() - began > _SECONDS:
            break
        rows = {}
        for name, request in requests.items():
            started = time.perf_counter()
            request.infer([batches[turn % 2]])
            seconds[name].append(time.perf_counter() - started)
            rows[name] = [np.array(request.get_output_tensor(at).data) for at in range(len(exact.outputs))]
        if turn < len(batches):
            worst = min(worst, *(_cosine(a, b) for a, b in zip(rows[EXACT], rows[HALF], strict=True)))
    # What else the machine does only ever makes it slower.
    rates = {name: CPU_BATCH / min(taken) for name, taken in seconds.items()}
    return Measured(rates, worst, ov.get_version())


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The worst of the rows."""
    lengths = np.maximum(np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1), 1e-12)
    return float((np.einsum("nd,nd->n", one, other) / lengths).min())


def _pictures(count: int, side: int) -> NDArray[np.uint8]:
    """(count, side, side, 3), always the same: colored shapes of all sizes, some with hard edges."""
    random = np.random.default_rng(0)
    resize = partial(cv2.resize, dsize=(side, side), interpolation=cv2.INTER_CUBIC)
    made = []
    for number in range(count):
        layers = [
            resize(random.standard_normal((cells, cells, 3)).astype(np.float32)) / (at + 1)
            for at, cells in enumerate(_SCALES)
        ]
        picture = 110 + 60 * np.sum(layers, axis=0)
        middle, radius = random.integers(side // 4, 3 * side // 4, 2), side // (3 + number % 4)
        cv2.circle(picture, [int(each) for each in middle], radius, random.integers(0, 256, 3).tolist(), -1)
        made.append(np.clip(picture, 0, 255).astype(np.uint8))
    return np.stack(made)
