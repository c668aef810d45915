"""Which layers of a network become features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import Parameter

from ml_backend.features.trunks import Trunk, trunk_of


class Taps(nn.Module):
    """(b, s, s, 3) uint8 RGB to a tuple of float32 rows in the order of `EMBEDDED`.

    `appearance` is the network's summary, `middle` and `early` the average and the maximum of two maps within it.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        mean, spread = (torch.tensor(each) for each in trunk.colours)
        self.register_buffer("scale", 1 / (255 * spread).view(1, 3, 1, 1))
        self.register_buffer("shift", -(mean / spread).view(1, 3, 1, 1))
        self.trunk = trunk

    @staticmethod
    def of(name: str, model: nn.Module) -> Taps:
        """Of the network `name`, as `build` makes it."""
        return Taps(trunk_of(name, model)).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        x = pictures.permute(0, 3, 1, 2).float() * self.scale + self.shift
        side = self.trunk.side
        if side is not None and side != x.shape[-1]:
            x = nn.functional.interpolate(x, (side, side), mode="bilinear", align_corners=False)
        early, middle, summary = self.trunk(x)
        return summary, _average_and_maximum(middle), _average_and_maximum(early)

    def thirds(self) -> list[list[Parameter]]:
        """The network's parameters, from the first layers to the last."""
        return self.trunk.thirds()


def _average_and_maximum(maps: Tensor) -> Tensor:
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
