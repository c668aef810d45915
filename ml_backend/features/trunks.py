"""What a network sees, as three things that every kind of network has: two maps from within it, and a summary at its end; and which of
them become features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import Parameter


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


# ImageNet's mean and standard deviation, which torchvision trains with.
USUAL = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# GoogLeNet and Inception were trained with pictures in -1..1.
_CENTRED = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

Colours = tuple[tuple[float, ...], tuple[float, ...]]


class Trunk(nn.Module):
    """(b, 3, s, s) normalised pictures to an early and a middle map, (b, c, h, w), and a summary, (b, d).

    `side`: the side of the pictures it takes, None for any. `colours`: mean and standard deviation to normalise with, in 0..1.
    """

    side: int | None = None
    colours: Colours = USUAL

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found: tuple[Tensor, Tensor, Tensor] = super().__call__(pictures)
        return found

    def thirds(self) -> list[list[Parameter]]:
        """Its parameters, from the first layers to the last."""
        every = list(self.parameters())
        one, two = len(every) // 3, 2 * len(every) // 3
        return [every[:one], every[one:two], every[two:]]


def trunk_of(name: str, model: nn.Module) -> Trunk:
    """Of torchvision's model `name`, whose layers are known or found by the shape of its maps."""
    if isinstance(model, Trunk):
        return model
    if type(model).__name__ == "VisionTransformer":
        return _VisionTransformer(model)
    return _Stages(name, model)


# By torchvision's classes: where the layers are, and those that end the early map, the middle one and the network.
_ENDS = {
    "ResNet": ((), "layer2", "layer3", "layer4"),
    "ShuffleNetV2": ((), "stage2", "stage3", "conv5"),
    "GoogLeNet": ((), "inception3b", "inception4e", "inception5b"),
    "Inception3": ((), "Mixed_5d", "Mixed_6e", "Mixed_7c"),
    "MNASNet": (("layers",), "9", "11", "16"),
    "RegNet": (("stem", "trunk_output"), "block2", "block3", "block4"),
    "MaxVit": (("stem", "blocks"), "1", "2", "3"),
    "SwinTransformer": (("features",), "3", "5", "7"),
}
_NAMED = {
    "mobilenet_v2": (("features",), "6", "13", "18"),
    "squeezenet1_0": (("features",), "4", "7", "12"),
    "squeezenet1_1": (("features",), "4", "7", "12"),
}


class _Stages(Trunk):
    """A network that is layers one after the other, cut into three; its summary is the average of the last map."""

    def __init__(self, name: str, model: nn.Module) -> None:
        super().__init__()
        kind = type(model).__name__
        layers = list(_layers(model, *_NAMED.get(name, _ENDS.get(kind, (("features",),)))[:1]))
        ends = _NAMED.get(name, _ENDS.get(kind, ((),)))[1:] or _by_thirds([layer for layer, _ in layers])
        self.stages = nn.ModuleList(_cut(layers, ends))
        self.channels_last = kind == "SwinTransformer"
        if self.channels_last:
            self.stages.append(model.get_submodule("norm"))
        # It lays a grid of a fixed size over the picture.
        self.side = 224 if kind == "MaxVit" else None
        self.colours = _CENTRED if kind in ("GoogLeNet", "Inception3") else USUAL

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = [pictures]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        if self.channels_last:
            maps = [each.permute(0, 3, 1, 2) for each in maps]
        return maps[1], maps[2], maps[-1].mean((2, 3))

    def thirds(self) -> list[list[Parameter]]:
        early, middle, *last = (list(stage.parameters()) for stage in self.stages)
        return [early, middle, [each for some in last for each in some]]


def _layers(model: nn.Module, within: Sequence[str]) -> Iterator[tuple[str, nn.Module]]:
    if not within:
        # What only helps it to be trained hangs between its layers.
        yield from ((layer, module) for layer, module in model.named_children() if not layer.lower().startswith("aux"))
    for position, path in enumerate(within):
        module = model.get_submodule(path)
        yield from [(path, module)] if position < len(within) - 1 else module.named_children()


def _by_thirds(layers: Sequence[str]) -> tuple[str, str, str]:
    return layers[len(layers) // 3], layers[2 * len(layers) // 3], layers[-1]


def _cut(layers: Sequence[tuple[str, nn.Module]], ends: Sequence[str]) -> list[nn.Sequential]:
    """The layers, one after the other, cut behind each of those that are named."""
    stages: list[list[nn.Module]] = [[]]
    for layer, module in layers:
        stages[-1].append(module)
        if layer == ends[len(stages) - 1]:
            if len(stages) == len(ends):
                break
            stages.append([])
    return [nn.Sequential(*stage) for stage in stages]


class _VisionTransformer(Trunk):
    """torchvision's: the summary is the class token beside the average of the patches."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.side = int(model.image_size)
        self.layers = len(model.encoder.layers)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        model = self.model
        tokens = model._process_input(pictures)
        tokens = torch.cat([model.class_token.expand(len(tokens), -1, -1), tokens], 1) + model.encoder.pos_embedding
        early, middle = places(self.layers)
        maps = []
        for position, layer in enumerate(model.encoder.layers):
            tokens = layer(tokens)
            if position in (early, middle):
                maps.append(as_map(tokens, 1))
        tokens = model.encoder.ln(tokens)
        return maps[0], maps[-1], torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)


class TimmTrunk(Trunk):
    """timm's: pooled as the model was made to be; of a class token, beside the average of the patches."""

    def __init__(self, model: Any, side: int | None) -> None:
        super().__init__()
        self.model = model
        self.side = side
        about = model.pretrained_cfg
        self.colours = tuple(about["mean"]), tuple(about["std"])
        self.tokens = int(getattr(model, "num_prefix_tokens", 0)) if getattr(model, "global_pool", "") == "token" else 0
        layers = len(model.feature_info)
        # With the last one, since some models go no further than they are asked.
        self.places = sorted({*places(layers), layers - 1})
        self.second = self.places.index(places(layers)[1])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        last, maps = self.model.forward_intermediates(pictures, indices=self.places, output_fmt="NCHW")
        summary = self.model.forward_head(last, pre_logits=True).flatten(1)
        if self.tokens:
            summary = torch.cat([summary, last[:, self.tokens :].mean(1)], 1)
        return maps[0], maps[self.second], summary


class TransformersTrunk(Trunk):
    """A vision tower of transformers: its own summary, or its class token beside the average of the patches."""

    def __init__(self, model: Any, side: int | None, colours: Colours, patch: int | None, *, resized: bool) -> None:
        super().__init__()
        self.model = model
        self.side, self.colours = side, colours
        self.patches = (side // patch) ** 2 if side and patch else None
        self.more = {"interpolate_pos_encoding": True} if resized else {}
        # Others' is made by a layer that is often not part of the weights.
        self.pooled = any(kind in model.config.model_type for kind in ("clip", "siglip")) or self.patches is None

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.model(pixel_values=pictures, output_hidden_states=True, **self.more)
        maps = getattr(found, "reshaped_hidden_states", None) or found.hidden_states
        early, middle = places(len(maps) - 1)
        shown = [maps[1 + early], maps[1 + middle]]
        last = found.last_hidden_state
        if last.dim() == 4:
            return shown[0], shown[1], last.mean((2, 3))
        first = last.shape[1] - (self.patches or last.shape[1])
        if shown[0].dim() == 3:
            shown = [as_map(each, first) for each in shown]
        summary = [last[:, first:].mean(1)]
        if self.pooled and found.pooler_output is not None:
            # An average of all patches is made once.
            summary = [found.pooler_output, *summary] if first else [found.pooler_output]
        elif first:
            summary = [last[:, 0], *summary]
        return shown[0], shown[1], torch.cat(summary, 1)


def places(layers: int) -> tuple[int, int]:
    """The positions of the early and the middle map among so many: of a few, those of an eighth and a sixteenth of the
    picture's side as a rule, of many, at a third and at two thirds."""
    if layers > 6:
        return layers // 3, 2 * layers // 3
    return max(min((layers - 1) // 2, layers - 3), 0), max(layers - 2, 0)


def as_map(tokens: Tensor, first: int) -> Tensor:
    """(b, n, c) tokens, those of a square's patches from `first` on, to (b, c, h, w)."""
    patches = tokens[:, first:].transpose(1, 2)
    side = int(patches.shape[2] ** 0.5)
    return patches.reshape(patches.shape[0], patches.shape[1], side, side)
