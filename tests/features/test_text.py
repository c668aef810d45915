"""A text model: read from a folder without running anything in it, and looking at frames of real videos."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import Encode
from loopback import closed_port
from safetensors.torch import load_file, save_file
from tinyclip import SIZE, tiny_clip

from ml_backend.errors import WeightsError
from ml_backend.features.backbones import Backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.prompts import (
    FRAMES_PER_SECOND,
    NEUTRAL,
    TEMPLATES,
    frames_to_look_at,
    known_view,
    prompts_of,
    sentences_for,
    text_view,
)
from ml_backend.features.store import FeatureStore
from ml_backend.features.text import TextModel, load_text_model
from ml_backend.video.whole_frames import decode_sized


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return load_text_model(str(folder), "cpu", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def refused(name: Path | str, cache: Path) -> str:
    with pytest.raises(WeightsError) as refusal:
        load_text_model(str(name), "cpu", cache)
    assert refusal.value.remedy
    return refusal.value.message


def noise(pictures: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (pictures, SIZE, SIZE, 3), np.uint8)


class TestModel:
    def test_pictures_and_words_share_a_space_of_unit_length(self, model: TextModel) -> None:
        seen, read = model.pictures(noise(3)), model.words(["a cat", "a dog"])
        assert seen.shape == (3, 16)
        assert read.shape == (2, 16)
        assert seen.dtype == read.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(np.concatenate([seen, read]), axis=1), 1, atol=1e-5)
        assert abs(float(seen[0] @ seen[1])) < 0.9999
        assert float(read[0] @ read[1]) < 0.9999
        assert model.size == SIZE

    def test_it_computes_what_transformers_does(self, model: TextModel, folder: Path) -> None:
        from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

        whole, tokenizer = CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder)
        pixels = noise(4)
        shaped = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size=SIZE)(list(pixels), return_tensors="pt")
        with torch.inference_mode():
            found = whole(**shaped, **tokenizer(["a cat", "two dogs run"], padding=True, return_tensors="pt"))
        mine = model.scale * model.pictures(pixels) @ model.words(["a cat", "two dogs run"]).T
        np.testing.assert_allclose(mine, found.logits_per_image.numpy(), atol=1e-3)

    def test_a_batch_does_not_change_its_members(self, model: TextModel) -> None:
        many = noise(70)
        np.testing.assert_allclose(model.pictures(many)[[0, 40, 69]], model.pictures(many[[0, 40, 69]]), atol=1e-5)
        texts = [f"number {n}" for n in range(40)]
        np.testing.assert_allclose(model.words(texts)[[3, 39]], model.words([texts[3], texts[39]]), atol=1e-5)

    def test_nothing_in_gives_nothing_out(self, model: TextModel) -> None:
        assert model.pictures(noise(0)).shape == (0, 16)

    def test_a_text_may_be_longer_than_the_network_reads(self, model: TextModel) -> None:
        assert np.isfinite(model.words(["a very long hint " * 100])).all()

    def test_loaded_again_it_is_the_same(self, model: TextModel, copy: Path, tmp_path: Path) -> None:
        again = load_text_model(str(copy), "cpu", tmp_path)
        assert again.key == model.key
        np.testing.assert_array_equal(again.pictures(noise(3)), model.pictures(noise(3)))
        np.testing.assert_array_equal(again.words(["a cat"]), model.words(["a cat"]))

    def test_other_weights_are_another_model(self, model: TextModel, tmp_path: Path) -> None:
        other = load_text_model(str(tiny_clip(tmp_path / "other", seed=1)), "cpu", tmp_path)
        assert other.key != model.key

    def test_the_folder_says_how_pictures_are_normalised(self, model: TextModel, copy: Path, tmp_path: Path) -> None:
        (copy / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1] * 3, "image_std": [0.9] * 3}))
        other = load_text_model(str(copy), "cpu", tmp_path)
        assert other.key != model.key
        assert not np.allclose(other.pictures(noise(1)), model.pictures(noise(1)), atol=1e-3)


class TestWhatIsRefused:
    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert "which is not a folder" in refused(tmp_path / "nowhere", tmp_path)

    def test_a_folder_with_nothing_in_it(self, tmp_path: Path) -> None:
        assert "config.json cannot be read" in refused(tmp_path, tmp_path)

    def test_another_network(self, copy: Path, tmp_path: Path) -> None:
        (copy / "config.json").write_text('{"model_type": "bert"}')
        assert "no CLIP model" in refused(copy, tmp_path)

    def test_weights_that_are_pickled_are_not_even_opened(self, copy: Path, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.mkdir, (str(tmp_path / "it went off"),)

        (copy / "model.safetensors").unlink()
        (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
        assert "its weights are pickled (pytorch_model.bin), which is never read" in refused(copy, tmp_path)
        assert not (tmp_path / "it went off").exists()

    def test_code_in_the_folder_is_not_run(self, model: TextModel, copy: Path, tmp_path: Path) -> None:
        mark = tmp_path / "it ran"
        (copy / "modeling.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
        for name in ("config.json", "tokenizer_config.json"):
            told = json.loads((copy / name).read_text())
            told["auto_map"] = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "modeling.Mine")
            (copy / name).write_text(json.dumps(told))
        found = load_text_model(str(copy), "cpu", tmp_path)
        np.testing.assert_array_equal(found.pictures(noise(2)), model.pictures(noise(2)))
        assert not mark.exists()

    def test_weights_that_are_cut_off(self, copy: Path, tmp_path: Path) -> None:
        weights = copy / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        assert "cannot be loaded" in refused(copy, tmp_path)

    @pytest.mark.parametrize("name", ["text_projection.weight", "vision_model.post_layernorm.bias"])
    def test_weights_that_lack_a_layer(self, copy: Path, tmp_path: Path, name: str) -> None:
        weights = load_file(copy / "model.safetensors")
        del weights[name]
        save_file(weights, copy / "model.safetensors", {"format": "pt"})
        assert f"do not fit its config ({name})" in refused(copy, tmp_path)

    def test_weights_of_another_shape(self, copy: Path, tmp_path: Path) -> None:
        weights = load_file(copy / "model.safetensors")
        weights["text_projection.weight"] = torch.zeros(5, 32)
        save_file(weights, copy / "model.safetensors", {"format": "pt"})
        assert str(copy) in refused(copy, tmp_path)

    def test_a_folder_without_a_tokenizer(self, copy: Path, tmp_path: Path) -> None:
        (copy / "tokenizer.json").unlink()
        assert "no tokenizer" in refused(copy, tmp_path)


LOAD = """
from pathlib import Path
from ml_backend.errors import WeightsError
from ml_backend.features.text import load_text_model
try:
    print(load_text_model(NAME, "cpu", Path(CACHE)).key)
except WeightsError as error:
    print("refused:", error)
"""


def load_elsewhere(name: str, cache: Path, before: str = "", **environment: str) -> str:
    """What another interpreter, in which `before` was run, says of the model that it loads."""
    code = f"{before}\nNAME, CACHE = {name!r}, {str(cache)!r}\n{LOAD}"
    command, there = [sys.executable, "-c", code], {**os.environ, **environment}
    done = subprocess.run(command, env=there, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestByName:
    def test_without_the_extra_it_says_how_to_install_it(self, folder: Path, tmp_path: Path) -> None:
        without = "import sys; sys.modules['transformers'] = None"
        told = load_elsewhere(str(folder), tmp_path, without)
        assert told.startswith("refused: TEXT_MODEL is set, but the extra `text` is not installed")
        assert "Install transformers" in told

    def test_a_name_that_cannot_be_fetched(self, tmp_path: Path) -> None:
        told = load_elsewhere("some/clip", tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{closed_port()}")
        assert "refused: TEXT_MODEL is some/clip, which is no folder and could not be fetched" in told

    def test_a_name_that_was_fetched_before_needs_no_network(
        self, model: TextModel, folder: Path, tmp_path: Path
    ) -> None:
        """In the layout of Hugging Face's cache."""
        kept = tmp_path / "models--some--clip"
        shutil.copytree(folder, kept / "snapshots" / ("a" * 40))
        (kept / "refs").mkdir()
        (kept / "refs" / "main").write_text("a" * 40)
        told = load_elsewhere("some/clip", tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{closed_port()}")
        assert told.strip() == model.key


class TestPrompts:
    def test_a_label_is_read_as_words(self) -> None:
        assert sentences_for(["left_turn"])[:2] == ("left turn", "a photo of left turn")
        assert sentences_for(["dog", "A dog that barks."])[len(TEMPLATES)] == "A dog that barks"
        assert sentences_for(["?"])[0] == "?"

    def test_one_row_a_label_and_one_for_none_of_them(self, model: TextModel) -> None:
        prompts = prompts_of(model, ("cat", "b"), {"b": ("bird", "Any bird.")})
        assert prompts.rows.shape == (3, 16)
        assert prompts.model == model.key
        np.testing.assert_allclose(np.linalg.norm(prompts.rows, axis=1), 1, atol=1e-5)
        mean = model.words([template.format(word) for word in ("bird", "Any bird") for template in TEMPLATES]).mean(0)
        np.testing.assert_allclose(prompts.rows[1], mean / np.linalg.norm(mean), atol=1e-5)
        none = model.words(NEUTRAL).mean(axis=0)
        np.testing.assert_allclose(prompts.rows[2], none / np.linalg.norm(none), atol=1e-5)

    def test_scores_are_clips_own_softmax(self, model: TextModel) -> None:
        prompts = prompts_of(model, ("cat", "dog"), {})
        rows = model.pictures(noise(5))
        logits = model.scale * rows @ prompts.rows.T
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(prompts.scores(rows), expected[:, :2], atol=1e-5)
        np.testing.assert_allclose(np.exp(prompts.log_scores(rows)).sum(axis=1), 1, atol=1e-5)


class TestLooking:
    def test_a_few_frames_a_second_of_those_that_are_embedded(
        self, encode: Encode, backbone: Backbone, store: FeatureStore, model: TextModel
    ) -> None:
        pictures = [np.full((96, 128, 3), 30 + 2 * index, np.uint8) for index in range(100)]
        path = encode(pictures)
        features = video_features(path, backbone, store, "video")
        seen = text_view(path, features, model, store, "video")
        np.testing.assert_array_equal(seen.frames, frames_to_look_at(features))
        assert set(seen.frames.tolist()) <= set(features.frames.tolist())
        assert 4 <= len(seen.frames) <= 4 * FRAMES_PER_SECOND + 1
        assert seen.rows.shape == (len(seen.frames), 16)
        assert seen.rows.dtype == np.float16

    def test_each_row_is_of_its_frame(
        self, encode: Encode, backbone: Backbone, store: FeatureStore, model: TextModel
    ) -> None:
        path = encode([np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8) for index in range(60)])
        features = video_features(path, backbone, store, "video")
        seen = text_view(path, features, model, store, "video")
        every = np.stack([picture for _, picture in decode_sized(path, features.timeline, (SIZE, SIZE))])
        fits = seen.rows.astype(np.float32) @ model.pictures(every).T
        np.testing.assert_array_equal(fits.argmax(axis=1), seen.frames)

    def test_it_is_looked_at_once(
        self, encode: Encode, backbone: Backbone, store: FeatureStore, model: TextModel
    ) -> None:
        path = encode([np.full((64, 64, 3), 5 * index, np.uint8) for index in range(40)])
        features = video_features(path, backbone, store, "video")
        assert known_view(store, "video", model.key) is None
        shares: list[float] = []
        first = text_view(path, features, model, store, "video", shares.append)
        assert shares[-1] == 1
        path.unlink()
        again = text_view(path, features, model, store, "video")
        np.testing.assert_array_equal(again.rows, first.rows)
        np.testing.assert_array_equal(again.frames, first.frames)
