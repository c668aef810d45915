"""A GPU is shared by all workers of a machine: one at a time, nothing left behind, and batches as large as its memory allows.

Most of it runs here with the processor as the device, by the same code.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml_backend.errors import DeviceFull
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.blocks import EMBEDDED
from ml_backend.features.gpu import on_device
from ml_backend.features.networks import build
from ml_backend.features.trunks import Taps
from ml_backend.features.weights import Weights

HOLD = "import sys, fcntl; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); input()"


def pictures(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, 160, 160, 3), dtype=np.uint8)


class Small(nn.Module):
    """Gives each picture's mean and its square for every block; has no memory for more than `room` pictures together."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))
        self.room = room
        self.batches: list[int] = []

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        self.batches.append(len(pictures))
        if len(pictures) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        mean = pictures.float().mean((1, 2, 3)) * self.one
        return tuple(torch.stack([mean, mean**2], 1) for _ in EMBEDDED)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "weights" / ".device.lock"


def test_features_are_those_of_the_other_runtime(backbone: Backbone, lock: Path) -> None:
    network = Taps.of("mobilenet_v2", build("mobilenet_v2", Weights(None, "untrained")))
    rows, expected = on_device(network, "cpu", lock, batch=4)(pictures(6)), backbone.embed(pictures(6))
    assert tuple(rows) == EMBEDDED
    for name, found in rows.items():
        assert (found.dtype, found.shape) == (np.float32, expected[name].shape)
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected[name], axis=1)
        assert ((found * expected[name]).sum(1) / lengths).min() > 0.99, name


def test_a_picture_has_the_same_features_whatever_is_beside_it(lock: Path) -> None:
    network = Taps.of("squeezenet1_1", build("squeezenet1_1", Weights(None, "untrained")))
    embed = on_device(network, "cpu", lock, batch=4)
    together, alone = embed(pictures(6)), embed(pictures(6)[5:])
    for name, rows in alone.items():
        np.testing.assert_array_equal(rows[0], together[name][5])


@pytest.mark.parametrize(("room", "batches"), [(128, [128]), (64, [128, 64, 64]), (40, [128, 64, 32, 32, 32, 32])])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(lock: Path, room: int, batches: list[int]) -> None:
    network = Small(room)
    rows = on_device(network, "cpu", lock)(pictures(128))
    assert network.batches == batches
    np.testing.assert_allclose(rows["appearance"][:, 0], pictures(128).mean((1, 2, 3)), rtol=1e-5)


def test_the_batch_that_fits_is_kept(lock: Path) -> None:
    network = Small(32)
    embed = on_device(network, "cpu", lock)
    embed(pictures(5))
    network.batches.clear()
    embed(pictures(70))
    assert network.batches == [32, 32, 32]


def test_without_room_for_one_picture_it_says_what_to_do_and_lets_others_go_on(lock: Path) -> None:
    with pytest.raises(DeviceFull, match=r"memory of cpu is full.*Stop other programs") as raised:
        on_device(Small(0), "cpu", lock)(pictures(3))
    assert raised.value.passes
    assert len(on_device(Small(9), "cpu", lock, batch=8)(pictures(3))["early"]) == 3


def test_it_waits_while_another_process_has_the_device(lock: Path) -> None:
    lock.parent.mkdir()
    other = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        embed = on_device(Small(9), "cpu", lock, batch=8)
        waiting = threading.Thread(target=embed, args=[pictures(1)], daemon=True)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        other.kill()
        waiting.join(30)
        assert not waiting.is_alive()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_on_a_real_gpu_nothing_is_left_behind(tmp_path: Path) -> None:
    on_gpu, on_cpu = (load_backbone("mobilenet_v2", "none", device, tmp_path) for device in ("cuda", "cpu"))
    rows, expected = on_gpu.embed(pictures(200))["appearance"], on_cpu.embed(pictures(200))["appearance"]
    cosine = (rows * expected).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.99
    assert torch.cuda.memory_reserved() < 64 * 2**20  # what the libraries keep to work in
    assert on_gpu.key != on_cpu.key
