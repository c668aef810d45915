"""Training a detector on pictures with boxes: what it varies, what it does when memory is full or losses are no numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torchvision import models

from ml_backend.errors import DeviceFull, StorageError, TrainingError, WeightsError
from ml_backend.features import trainable_detection
from ml_backend.features.detection import on_device
from ml_backend.features.trainable_detection import Trainable, built_from, trainable
from ml_backend.learning.boxed_pictures import BoxedPicture, may_be_mirrored, varied
from ml_backend.learning.detector_training import Budget, train_detector

BALL = "torchvision/ssdlite320_mobilenet_v3_large"


def picture(rng: np.random.Generator, video: int = 1) -> BoxedPicture:
    """A red ball and a blue square on noise."""
    shown = np.clip(rng.normal(120, 12, (96, 160, 3)), 0, 255).astype(np.uint8)
    left, top = int(rng.integers(0, 140)), int(rng.integers(0, 76))
    cv2.rectangle(shown, (left, top), (left + 16, top + 16), (40, 60, 190), -1)
    radius = int(rng.integers(9, 16))
    x, y = int(rng.integers(radius, 160 - radius)), int(rng.integers(radius, 96 - radius))
    cv2.circle(shown, (x, y), radius, (200, 40, 30), -1)
    box = [(x - radius) / 160, (y - radius) / 96, (x + radius) / 160, (y + radius) / 96]
    return BoxedPicture.of(shown, np.array([box]), np.array([1]), video)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Trainable:
    """The small one, which begins from nothing."""

    def nowhere(*_: object) -> None:
        raise WeightsError("There are none.", "Copy them.")

    monkeypatch.setattr(trainable_detection, "find_detector_weights", nowhere)
    made = trainable(BALL, ("ball",), 160)
    assert (made.base, made.started, made.told) == ("small", "nothing", "There are none. Copy them.")
    return made


def test_it_learns_from_a_few_pictures_and_can_be_loaded_again(start: Trainable) -> None:
    rng = np.random.default_rng(0)
    training, held = [picture(rng) for _ in range(24)], [picture(rng, 2) for _ in range(6)]
    tuned = train_detector(start, training, held, Budget(6, 32, 4, 6))
    scores = [point["validation_ap50"] for point in tuned.curve]
    assert scores[tuned.best - 1] > 0.7 > scores[0]
    network = on_device(built_from("small", ("ball",), 160, tuned.threshold, tuned.weights), "cpu", None)
    assert (network.names[1:], network.usual) == (("ball",), tuned.threshold)
    [found] = network.find([held[0].picture()], tuned.threshold)
    [true] = held[0].in_pixels(held[0].picture())
    assert np.abs(found.boxes[0] - true).max() < 12
    with pytest.raises(StorageError, match="damaged"):
        built_from("small", ("ball", "cube"), 160, 0.4, tuned.weights)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()],
)
def test_batches_are_halved_until_there_is_room(
    start: Trainable, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    rng = np.random.default_rng(0)
    some = [picture(rng) for _ in range(4)]
    real = start.module.forward

    def forward(pictures: Any, targets: Any = None) -> Any:
        if targets is not None and len(pictures) > 1:
            raise error
        return real(pictures, targets)

    monkeypatch.setattr(start.module, "forward", forward)
    tuned = train_detector(start, some, some[:1], Budget(1, 4, 4, 1))
    assert tuned.batch == 1
    monkeypatch.setattr(start.module, "forward", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(DeviceFull, match="on one picture"):
        train_detector(start, some, some[:1], Budget(1, 4, 4, 1))


def test_losses_that_are_no_numbers_end_it_in_a_sentence(start: Trainable, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    some = [picture(rng) for _ in range(2)]
    monkeypatch.setattr(start.module, "forward", lambda *_: {"loss": torch.tensor(float("nan"), requires_grad=True)})
    with pytest.raises(TrainingError, match="its loss is no number any more"):
        train_detector(start, some, some, Budget(1, 40, 2, 1))


def red_of(shown: np.ndarray) -> np.ndarray:
    """(h, w) where the ball is."""
    return shown[..., 0].astype(int) - shown[..., 2] > 60


def test_what_is_varied_keeps_its_boxes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        one = picture(rng)
        shown, boxes, classes = varied(one, rng, mirrored=True)
        assert shown.shape == (96, 160, 3)
        red = red_of(shown)
        # Of one that is cut off for the most part there is no box.
        if red.sum() < 0.6 * red_of(one.picture()).sum():
            continue
        ys, xs = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
        assert classes.tolist() == [1]
        assert np.abs(boxes[0] - (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1)).max() < 5


def test_nothing_is_mirrored_where_a_label_speaks_of_a_side() -> None:
    assert may_be_mirrored(("mouse", "bright thing", "leftover"))
    assert not may_be_mirrored(("left_paw",))
    assert not may_be_mirrored(("Paw, right",))


def test_it_begins_from_the_weights_of_the_backbone_also_where_a_file_does_not_count_batches(
    start: Trainable, tmp_path: Path
) -> None:
    state = models.mobilenet_v2(weights=None).state_dict()
    path = tmp_path / "body.pth"
    torch.save({key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}, path)
    made = trainable(BALL, ("ball",), 160, backbone=lambda: path)
    assert made.started == "backbone"
    own = made.module.state_dict()
    assert torch.equal(own["backbone.stages.1.9.conv.0.0.weight"], state["features.9.conv.0.0.weight"])
    torch.save({"features.0.0.weight": state["features.0.0.weight"]}, path)
    with pytest.raises(WeightsError, match="do not fit mobilenet_v2"):
        trainable(BALL, ("ball",), 160, backbone=lambda: path)


def test_a_detector_of_torchvision_keeps_what_it_knows_but_its_classes(tmp_path: Path) -> None:
    model = BALL.partition("/")[2]
    state = models.get_model(model, weights=None, weights_backbone=None, num_classes=91).state_dict()
    path = tmp_path / f"{BALL}.pth"
    path.parent.mkdir()
    torch.save(state, path)
    made = trainable(BALL, ("ball", "cube"), 160, folder=tmp_path)
    assert (made.base, made.started, made.side) == (BALL, "detector", 640)
    own = made.module.state_dict()
    assert all(torch.equal(own[key], state[key]) for key in state if key.startswith("backbone."))
    some = [picture(np.random.default_rng(0)) for _ in range(2)]
    tuned = train_detector(made, some, some, Budget(1, 2, 2, 1))
    assert built_from(BALL, ("ball", "cube"), 160, 0.4, tuned.weights).side == 640
