"""What the numbers of a picture mean as colors, and HDR as ordinary screens show it: a table from the file's colors to BT.709."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

Transfer = Literal["HLG", "PQ"]
# As in ITU-T H.273.
_TRANSFERS: dict[int, Transfer] = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2
_HD = 720


def transfer(color_trc: int) -> Transfer | None:
    """How an HDR video writes light, from its `color_trc`; None for an ordinary one."""
    return _TRANSFERS.get(int(color_trc))


def matrix(frame: VideoFrame) -> Colorspace | None:
    """What turns a frame into RGB where its file does not say so, as browsers take it: BT.709 from 720 lines on. None leaves
    it to what the file says, and to BT.601 below."""
    unsaid = int(frame.colorspace) == _UNSPECIFIED and frame.format.name.startswith(("yuv", "nv", "p0"))
    return Colorspace.ITU709 if unsaid and frame.height >= _HD else None


_SIDE = 33
_WHITE = 203.0
_PEAK = 1000.0
_LINEAR = 0.3
_LUMA = np.array([0.2627, 0.6780, 0.0593])
# BT.2087: from the primaries of BT.2020 to those of BT.709, on linear light.
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


@contextmanager
def tone_table(kind: Transfer) -> Iterator[Path]:
    """The table as a `.cube` file, for FFmpeg's `lut3d`, while the `with` block lasts."""
    level = np.linspace(0, 1, _SIDE)
    # Red changes fastest.
    blue, green, red = np.meshgrid(level, level, level, indexing="ij")
    colors = tone_mapped(np.stack([red, green, blue], axis=-1).reshape(-1, 3), kind)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tone.cube"
        with path.open("w") as file:
            file.write(f"LUT_3D_SIZE {_SIDE}\n")
            np.savetxt(file, colors, fmt="%.6f")
        yield path


def tone_mapped(signal: NDArray[np.float64], kind: Transfer) -> NDArray[np.float64]:
    """(n, 3) RGB signals of BT.2020, 0..1, as (n, 3) RGB signals of BT.709 as screens show them, 0..1."""
    light = (_light_of_hlg(signal) if kind == "HLG" else _light_of_pq(signal)) / _WHITE
    brightest = light.max(axis=1, keepdims=True)
    factor = _compressed(brightest, _PEAK / _WHITE) / np.maximum(brightest, 1e-9)
    linear = np.clip(light * factor @ _TO_709.T, 0, 1)
    return np.asarray(linear ** (1 / 2.4), np.float64)


def _light_of_hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nits, on a screen of 1000."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ _LUMA
    return np.asarray(_PEAK * scene * np.maximum(luminance, 1e-9)[:, None] ** 0.2, np.float64)


def _light_of_pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nits."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1), np.float64)


def _compressed(light: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Linear below `_LINEAR`, then a hyperbola that goes on with the same slope and reaches 1 at `peak`."""
    j = _LINEAR
    # f(x) = s (x + a) / (x + b) with f(j) = j, f'(j) = 1, f(peak) = 1.
    a = -(j**2) * (peak - 1) / (j**2 - 2 * j + peak)
    b = (j**2 - 2 * j * peak + peak) / (peak - 1)
    scale = (b**2 + 2 * b * j + j**2) / (b - a)
    return np.where(light <= j, light, scale * (light + a) / (light + b))
