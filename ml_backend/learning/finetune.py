"""Training a torchvision network on labelled frames, so that its embeddings tell a project's labels apart.

One-cycle schedule (Smith, "A disciplined approach to neural network hyper-parameters", 2018): a new last layer first,
then everything, early layers with smaller steps (Howard and Ruder, "Universal language model fine-tuning", 2018). It ends
early when videos that it does not train on are predicted no better. What is wanted of it are the weights: a head is
fitted on their embeddings afterwards, as on those of the frozen network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.errors import DeviceFull
from ml_backend.features.trunks import Taps
from ml_backend.learning.examples import classes_of
from ml_backend.learning.frame_labels import UNKNOWN, YES
from ml_backend.learning.metrics import macro_f1, per_label
from ml_backend.learning.pictures import Pictures
from ml_backend.learning.probabilities import decided
from ml_backend.processes import locked
from ml_backend.project_settings import BlitzSettings

# Pictures that an epoch shows: without a GPU a training then takes minutes, not hours.
CPU_EPOCH, GPU_EPOCH = 1500, 20_000
# Pictures that an epoch is measured on.
VALIDATION = 2000
_CPU_BATCH, _GPU_BATCH = 16, 64
# The largest step of the last layer, and of the first third, the middle and the end of the network as shares of it.
_STEP, _SHARES = 2e-3, (0.05, 0.2, 0.5)
_DECAY = 0.01
_MOST_WEIGHT = 10.0

Curve = list[dict[str, float]]


@dataclass(frozen=True, eq=False)
class Tuned:
    """`state`: the network's state dict after its best epoch. `curve`: per epoch `epoch`, `train_loss`,
    `validation_loss`, `validation_macro_f1`; epoch 0 trained only the last layer. `best`: the epoch that was kept."""

    state: Mapping[str, Tensor]
    curve: Curve
    best: int


def finetune(
    name: str,
    model: nn.Module,
    training: Pictures,
    validation: Pictures,
    labels: Sequence[str],
    settings: BlitzSettings,
    *,
    exclusive: bool,
    device: str = "cpu",
    seed: int = 0,
    lock: Path | None = None,
    progress: Callable[[float], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Tuned:
    """Trains `model`, torchvision's network `name`, in place.

    `exclusive`: softmax over the labels and "none of them", else a sigmoid for each label; unknown labels are left out of
    the loss. On a CPU the same input and `seed` give the same weights. `progress` is called with the share done, 0..1, and
    `on_epoch` with each point of the curve. `lock`: a file that all users of the device lock while they use it; held for one
    batch at a time, so that embedding goes on beside a training. Raises DeviceFull.
    """
    try:
        return _Training(name, model, labels, settings, exclusive, device, seed, lock).run(
            training, validation, progress, on_epoch
        )
    except torch.OutOfMemoryError:
        raise DeviceFull(
            f"The memory of {device} is full: the network cannot be trained there.",
            "It is retried automatically. Stop other programs that use the GPU, or set blitz.image_size lower.",
        ) from None
    finally:
        model.cpu()
        if device == "cuda":
            torch.cuda.empty_cache()


class _Training:
    def __init__(
        self,
        name: str,
        model: nn.Module,
        labels: Sequence[str],
        settings: BlitzSettings,
        exclusive: bool,
        device: str,
        seed: int,
        lock: Path | None,
    ) -> None:
        self.model, self.labels, self.settings = model, labels, settings
        self.exclusive, self.device, self.on_gpu = exclusive, device, device != "cpu"
        self.lock = lock
        self.batch = _GPU_BATCH if self.on_gpu else _CPU_BATCH
        self.random = torch.Generator().manual_seed(seed)
        self.network = Taps.of(name, model).to(device)
        with self._turn(), torch.no_grad():
            size = settings.image_size
            width = self.network(torch.zeros(1, size, size, 3, device=device))[0].shape[1]
        self.last = nn.Linear(width, len(labels) + 1 if exclusive else len(labels)).to(device)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def run(
        self,
        training: Pictures,
        validation: Pictures,
        progress: Callable[[float], None] | None,
        on_epoch: Callable[[dict[str, float]], None] | None,
    ) -> Tuned:
        targets, weights = self._targets(training), self._weights(training)
        shown = min(len(training), GPU_EPOCH if self.on_gpu else CPU_EPOCH)
        steps = math.ceil(shown / self.batch)
        total = steps * (self.settings.cycles + 1)
        curve: Curve = []
        done = 0

        def epoch(optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> float:
            nonlocal done
            losses = []
            for rows in self._deal(len(training), shown):
                losses.append(self._learn(optimizer, training.pixels[rows], targets[rows], weights[rows]))
                schedule.step()
                done += 1
                if progress is not None:
                    progress(done / total)
            return float(np.mean(losses))

        def measure(number: int, loss: float) -> None:
            curve.append({"epoch": number, "train_loss": loss, **self._measure(validation)})
            if on_epoch is not None:
                on_epoch(curve[-1])

        # The last layer alone: what it knows nothing of yet must not spoil the others.
        self.network.requires_grad_(False).eval()
        optimizer, schedule = self._optimizer([(list(self.last.parameters()), 1.0)], steps)
        measure(0, epoch(optimizer, schedule))
        self.network.requires_grad_(True)
        parts = [*zip(self.network.thirds(), _SHARES, strict=True), (list(self.last.parameters()), 1.0)]
        optimizer, schedule = self._optimizer(parts, steps * self.settings.cycles)
        best, state = 0, self._state()
        for number in range(1, self.settings.cycles + 1):
            self.network.train()
            measure(number, epoch(optimizer, schedule))
            if not best or _score(curve[number]) > _score(curve[best]):
                best, state = number, self._state()
            elif number - best >= self.settings.early_stopping:
                break
        if progress is not None:
            progress(1.0)
        return Tuned(state, curve, best)

    def _optimizer(
        self, parts: Sequence[tuple[list[nn.Parameter], float]], steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        groups = [{"params": parameters, "lr": _STEP * share} for parameters, share in parts if parameters]
        optimizer = torch.optim.AdamW(groups, weight_decay=_DECAY)
        largest = [_STEP * share for parameters, share in parts if parameters]
        # One more, since the schedule moves on after the last step as well.
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, largest, total_steps=steps + 1)

    def _deal(self, rows: int, shown: int) -> Iterator[NDArray[np.intp]]:
        """Batches of about equal size: batch norm cannot work on a single picture left over."""
        order = torch.randperm(rows, generator=self.random)[:shown].numpy()
        # Sorted inside a batch, since they are read from disk.
        yield from (np.sort(part) for part in np.array_split(order, math.ceil(shown / self.batch)))

    def _learn(
        self, optimizer: torch.optim.Optimizer, pixels: NDArray[np.uint8], targets: Tensor, weights: Tensor
    ) -> float:
        pictures = augmented(torch.from_numpy(np.ascontiguousarray(pixels)), self.random)
        with self._turn():
            # bfloat16 needs no scaling of the loss.
            with torch.autocast(self.device, torch.bfloat16, enabled=self.on_gpu):
                scores = self._scores(pictures)
            loss = self._loss(scores.float(), targets.to(self.device), weights.to(self.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            # Reading the number waits until the device is done.
            return float(loss.detach())

    def _turn(self) -> AbstractContextManager[None]:
        return locked(self.lock) if self.lock is not None else nullcontext()

    def _scores(self, pictures: Tensor) -> Tensor:
        return self.last(self.network(pictures.to(self.device))[0])  # type: ignore[no-any-return]

    def _loss(self, scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        if self.exclusive:
            each = functional.cross_entropy(scores, targets, reduction="none")
        else:
            each = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        return (each * weights).sum() / weights.sum().clamp(min=1e-6)

    def _targets(self, pictures: Pictures) -> Tensor:
        """Exclusive: (k,) classes, any where unknown; else (k, L) 0 or 1."""
        if self.exclusive:
            return torch.from_numpy(classes_of(pictures.values, True).clip(0).astype(np.int64))
        return torch.from_numpy((pictures.values == YES).astype(np.float32))

    def _weights(self, pictures: Pictures) -> Tensor:
        """Of each target: the trust in it, balanced over the classes; 0 where nothing is known."""
        trust = pictures.weight.astype(np.float64)
        if self.exclusive:
            return torch.from_numpy(_balanced(classes_of(pictures.values, True), trust))
        columns = [_balanced(np.where(v == UNKNOWN, -1, v).astype(np.intp), trust) for v in pictures.values.T]
        return torch.from_numpy(np.stack(columns, axis=1))

    @torch.no_grad()
    def _measure(self, held: Pictures) -> dict[str, float]:
        self.network.eval()
        parts = []
        for first in range(0, len(held), self.batch):
            pictures = torch.from_numpy(np.array(held.pixels[first : first + self.batch]))
            with self._turn():
                parts.append(self._scores(pictures).float().cpu())
        scores = torch.cat(parts)
        loss = float(self._loss(scores, self._targets(held), self._weights(held)))
        likely = scores.softmax(1)[:, :-1] if self.exclusive else scores.sigmoid()
        answer = decided(likely.numpy(), self.exclusive)
        score = macro_f1(per_label(answer, held.values, self.labels))
        return {"validation_loss": loss, "validation_macro_f1": score or 0.0}

    def _state(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}


def augmented(pixels: Tensor, random: torch.Generator) -> Tensor:
    """(b, s, s, 3) uint8 to float32 in 0..255 of the same shape: cropped by up to a fifth, brighter or darker, with
    more or less contrast. Hues stay, since labels may speak of colours, and nothing is mirrored, since a label may mean a
    side without saying so (`L_turn`, “towards the door”)."""
    count = len(pixels)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=random)

    scale = between(0.8, 1.0)
    move = torch.zeros(count, 2, 3)
    move[:, 0, 0], move[:, 1, 1] = scale, scale
    move[:, :, 2] = (1 - scale)[:, None] * torch.stack([between(-1, 1), between(-1, 1)], 1)
    grid = functional.affine_grid(move, [count, 3, *pixels.shape[1:3]], align_corners=False)
    pictures = functional.grid_sample(
        pixels.permute(0, 3, 1, 2).float(), grid, padding_mode="border", align_corners=False
    )
    mean = pictures.mean((1, 2, 3), keepdim=True)
    contrast, light = between(0.8, 1.2).view(-1, 1, 1, 1), between(0.8, 1.2).view(-1, 1, 1, 1)
    return (((pictures - mean) * contrast + mean) * light).clamp(0, 255).permute(0, 2, 3, 1)


def _balanced(classes: NDArray[np.intp], trust: NDArray[np.float64]) -> NDArray[np.float32]:
    """(k,) weights by which every class counts the same, up to ten times; 0 for the class -1."""
    known = classes >= 0
    share = np.bincount(classes[known], weights=trust[known])
    present = int((share > 0).sum())
    if not present:
        return np.zeros(len(classes), np.float32)
    lift = np.minimum(share.sum() / (present * np.maximum(share, 1e-9)), _MOST_WEIGHT)
    return np.where(known, trust / trust[known].mean() * lift[classes.clip(0)], 0).astype(np.float32)


def _score(epoch: Mapping[str, float]) -> tuple[float, float]:
    return epoch["validation_macro_f1"], -epoch["validation_loss"]
