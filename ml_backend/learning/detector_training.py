"""Training a detector of torchvision's kinds on pictures with people's boxes.

AdamW with a warm-up and a cosine (Loshchilov and Hutter, 2017), smaller steps for what has learned something before, and an end
as soon as pictures of videos that teach nothing are found no better. Statistics of batch norms stay as they were learned, since
batches are small.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ml_backend.errors import DeviceFull, TrainingError
from ml_backend.features.torchvision_detection import as_tensors
from ml_backend.features.trainable_detection import Trainable
from ml_backend.learning.average_precision import Boxed, average_precision, best_score
from ml_backend.learning.boxed_pictures import BoxedPicture, may_be_mirrored, varied
from ml_backend.processes import locked

Curve = list[dict[str, float]]
_DECAY, _LARGEST_GRADIENT = 0.01, 5.0
# The first steps are small, of what is new and of what has learned something.
_WARM_UP = 0.1
# So many losses in a row that are no numbers are no accident.
_MOST_BAD = 3
# Scores from which on boxes may count.
_LOWEST, _HIGHEST = 0.2, 0.7


@dataclass(frozen=True)
class Budget:
    """`epochs`: at most, each of so many `pictures`. `batch`: pictures at a time, fewer where there is no room for them. `patience`:
    epochs without a better one after which it ends. `step`: the largest one of what is new, and `slow_share` how much of it what
    has learned something before takes."""

    epochs: int = 12
    pictures: int = 160
    batch: int = 8
    patience: int = 4
    step: float = 1e-3
    slow_share: float = 0.2

    @classmethod
    def on(cls, device: str) -> Budget:
        """What is usual there: on two cores minutes, not hours."""
        return cls() if device == "cpu" else cls(epochs=40, pictures=640, batch=16, patience=6)


@dataclass(frozen=True, eq=False)
class TunedDetector:
    """`weights`: of its best epoch, as safetensors. `curve`: per epoch `epoch`, `train_loss`, `validation_ap50`, `validation_ap`.
    `best`: the epoch that was kept. `threshold`: the score from which on its boxes count. `batch`: how many pictures there was
    room for."""

    weights: bytes
    curve: Curve
    best: int
    threshold: float
    batch: int


def train_detector(
    start: Trainable,
    training: Sequence[BoxedPicture],
    validation: Sequence[BoxedPicture],
    budget: Budget,
    *,
    device: str = "cpu",
    seed: int = 0,
    lock: Path | None = None,
    kept: bytes | None = None,
    keep: Callable[[bytes], None] | None = None,
    progress: Callable[[float], None] | None = None,
    on_epoch: Callable[[Curve], None] | None = None,
) -> TunedDetector:
    """Trains the module of `start` in place.

    `keep` is given all that is known after each epoch; given back as `kept`, it goes on from there. `progress`, `on_epoch`, `lock`:
    as in `finetune`. Raises TrainingError when losses are no numbers, and DeviceFull when one picture is too many.
    """
    before = torch.get_num_threads()
    # Threads that wait for each other gain nothing beside the other workers' and the web's.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    try:
        return _Training(start, budget, device, seed, lock).run(training, validation, kept, keep, progress, on_epoch)
    finally:
        torch.set_num_threads(before)
        start.module.cpu()
        if device != "cpu":
            torch.cuda.empty_cache()


class _Training:
    def __init__(self, start: Trainable, budget: Budget, device: str, seed: int, lock: Path | None) -> None:
        self.start, self.budget, self.device, self.lock, self.seed = start, budget, device, lock, seed
        self.module: Any = start.module.to(device)
        self.module.requires_grad_(True)
        self.batch, self.bad = budget.batch, 0
        self.mirrored = may_be_mirrored(start.labels)
        new, slow = list[nn.Parameter](), list[nn.Parameter]()
        for name, each in self.module.named_parameters():
            (slow if start.started != "nothing" and name.startswith(start.slow) else new).append(each)
        # A detector that is whole already forgets by steps that one with a new head needs.
        step = budget.step * (0.3 if start.started == "detector" else 1.0)
        self.steps = [step, step * budget.slow_share]
        groups = [{"params": new, "lr": self.steps[0]}, {"params": slow, "lr": self.steps[1]}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=_DECAY)

    def run(
        self,
        training: Sequence[BoxedPicture],
        validation: Sequence[BoxedPicture],
        kept: bytes | None,
        keep: Callable[[bytes], None] | None,
        progress: Callable[[float], None] | None,
        on_epoch: Callable[[Curve], None] | None,
    ) -> TunedDetector:
        budget = self.budget
        curve: Curve = []
        best, weights, threshold = 0, b"", 0.4
        if kept is not None and (known := self._taken_up(kept)) is not None:
            curve, best, weights, threshold = known
        for number in range(len(curve) + 1, budget.epochs + 1):
            if best and len(curve) - best >= budget.patience:
                break
            random = np.random.default_rng((self.seed, number))
            self._learning()
            losses: list[float] = []
            shown = 0
            while shown < budget.pictures:
                rows = random.integers(0, len(training), self.batch)
                self._step((number - 1 + shown / budget.pictures) / budget.epochs)
                loss = self._learn([varied(training[row], random, mirrored=self.mirrored) for row in rows])
                losses += [loss] if loss is not None else []
                shown += len(rows)
                if progress is not None:
                    progress(min((number - 1 + shown / budget.pictures) / budget.epochs, 1.0))
            found, score, level = self._measure(validation)
            curve.append(
                {
                    "epoch": number,
                    "train_loss": float(np.mean(losses)) if losses else 0.0,
                    "validation_ap50": found,
                    "validation_ap": score,
                }
            )
            if not best or score > curve[best - 1]["validation_ap"]:
                best, threshold = number, level
                weights = save(
                    {name: each.detach().cpu().contiguous() for name, each in self.module.state_dict().items()}
                )
            if on_epoch is not None:
                on_epoch(curve)
            if keep is not None:
                keep(self._known(curve, best, weights, threshold))
        return TunedDetector(weights, curve, best, threshold, self.batch)

    def _step(self, done: float) -> None:
        share = (
            min(1.0, done / _WARM_UP)
            if done < _WARM_UP
            else 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
        )
        for group, step in zip(self.optimizer.param_groups, self.steps, strict=True):
            group["lr"] = step * max(share, 0.02)

    def _learning(self) -> None:
        self.module.train()
        if self.start.started != "nothing":
            for each in self.module.modules():
                if isinstance(each, nn.BatchNorm2d):
                    each.eval()

    def _learn(self, shown: Sequence[tuple[Any, Any, Any]]) -> float | None:
        """One step on a batch, or on its halves where it is too large; the loss, None where that was no number. Raises TrainingError
        and DeviceFull."""
        if len(shown) > self.batch:
            parts = [self._learn(shown[at : at + self.batch]) for at in range(0, len(shown), self.batch)]
            told = [each for each in parts if each is not None]
            return float(np.mean(told)) if told else None
        pictures = as_tensors([each[0] for each in shown], self.device)
        targets = [
            {"boxes": torch.from_numpy(boxes).to(self.device), "labels": torch.from_numpy(classes).to(self.device)}
            for _, boxes, classes in shown
        ]
        loss = self._stepped(pictures, targets)
        if loss is not None:
            if math.isfinite(loss):
                self.bad = 0
                return loss
            self.bad += 1
            if self.bad >= _MOST_BAD:
                raise TrainingError(
                    "The training of the detector was stopped, since its loss is no number any more.",
                    "The detector before stays in use. Look for boxes without a size among those submitted last, or name "
                    "another base, such as train:torchvision/fasterrcnn_mobilenet_v3_large_320_fpn.",
                )
            return None
        if self.batch == 1:
            raise DeviceFull(
                f"The memory of {self.device} is full: the detector cannot be trained on one picture.",
                "It is retried automatically. Stop other programs that use it.",
            )
        self.batch = max(1, self.batch // 2)
        return self._learn(shown)

    def _stepped(self, pictures: list[Tensor], targets: list[dict[str, Tensor]]) -> float | None:
        """The loss of a step, which is not made where that is no number; None where memory is full."""
        try:
            with self._turn():
                loss: Tensor = sum(self.module(pictures, targets).values())
                value = float(loss.detach())
                self.optimizer.zero_grad()
                if math.isfinite(value):
                    loss.backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(self.module.parameters(), _LARGEST_GRADIENT)
                    self.optimizer.step()
                return value
        except (MemoryError, torch.OutOfMemoryError):
            pass
        except RuntimeError as error:
            # Of a processor's memory torch says so in words alone.
            if "allocate memory" not in str(error):
                raise
        self.optimizer.zero_grad()
        if self.device != "cpu":
            torch.cuda.empty_cache()
        return None

    def _turn(self) -> AbstractContextManager[None]:
        return locked(self.lock) if self.lock is not None else nullcontext()

    @torch.inference_mode()
    def _measure(self, held: Sequence[BoxedPicture]) -> tuple[float, float, float]:
        """Of held-out pictures the AP at an IoU of .5 and the mean AP, and the score from which on boxes are to count."""
        self.module.eval()
        found: list[Boxed] = []
        true: list[Boxed] = []
        for each in held:
            picture = each.picture()
            with self._turn():
                [answer] = self.module(as_tensors([picture], self.device))
            boxes, classes, scores = (answer[name].cpu().numpy() for name in ("boxes", "labels", "scores"))
            found.append(Boxed(boxes, classes, scores))
            true.append(Boxed.true(each.in_pixels(picture), each.classes))
        coarse, score = average_precision(found, true, (0.5,)), average_precision(found, true)
        return coarse or 0.0, score or 0.0, best_score(found, true, _LOWEST, _HIGHEST)

    def _known(self, curve: Curve, best: int, weights: bytes, threshold: float) -> bytes:
        file = io.BytesIO()
        torch.save(
            {
                "module": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "curve": curve,
                "best": best,
                "weights": torch.frombuffer(bytearray(weights), dtype=torch.uint8),
                "threshold": threshold,
                "batch": self.batch,
            },
            file,
        )
        return file.getvalue()

    def _taken_up(self, kept: bytes) -> tuple[Curve, int, bytes, float] | None:
        """What `_known` has told; None where that is damaged: then it begins anew."""
        try:
            said = torch.load(io.BytesIO(kept), map_location=self.device, weights_only=True)
            curve, best, threshold = list(said["curve"]), int(said["best"]), float(said["threshold"])
            weights = said["weights"].cpu().numpy().tobytes()
            self.module.load_state_dict(said["module"], strict=True)
            self.optimizer.load_state_dict(said["optimizer"])
            self.batch = int(said["batch"])
        except Exception:  # torch raises a dozen kinds on what is damaged
            return None
        return curve, best, weights, threshold
