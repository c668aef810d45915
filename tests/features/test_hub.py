"""Backbones of timm and transformers, from folders as these save them, without the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf

from ml_backend.errors import WeightsError
from ml_backend.features.backbones import load_backbone
from ml_backend.features.networks import build
from ml_backend.features.trunks import Taps
from ml_backend.features.weights import Weights, find_weights


@pytest.fixture(scope="module")
def some() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.kron(rng.integers(0, 256, (3, 10, 10, 3)), np.ones((1, 16, 16, 1))).astype(np.uint8)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def saved_by_timm(folder: Path, name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    model = timm.create_model(name, **options)
    save_for_hf(model, str(folder), safe_serialization=True)
    return model.eval()


def pictures_for(model: Any, some: np.ndarray) -> torch.Tensor:
    mean, std = (torch.tensor(model.pretrained_cfg[each]) for each in ("mean", "std"))
    x = ((torch.from_numpy(some) / 255 - mean) / std).permute(0, 3, 1, 2)
    size = model.pretrained_cfg["input_size"][-1]
    fixed = model.pretrained_cfg.get("fixed_input_size")
    return torch.nn.functional.interpolate(x, (size, size), mode="bilinear") if fixed and size != 160 else x


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "test_efficientnet", "test_mambaout"])
def test_timms_are_pooled_as_timm_advises(name: str, some: np.ndarray, tmp_path: Path) -> None:
    model = saved_by_timm(tmp_path, name)
    weights = find_weights(f"timm/{name}", str(tmp_path), None)
    with torch.inference_mode():
        rows = Taps.of(f"timm/{name}", build(f"timm/{name}", weights))(torch.from_numpy(some))
        pooled = model.forward_head(model.forward_features(pictures_for(model, some)), pre_logits=True)
    torch.testing.assert_close(rows[0][:, : pooled.shape[1]], pooled, rtol=1e-3, atol=1e-3)
    backbone = load_backbone(f"timm/{name}", str(tmp_path), "cpu", None)
    for found, wanted in zip(backbone.embed(some).values(), rows, strict=True):
        cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(found), wanted)
        assert float(cosine.min()) > 0.97


def test_a_class_token_comes_with_the_average_of_the_patches(some: np.ndarray, tmp_path: Path) -> None:
    model = saved_by_timm(tmp_path, "test_vit")
    weights = find_weights("timm/test_vit", str(tmp_path), None)
    with torch.inference_mode():
        rows = Taps.of("timm/test_vit", build("timm/test_vit", weights))(torch.from_numpy(some))[0]
        tokens = model.forward_features(pictures_for(model, some))
    torch.testing.assert_close(rows[:, tokens.shape[2] :], tokens[:, 1:].mean(1), rtol=1e-3, atol=1e-3)


def test_a_model_for_large_pictures_is_given_smaller_ones(some: np.ndarray) -> None:
    trunk: Any = build("timm/vit_tiny_patch16_384", Weights(None, "untrained"))
    assert trunk.side == 224
    assert Taps.of("timm/vit_tiny_patch16_384", trunk)(torch.from_numpy(some))[0].shape == (3, 2 * 192)


@pytest.mark.parametrize(
    ("name", "side"),
    [("crossvit_9_240", 240), ("hiera_tiny_224", 224), ("hieradet_small", None)],
)
def test_one_that_cannot_do_with_less_is_given_pictures_of_its_own_size(name: str, side: int, some: np.ndarray) -> None:
    trunk: Any = build(f"timm/{name}", Weights(None, "untrained"))
    assert trunk.side == side
    rows = Taps.of(f"timm/{name}", trunk)(torch.from_numpy(some))
    assert all(bool(torch.isfinite(each).all()) for each in rows)


def test_a_state_dict_alone_is_enough_for_timm(some: np.ndarray, tmp_path: Path) -> None:
    saved_by_timm(tmp_path, "test_convnext")
    alone = tmp_path / "alone.pth"
    torch.save(load_file(tmp_path / "model.safetensors"), alone)
    one = load_backbone("timm/test_convnext", str(tmp_path), "cpu", None)
    other = load_backbone("timm/test_convnext", str(alone), "cpu", None)
    assert one.trained
    assert other.trained
    for name, rows in one.embed(some).items():
        np.testing.assert_allclose(rows, other.embed(some)[name], rtol=1e-3, atol=1e-3)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    saved_by_timm(tmp_path, "test_convnext")
    for weights in (tmp_path, tmp_path / "model.safetensors"):
        with pytest.raises(WeightsError, match="do not fit timm/test_resnet"):
            build("timm/test_resnet", find_weights("timm/test_resnet", str(weights), None))


def test_a_missing_layer_is_not_filled_with_noise(tmp_path: Path) -> None:
    saved_by_timm(tmp_path, "test_vit", num_classes=0)
    state = load_file(tmp_path / "model.safetensors")
    save_file({key: each for key, each in state.items() if "blocks.2.mlp.fc1" not in key}, tmp_path / "cut.safetensors")
    with pytest.raises(WeightsError, match="do not fit timm/test_vit"):
        build("timm/test_vit", find_weights("timm/test_vit", str(tmp_path / "cut.safetensors"), None))


def test_a_name_that_timm_does_not_know_is_answered_with_near_ones() -> None:
    with pytest.raises(WeightsError, match=r"does not know.*timm/resnet50"):
        find_weights("timm/resnett50", "none", None)
    with pytest.raises(WeightsError, match="no weights 'nobodys' for resnet50"):
        find_weights("timm/resnet50.nobodys", "none", None)


@pytest.mark.parametrize("name", ["timm/resnet18.a1_in1k", "hf/facebook/dinov2-small"])
def test_without_the_network_it_is_said_where_weights_may_lie(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"could not be fetched from huggingface\.co/.*Set BACKBONE_WEIGHTS to a folder"
    ):
        find_weights(name, "default", tmp_path)


TINY: Mapping[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def saved_by_transformers(folder: Path, kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "clip":
        towers = {
            "vision_config": {**TINY, "image_size": 224, "patch_size": 32},
            "text_config": {
                **TINY,
                "vocab_size": 40,
                "max_position_embeddings": 8,
                "bos_token_id": 1,
                "eos_token_id": 2,
            },
        }
        model: Any = transformers.CLIPModel(transformers.CLIPConfig(**towers, projection_dim=16))
    elif kind == "siglip":
        towers = {
            "vision_config": {**TINY, "image_size": 224, "patch_size": 32},
            "text_config": {**TINY, "vocab_size": 40, "max_position_embeddings": 8},
        }
        model = transformers.SiglipModel(transformers.SiglipConfig(**towers))
    elif kind == "dinov2":
        model = transformers.Dinov2Model(transformers.Dinov2Config(**TINY, image_size=518, patch_size=14, mlp_ratio=2))
    elif kind == "vit":
        model = transformers.ViTModel(transformers.ViTConfig(**TINY, image_size=224, patch_size=32))
    elif kind == "convnext":
        config = transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
        model = transformers.ConvNextModel(config)
    else:
        model = transformers.SwinModel(
            transformers.SwinConfig(embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
        )
    model.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    return model


def expected_of(kind: str, model: Any, some: np.ndarray) -> torch.Tensor:
    x = ((torch.from_numpy(some) / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    if kind != "convnext":
        x = torch.nn.functional.interpolate(x, (224, 224), mode="bilinear")
    if kind in ("clip", "siglip"):
        return model.vision_model(pixel_values=x).pooler_output
    found = model(pixel_values=x)
    if kind in ("dinov2", "vit"):
        return found.last_hidden_state[:, 0]
    return found.last_hidden_state.mean((2, 3)) if kind == "convnext" else found.pooler_output


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit", "convnext", "swin"])
def test_a_vision_tower_of_transformers_gives_its_own_summary(kind: str, some: np.ndarray, tmp_path: Path) -> None:
    model = saved_by_transformers(tmp_path, kind)
    backbone = load_backbone("hf/lab/tiny", str(tmp_path), "cpu", tmp_path / "cache")
    assert backbone.trained
    with torch.inference_mode():
        expected = expected_of(kind, model, some)
        taps = Taps.of("hf/lab/tiny", build("hf/lab/tiny", find_weights("hf/lab/tiny", str(tmp_path), None)))
        rows = taps(torch.from_numpy(some))
    torch.testing.assert_close(rows[0][:, : expected.shape[1]], expected, rtol=1e-3, atol=1e-3)
    for found, wanted in zip(backbone.embed(some).values(), rows, strict=True):
        cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(found), wanted)
        assert float(cosine.min()) > 0.97


def test_a_model_of_words_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(**TINY, vocab_size=40)
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="is no model of pictures"):
        load_backbone("hf/lab/words", str(tmp_path), "cpu", None)


def test_pickled_weights_of_transformers_are_never_read(tmp_path: Path) -> None:
    saved_by_transformers(tmp_path, "convnext")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"has no model\.safetensors"):
        find_weights("hf/lab/tiny", str(tmp_path), None)


def test_a_network_that_was_fine_tuned_from_one_takes_its_place(some: np.ndarray, tmp_path: Path) -> None:
    saved_by_transformers(tmp_path, "convnext")
    weights = find_weights("hf/lab/tiny", str(tmp_path), None)
    network = build("hf/lab/tiny", weights)
    state = {key: each + 0.05 for key, each in network.state_dict().items()}
    save_file(state, tmp_path / "tuned.safetensors")
    plain = load_backbone("hf/lab/tiny", str(tmp_path), "cpu", None)
    tuned = load_backbone("hf/lab/tiny", str(tmp_path), "cpu", None, tuned=tmp_path / "tuned.safetensors")
    assert tuned.network != plain.network
    assert not np.allclose(tuned.embed(some)["appearance"], plain.embed(some)["appearance"], rtol=1e-2)


class TestLicence:
    def test_of_free_weights_is_noted(self, tmp_path: Path) -> None:
        saved_by_transformers(tmp_path, "convnext")
        (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Tiny\n")
        backbone = load_backbone("hf/lab/tiny", str(tmp_path), "cpu", None)
        assert (backbone.licence, backbone.source) == ("apache-2.0", str(tmp_path))

    @pytest.mark.parametrize(
        ("said", "licence"), [("license: cc-by-nc-4.0", "cc-by-nc-4.0"), ("license: other\nlicense_name: labs", "labs")]
    )
    def test_of_others_needs_the_admins_word(self, said: str, licence: str, tmp_path: Path) -> None:
        saved_by_transformers(tmp_path, "convnext")
        (tmp_path / "README.md").write_text(f"---\n{said}\n---\n# Tiny\n")
        with pytest.raises(WeightsError, match=f"set BACKBONE_LICENSE={licence} if it does"):
            load_backbone("hf/lab/tiny", str(tmp_path), "cpu", None)
        assert load_backbone("hf/lab/tiny", str(tmp_path), "cpu", None, licence.upper()).licence == licence

    def test_of_timms_own_weights_is_known_by_their_tag(self, tmp_path: Path) -> None:
        torch.save(timm.create_model("hiera_tiny_224", num_classes=0).state_dict(), tmp_path / "hiera.pth")
        with pytest.raises(WeightsError, match=r"cc-by-nc-4\.0"):
            find_weights("timm/hiera_tiny_224.mae", str(tmp_path / "hiera.pth"), None)
        assert find_weights("timm/hiera_tiny_224", str(tmp_path / "hiera.pth"), None).licence == ""

    def test_of_torchvisions_that_were_made_with_swag(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        (tmp_path / "vit_h_14_swag-80465313.pth").write_bytes(b"weights")
        with pytest.raises(WeightsError, match=r"BACKBONE_LICENSE=cc-by-nc-4\.0"):
            find_weights("vit_h_14", "default", tmp_path)
        assert find_weights("vit_h_14", "default", tmp_path, "cc-by-nc-4.0").path is not None
