"""Every classifier of torchvision is a backbone, and everything else that torchvision has is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision.models import regnet

from ml_backend.errors import WeightsError
from ml_backend.features.backbones import load_backbone
from ml_backend.features.networks import build
from ml_backend.features.trunks import Taps
from ml_backend.features.weights import Weights, find_weights

CLASSIFIERS = models.list_models(module=models)


@pytest.fixture
def without_memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Networks of any size are made and run on torch's meta device, which keeps shapes only."""
    plan = regnet.BlockParams.from_init_params.__func__  # type: ignore[attr-defined]

    def planned(cls: Any, *arguments: Any, **options: Any) -> Any:
        with torch.device("cpu"):
            return plan(cls, *arguments, **options)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(planned))
    return torch.device("meta")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_gives_an_appearance_and_two_earlier_layers(name: str, without_memory: torch.device) -> None:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with without_memory:
        taps = Taps.of(name, models.get_model(name, weights=None, **options))
        rows = taps(torch.zeros(2, 160, 160, 3, dtype=torch.uint8))
    assert len(rows) == 3
    for each in rows:
        assert each.dtype == torch.float32
        assert each.shape[0] == 2
        # One number a channel, and not one a place in the picture.
        assert 40 < each.shape[1] < 8000
    assert all(taps.thirds())


@pytest.mark.parametrize("name", sorted(set(models.list_models()) - set(CLASSIFIERS)))
def test_what_is_no_classifier_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(WeightsError, match=f"BACKBONE is '{name}', which torchvision's classifiers do not include"):
        find_weights(name, "none", None)


def normalised(pictures: np.ndarray) -> torch.Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.from_numpy(pictures) / 255 - mean) / std).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def some() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)


def test_a_swin_transformer_is_pooled_over_the_picture_as_torchvision_does(some: np.ndarray) -> None:
    model: Any = build("swin_t", Weights(None, "untrained"))
    with torch.inference_mode():
        expected = model.avgpool(model.permute(model.norm(model.features(normalised(some))))).flatten(1)
        rows = Taps.of("swin_t", model)(torch.from_numpy(some))[0]
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4)


def test_a_vision_transformer_gives_its_class_token_and_the_average_of_its_patches(some: np.ndarray) -> None:
    model: Any = build("vit_b_32", Weights(None, "untrained"))
    with torch.inference_mode():
        larger = torch.nn.functional.interpolate(normalised(some), (224, 224), mode="bilinear")
        model.heads = torch.nn.Identity()
        expected = model(larger)
        rows = Taps.of("vit_b_32", model)(torch.from_numpy(some))[0]
    torch.testing.assert_close(rows[:, :768], expected, rtol=1e-4, atol=1e-4)
    assert rows.shape == (2, 1536)


def test_a_regnet_and_a_shufflenet_give_what_their_last_layer_is_given(some: np.ndarray) -> None:
    for name in ("regnet_y_400mf", "shufflenet_v2_x0_5"):
        model: Any = build(name, Weights(None, "untrained"))
        with torch.inference_mode():
            rows = Taps.of(name, model)(torch.from_numpy(some))[0]
            model.fc = torch.nn.Identity()
            torch.testing.assert_close(rows, model(normalised(some)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t"])
def test_one_runs_as_a_backbone(name: str, some: np.ndarray, tmp_path: Path) -> None:
    backbone = load_backbone(name, "none", "cpu", tmp_path)
    rows = backbone.embed(some)
    with torch.inference_mode():
        expected = Taps.of(name, build(name, Weights(None, "untrained")))(torch.from_numpy(some))
    for found, wanted in zip(rows.values(), expected, strict=True):
        cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(found), wanted)
        assert float(cosine.min()) > 0.98
