"""A backbone is found, checked and named so that features of different ones are never mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from safetensors.torch import save_file
from torchvision import models

from ml_backend.errors import SettingsError, WeightsError
from ml_backend.features import weights as weights_module
from ml_backend.features.backbones import Backbone, load_backbone


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 160, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def state_dict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("state") / "squeezenet.pth"
    torch.save(models.squeezenet1_0().state_dict(), path)
    return path


def test_without_weights_it_works_and_says_what_to_do(backbone: Backbone) -> None:
    assert not backbone.trained
    assert backbone.warning is not None
    assert "untrained" in backbone.warning
    assert "Set BACKBONE_WEIGHTS to a file" in backbone.warning


def test_blocks_have_the_widths_of_the_layers(backbone: Backbone) -> None:
    embedded = backbone.embed(pictures(3))
    assert {name: rows.shape for name, rows in embedded.items()} == {
        "appearance": (3, 1280),
        "middle": (3, 192),
        "early": (3, 64),
    }


def test_an_untrained_backbone_still_tells_pictures_apart(backbone: Backbone) -> None:
    black, noise = np.zeros((1, 160, 160, 3), np.uint8), pictures(1)
    rows = backbone.embed(np.concatenate([black, noise]))["appearance"]
    cosine = rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
    assert np.isfinite(rows).all()
    assert cosine < 0.95


def test_a_picture_has_the_same_features_whatever_is_beside_it(backbone: Backbone) -> None:
    together = backbone.embed(pictures(19))
    for at in (0, 7, 18):
        alone = backbone.embed(pictures(19)[at : at + 1])
        for name, rows in alone.items():
            np.testing.assert_array_equal(rows[0], together[name][at])


def test_loading_again_gives_the_same_features(backbone: Backbone, tmp_path: Path) -> None:
    again = load_backbone("mobilenet_v2", "none", "cpu", tmp_path)  # converted anew
    assert again.key == backbone.key
    for name, rows in again.embed(pictures(2)).items():
        np.testing.assert_array_equal(rows, backbone.embed(pictures(2))[name])


def test_it_is_loaded_once_per_process(backbone: Backbone, weights_cache: Path) -> None:
    assert load_backbone("mobilenet_v2", "none", "cpu", weights_cache) is backbone


def test_the_key_follows_the_weights_not_their_place(state_dict: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pth"
    copy.write_bytes(state_dict.read_bytes())
    first = load_backbone("squeezenet1_0", str(state_dict), "cpu", tmp_path)
    second = load_backbone("squeezenet1_0", str(copy), "cpu", tmp_path)
    assert first.key == second.key
    assert first.trained
    assert first.warning is None
    torch.manual_seed(1)
    torch.save(models.squeezenet1_0().state_dict(), copy)
    changed = tmp_path / "changed.pth"
    copy.rename(changed)
    assert load_backbone("squeezenet1_0", str(changed), "cpu", tmp_path).key != first.key


def test_safetensors_are_read_too(state_dict: Path, tmp_path: Path) -> None:
    path = tmp_path / "squeezenet.safetensors"
    save_file(torch.load(state_dict, weights_only=True), path)
    from_pickle = load_backbone("squeezenet1_0", str(state_dict), "cpu", None).embed(pictures(1))
    from_safetensors = load_backbone("squeezenet1_0", str(path), "cpu", None).embed(pictures(1))
    for name, rows in from_pickle.items():
        np.testing.assert_array_equal(rows, from_safetensors[name])


def test_features_are_those_of_torchvisions_own_layers(state_dict: Path) -> None:
    model = models.squeezenet1_0()
    model.load_state_dict(torch.load(state_dict, weights_only=True))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    some = pictures(2)
    with torch.inference_mode():
        x = ((torch.from_numpy(some) / 255 - mean) / std).permute(0, 3, 1, 2)
        expected = model.eval().features(x).mean((2, 3)).numpy()
    rows = load_backbone("squeezenet1_0", str(state_dict), "cpu", None).embed(some)["appearance"]
    cosine = (rows * expected).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.99


def test_a_resnet_has_its_own_layers(tmp_path: Path) -> None:
    embedded = load_backbone("resnet18", "none", "cpu", tmp_path).embed(pictures(1))
    assert [embedded[name].shape[1] for name in ("appearance", "middle", "early")] == [
        512,
        512,
        256,
    ]


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 broken"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a file of weights"):
        load_backbone("mobilenet_v2", str(path), "cpu", tmp_path)


def test_weights_of_another_network_are_refused(state_dict: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="do not fit mobilenet_v2"):
        load_backbone("mobilenet_v2", str(state_dict), "cpu", tmp_path)


def test_a_path_that_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing\.pth, which is not a file"):
        load_backbone("mobilenet_v2", str(tmp_path / "missing.pth"), "cpu", tmp_path)


def test_an_unknown_network_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'mobilnet'.*mobilenet_v2"):
        load_backbone("mobilnet", "none", "cpu", tmp_path)


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(SettingsError, match="DEVICE is 'tpu'"):
        load_backbone("mobilenet_v2", "none", "tpu")


def test_default_weights_come_from_the_cache_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = models.get_model_weights("squeezenet1_0").DEFAULT.url.rsplit("/", 1)[-1]
    torch.save(models.squeezenet1_0().state_dict(), tmp_path / file)
    monkeypatch.setattr(requests, "get", lambda *arguments, **options: pytest.fail("asked the network"))
    assert load_backbone("squeezenet1_0", "default", "cpu", tmp_path).trained


def test_default_weights_that_cannot_be_had_give_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **options: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(requests, "get", unreachable)
    found = weights_module.find_weights("mobilenet_v2", "default", tmp_path)
    assert found.path is None
    assert found.warning is not None
    assert "could not be fetched" in found.warning


def test_the_known_files_are_torchvisions_defaults() -> None:
    for name, file in weights_module.FILES.items():
        assert models.get_model_weights(name).DEFAULT.url.endswith(f"/{file}")


def test_torchs_own_cache_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = Path(torch.hub.get_dir()) / "checkpoints" / weights_module.FILES["resnet18"]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert weights_module.find_weights("resnet18", "default", None).path == file


def test_the_real_weights_fit(real_data: Path, tmp_path: Path) -> None:
    for path in (real_data / "weights").glob("*.pth"):
        found = load_backbone(path.name.split("-")[0], str(path), "cpu", tmp_path)
        assert found.trained, path.name
