"""Networks that find objects: what comes out is what torchvision and transformers find, and what cannot be loaded is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tiny_detectors import NAMES, tiny_d_fine, tiny_grounding_dino, tiny_owl, tiny_rt_detr
from torch import nn
from torchvision import models

from ml_backend.detector_names import TORCHVISION
from ml_backend.errors import DeviceFull, WeightsError
from ml_backend.features.detection import Built, Found, load_detection, on_device
from ml_backend.features.detection_weights import find_detector_weights
from ml_backend.features.transformers_detection import build_transformers

SSD = "torchvision/ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def some() -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    return np.kron(rng.integers(0, 256, (3, 9, 16, 3)), np.ones((1, 10, 10, 1))).astype(np.uint8)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*arguments: object, **options: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(requests.Session, "get", unreachable)


@pytest.fixture(scope="module")
def ssd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A network for two classes, and the folder in which its weights lie under its name, with a file that names them."""
    folder = tmp_path_factory.mktemp("detectors")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.get_model(SSD[12:], weights=None, weights_backbone=None, num_classes=3).eval()
    (folder / "torchvision").mkdir()
    torch.save(model.state_dict(), folder / f"{SSD}.pth")
    (folder / f"{SSD}.json").write_text('{"labels": ["mouse", "rat"]}')
    return model, folder


class TestTorchvision:
    def test_what_is_found_is_what_torchvision_finds(self, ssd: tuple[Any, Path], some: NDArray[np.uint8]) -> None:
        model, folder = ssd
        network = load_detection(SSD, "cpu", folder)
        assert (network.names, network.side) == (("__background__", "mouse", "rat"), 640)
        with torch.inference_mode():
            wanted = model([torch.from_numpy(each).permute(2, 0, 1) / 255 for each in some])
        for found, truth in zip(network.find(list(some), 0.0), wanted, strict=True):
            assert len(found.boxes) > 10
            np.testing.assert_allclose(found.boxes, truth["boxes"].numpy(), rtol=1e-3, atol=1e-2)
            np.testing.assert_allclose(found.scores, truth["scores"].numpy(), rtol=1e-4)
            assert found.classes.tolist() == truth["labels"].tolist()
        assert len(network.find(list(some), 0.99)[0].boxes) == 0

    @pytest.mark.parametrize("name", TORCHVISION)
    def test_every_name_has_weights_whose_classes_are_known(self, name: str) -> None:
        weights = models.get_model_weights(name).DEFAULT
        assert {"person", "dog", "mouse"} <= set(weights.meta["categories"]) | {"mouse"}
        with torch.device("meta"):
            built = models.get_model(
                name, weights=None, weights_backbone=None, num_classes=len(weights.meta["categories"])
            )
        assert built.transform.max_size >= 300

    def test_weights_of_another_network_are_refused(self, tmp_path: Path) -> None:
        other = tmp_path / "other.pth"
        torch.save(models.squeezenet1_0().state_dict(), other)
        with pytest.raises(WeightsError, match=r"other\.pth do not fit torchvision/ssdlite320"):
            load_detection(SSD, "cpu", given=other)

    def test_weights_for_other_classes_tell_how_to_name_them(self, ssd: tuple[Any, Path], tmp_path: Path) -> None:
        path = tmp_path / "mine.safetensors"
        save_file({key: value.contiguous() for key, value in ssd[0].state_dict().items()}, path)
        with pytest.raises(WeightsError, match=r'name them in mine\.json: {"labels"'):
            load_detection(SSD, "cpu", given=path)
        path.with_suffix(".json").write_text('{"labels": ["mouse", "rat"]}')
        assert load_detection(SSD, "cpu", given=path, stamp="named").names == ("__background__", "mouse", "rat")
        path.with_suffix(".json").write_text('{"labels": ["mouse", "mouse"]}')
        with pytest.raises(WeightsError, match="does not name the classes"):
            load_detection(SSD, "cpu", given=path, stamp="named twice")

    def test_what_is_no_file_of_weights_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "mine.pth").write_text("no weights")
        with pytest.raises(WeightsError, match="is not a file of weights"):
            load_detection(SSD, "cpu", given=tmp_path / "mine.pth")
        with pytest.raises(WeightsError, match="is not a state dict"):
            load_detection(SSD, "cpu", given=tmp_path / "missing.pth")

    def test_missing_weights_are_one_error_that_says_where_to_put_them(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"could not be fetched from https://download\.pytorch\.org") as error:
            load_detection(SSD, "cpu", tmp_path, tmp_path / "cache")
        assert str(tmp_path / f"{SSD}.pth") in error.value.remedy

    def test_what_was_fetched_before_is_used(self, ssd: tuple[Any, Path], tmp_path: Path) -> None:
        url = models.get_model_weights(SSD[12:]).DEFAULT.url
        (tmp_path / url.rsplit("/", 1)[-1]).write_bytes(b"")
        found = find_detector_weights(SSD, None, tmp_path)
        assert (found.path.parent, found.licence, found.names) == (tmp_path, "bsd-3-clause", None)


class TestTransformers:
    @pytest.fixture(params=[tiny_rt_detr, tiny_d_fine])
    def folder(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        make: Callable[[Path], Path] = request.param
        make(tmp_path / "hf" / "tiny")
        return tmp_path

    def test_what_is_found_is_what_the_library_finds(self, folder: Path, some: NDArray[np.uint8]) -> None:
        network = load_detection("hf/tiny", "cpu", folder)
        assert network.names == NAMES
        found = network.find(list(some), 0.0)
        model = transformers.AutoModelForObjectDetection.from_pretrained(folder / "hf" / "tiny").eval()
        processor = transformers.AutoImageProcessor.from_pretrained(folder / "hf" / "tiny")
        with torch.inference_mode():
            answer = model(**processor(images=list(some), return_tensors="pt"))
        sizes = [(90, 160)] * 3
        wanted = processor.post_process_object_detection(answer, threshold=0.0, target_sizes=sizes)
        for each, truth in zip(found, wanted, strict=True):
            order = np.argsort(-truth["scores"].numpy(), kind="stable")
            assert len(each.boxes) == 10
            np.testing.assert_allclose(each.scores, truth["scores"].numpy()[order], rtol=1e-3)
            np.testing.assert_allclose(each.boxes, truth["boxes"].numpy()[order], rtol=1e-2, atol=0.1)

    def test_weights_that_do_not_fit_are_refused(self, folder: Path) -> None:
        path = folder / "hf" / "tiny" / "model.safetensors"
        kept = {key: value for key, value in load_file(path).items() if "class_embed" not in key}
        save_file(kept, path, {"format": "pt"})
        with pytest.raises(WeightsError, match=r"do not fit its config\.json"):
            load_detection("hf/tiny", "cpu", folder)

    def test_a_folder_that_lacks_something_is_told_what(self, folder: Path) -> None:
        (folder / "hf" / "tiny" / "model.safetensors").rename(folder / "hf" / "tiny" / "pytorch_model.bin")
        with pytest.raises(WeightsError, match=r"no model\.safetensors; pytorch_model\.bin is pickled"):
            load_detection("hf/tiny", "cpu", folder)
        (folder / "hf" / "tiny" / "preprocessor_config.json").unlink()
        with pytest.raises(WeightsError, match=r"no preprocessor_config\.json"):
            load_detection("hf/tiny", "cpu", folder)

    def test_a_license_that_may_not_allow_everything_has_to_be_accepted(self, folder: Path) -> None:
        (folder / "hf" / "tiny" / "README.md").write_text("---\nlicense: agpl-3.0\n---\n")
        with pytest.raises(WeightsError, match=r"under the license agpl-3\.0") as error:
            find_detector_weights("hf/tiny", folder)
        assert "DETECTOR_LICENSE=agpl-3.0" in error.value.remedy
        assert find_detector_weights("hf/tiny", folder, accepted="AGPL-3.0").licence == "agpl-3.0"

    def test_another_kind_of_model_is_refused(self, tmp_path: Path) -> None:
        folder = tiny_rt_detr(tmp_path)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
        with pytest.raises(WeightsError, match="is no object detector"):
            load_detection("hf/vit", "cpu", given=folder)

    def test_a_model_that_is_not_to_be_had_is_one_error(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"could not be fetched from huggingface\.co/nobody/nothing") as error:
            load_detection("hf/nobody/nothing", "cpu", tmp_path, tmp_path / "cache")
        assert str(tmp_path / "hf/nobody/nothing") in error.value.remedy


class TestThoseThatRead:
    def test_owl_looks_for_the_words(self, tmp_path: Path, some: NDArray[np.uint8]) -> None:
        folder = tiny_owl(tmp_path)
        network = load_detection("hf/owl", "cpu", given=folder, words=("cat", "white_mouse"))
        assert network.names == ("cat", "white_mouse")
        found = network.find(list(some), 0.0)
        model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
        processor = transformers.AutoProcessor.from_pretrained(folder)
        texts = [["a photo of a cat", "a photo of a white mouse"]]
        given = processor(text=texts * 3, images=list(some), max_length=20, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            answer = model(**given)
        wanted = processor.post_process_grounded_object_detection(answer, threshold=0.0, target_sizes=[(90, 160)] * 3)
        for each, truth in zip(found, wanted, strict=True):
            order = np.argsort(-truth["scores"].numpy(), kind="stable")
            assert len(each.boxes) == 16
            np.testing.assert_allclose(each.boxes, truth["boxes"].numpy()[order], rtol=1e-2, atol=0.1)
            assert each.classes.tolist() == truth["labels"].numpy()[order].tolist()

    def test_grounding_dino_says_of_each_box_which_word_it_is(self, tmp_path: Path, some: NDArray[np.uint8]) -> None:
        folder = tiny_grounding_dino(tmp_path)
        network = load_detection("hf/dino", "cpu", given=folder, words=("white_mouse", "Cat"))
        found = network.find(list(some), 0.0)
        model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
        processor = transformers.AutoProcessor.from_pretrained(folder)
        given = processor(text=["white mouse. cat."] * 3, images=list(some), return_tensors="pt")
        # [CLS] white mouse . cat . [SEP]
        assert given["input_ids"][0].tolist() == [101, 203, 202, 1012, 200, 1012, 102]
        with torch.inference_mode():
            fits = model(**given).logits.sigmoid()
        sure = torch.stack([fits[..., 1:3].amax(-1), fits[..., 4]], -1)
        for each, truth in zip(found, sure, strict=True):
            scores, classes = truth.max(-1)
            order = np.argsort(-scores.numpy(), kind="stable")
            np.testing.assert_allclose(each.scores, scores.numpy()[order], rtol=1e-3)
            assert each.classes.tolist() == classes.numpy()[order].tolist()
            assert (each.boxes[:, 2:] > each.boxes[:, :2]).all()
            assert each.boxes.max() > 1.5

    def test_without_a_word_there_is_nothing_to_look_for(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="looks for what a text says, and there is none"):
            load_detection("hf/owl", "cpu", given=tiny_owl(tmp_path))

    def test_more_words_than_it_reads_are_refused(self, tmp_path: Path) -> None:
        folder = tiny_grounding_dino(tmp_path)
        with pytest.raises(WeightsError, match="reads 256 pieces of words"):
            load_detection("hf/dino", "cpu", given=folder, words=tuple(f"cat {'dog ' * each}" for each in range(30)))


class TestMemory:
    """As on a GPU, with the processor as the device."""

    def made(self, room: int, batches: list[int]) -> Built:
        def run(pictures: Sequence[NDArray[np.uint8]], device: str, least: float) -> list[Found]:
            batches.append(len(pictures))
            if len(pictures) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            whole = np.array([[0, 0, 160, 90]], np.float32)
            return [Found(whole, np.full(1, each.mean() / 255, np.float32), np.zeros(1, np.int64)) for each in pictures]

        return Built(nn.Identity(), ("thing",), 320, 0.4, run)

    def test_batches_are_halved_until_they_fit_and_stay_so(self, some: NDArray[np.uint8]) -> None:
        batches: list[int] = []
        network = on_device(self.made(2, batches), "cpu", None, batch=8)
        pictures = [*some, *some]
        found = network.find(pictures, 0.0)
        assert [round(float(each.scores[0]), 4) for each in found] == [
            round(float(each.mean()) / 255, 4) for each in pictures
        ]
        assert batches == [6, 4, 2, 2, 2]
        batches.clear()
        network.find(pictures[:3], 0.0)
        assert batches == [2, 1]

    def test_one_that_does_not_fit_alone_is_told_and_tried_again_later(self, some: NDArray[np.uint8]) -> None:
        network = on_device(self.made(0, []), "cpu", None, batch=4)
        with pytest.raises(DeviceFull, match="no room for one picture"):
            network.find(list(some), 0.0)

    def test_a_processor_keeps_its_threads(self, some: NDArray[np.uint8]) -> None:
        before = torch.get_num_threads()
        on_device(self.made(4, []), "cpu", None).find(list(some), 0.0)
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("make", [tiny_rt_detr, tiny_d_fine])
def test_fixed_classes_can_be_found_in_half_precision(
    make: Callable[[Path], Path], some: NDArray[np.uint8], tmp_path: Path
) -> None:
    built = build_transformers("hf/tiny", find_detector_weights("hf/tiny", given=make(tmp_path)), ())
    assert built.half
    with torch.inference_mode():
        whole = built.run(list(some), "cpu", 0.0)
        with torch.autocast("cpu", torch.float16):
            half = built.run(list(some), "cpu", 0.0)
    for one, other in zip(whole, half, strict=True):
        assert one.boxes.shape == other.boxes.shape == (10, 4)
        assert np.isfinite(other.boxes).all()
        assert 0 < other.scores.min() <= other.scores.max() < 1
