"""Which layers of a classifier become features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which torchvision trains with


@dataclass(frozen=True)
class Layers:
    """Names of modules: `last` ends the features, the other two lie about two thirds and one third of the way there."""

    early: str
    middle: str
    last: str


_LAYERS = {
    "mobilenet_v2": Layers("features.6", "features.13", "features.18"),
    "squeezenet1_0": Layers("features.4", "features.7", "features.12"),
    "squeezenet1_1": Layers("features.4", "features.7", "features.12"),
}
_RESNET = Layers("layer2", "layer3", "layer4")


class Taps(nn.Module):
    """(b, s, s, 3) uint8 RGB to a tuple of float32 rows in the order of `EMBEDDED`.

    `appearance` is the average of the last map, `middle` and `early` the average and the maximum of two earlier ones.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, layers: Layers) -> None:
        super().__init__()
        self.register_buffer("scale", 1 / (255 * torch.tensor(_STD)).view(1, 3, 1, 1))
        self.register_buffer("shift", -(torch.tensor(_MEAN) / torch.tensor(_STD)).view(1, 3, 1, 1))
        self.stages = nn.ModuleList(_stages(model, layers))

    @staticmethod
    def of(name: str, model: nn.Module) -> Taps:
        """Of torchvision's model `name`, whose layers are known or found by the shape of its maps."""
        if name in _LAYERS:
            layers = _LAYERS[name]
        elif hasattr(model, "layer4"):
            layers = _RESNET
        else:
            children = [child for child, _ in model.get_submodule("features").named_children()]
            early, middle = len(children) // 3, 2 * len(children) // 3
            layers = Layers(*(f"features.{children[at]}" for at in (early, middle, -1)))
        return Taps(model, layers).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        x = pictures.permute(0, 3, 1, 2).float() * self.scale + self.shift
        early = self.stages[0](x)
        middle = self.stages[1](early)
        last = self.stages[2](middle)
        return last.mean((2, 3)), _average_and_maximum(middle), _average_and_maximum(early)


def _average_and_maximum(maps: Tensor) -> Tensor:
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


def _stages(model: nn.Module, layers: Layers) -> list[nn.Sequential]:
    """The model's layers, one after the other, cut behind each of the three that are wanted."""
    parent, _, _ = layers.last.rpartition(".")
    stages: list[list[nn.Module]] = [[]]
    ends = [layers.early, layers.middle, layers.last]
    for child, module in model.get_submodule(parent).named_children():
        stages[-1].append(module)
        if f"{parent}.{child}".lstrip(".") == ends[len(stages) - 1]:
            if len(stages) == len(ends):
                break
            stages.append([])
    return [nn.Sequential(*stage) for stage in stages]
