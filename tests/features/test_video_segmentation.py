"""SAM 2 of transformers: what is seen is what its own video session sees, whatever is forgotten of it on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_sam2 import tiny_sam2
from transformers import Sam2ImageProcessor, Sam2VideoModel, Sam2VideoProcessor, Sam2VideoVideoProcessor

from ml_backend.errors import WeightsError
from ml_backend.features.video_segmentation import VideoSegmenter, box_of, load_segmenter

NAME = "hf/our-lab/tiny"
BOX = np.array([20.0, 16.0, 60.0, 44.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    detectors = tmp_path_factory.mktemp("detectors")
    (detectors / NAME).mkdir(parents=True)
    tiny_sam2(detectors / NAME, there=2)
    return detectors


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> VideoSegmenter:
    return load_segmenter(NAME, "cpu", folder)


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """More than two times as many as are read together."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (37, 9, 16, 3))
    return list(np.kron(coarse, np.ones((1, 10, 10, 1))).astype(np.uint8))


def of_transformers(folder: Path, pictures: list[NDArray[np.uint8]]) -> list[tuple[NDArray[np.float64] | None, float]]:
    """Boxes of the masks, and how sure it is, of a session that holds the whole video and forgets nothing."""
    model = Sam2VideoModel.from_pretrained(folder).eval()
    processor = Sam2VideoProcessor(Sam2ImageProcessor.from_pretrained(folder), Sam2VideoVideoProcessor())
    shown = processor(images=pictures, return_tensors="pt")["pixel_values"]
    session = processor.init_video_session()
    session.processed_frames, session.video_height, session.video_width = dict(enumerate(shown)), 90, 160
    corners = [*BOX[:2], *(BOX[:2] + BOX[2:])]
    processor.add_inputs_to_inference_session(session, 0, 1, input_boxes=[[[float(each) for each in corners]]])
    boxes = []
    with torch.inference_mode():
        for answer in model.propagate_in_video_iterator(session, start_frame_idx=0):
            [mask] = processor.post_process_masks([answer.pred_masks], [(90, 160)], binarize=False)
            boxes.append((box_of(mask[0, 0] > 0), float(answer.object_score_logits.sigmoid())))
    return boxes


def test_what_is_seen_is_what_a_session_of_the_whole_video_sees(
    folder: Path, segmenter: VideoSegmenter, pictures: list[NDArray[np.uint8]]
) -> None:
    found = list(segmenter.follow(iter(pictures), BOX))
    expected = of_transformers(folder / NAME, pictures)
    assert len(found) == len(expected) == 37
    for (box, score), (other, sure) in zip(found, expected, strict=True):
        assert box is not None
        assert other is not None
        assert np.abs(box - other).max() <= 1
        assert score == pytest.approx(sure, abs=1e-5)
    # It depends on what is remembered: no two pictures get the same score.
    assert len({round(score, 5) for _, score in found}) > 30


def test_pictures_are_read_as_they_are_needed(segmenter: VideoSegmenter, pictures: list[NDArray[np.uint8]]) -> None:
    read = iter(pictures)
    next(segmenter.follow(read, BOX))
    assert len(list(read)) == 37 - 16


def test_where_it_says_that_nothing_is_there_is_no_box(tmp_path: Path, pictures: list[NDArray[np.uint8]]) -> None:
    (tmp_path / "hf" / "blind").mkdir(parents=True)
    tiny_sam2(tmp_path / "hf" / "blind", there=-10)
    blind = load_segmenter("hf/blind", "cpu", tmp_path)
    assert list(blind.follow(iter(pictures[:3]), BOX)) == [(None, 0.0)] * 3


def test_the_box_of_a_mask_holds_all_of_it() -> None:
    mask = torch.zeros(8, 10, dtype=torch.bool)
    assert box_of(mask) is None
    mask[2, 3] = mask[5, 8] = True
    assert np.array_equal(box_of(mask), [3, 2, 6, 4])


def test_a_model_that_follows_nothing_is_named(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "hf" / "boxes"
    other.mkdir(parents=True)
    for each in (folder / NAME).iterdir():
        (other / each.name).write_bytes(each.read_bytes())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "rt_detr_v2"}))
    with pytest.raises(WeightsError, match="has a model of the type rt_detr_v2, which follows nothing"):
        load_segmenter("hf/boxes", "cpu", tmp_path)


def test_weights_that_are_damaged_are_named(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "hf" / "damaged"
    other.mkdir(parents=True)
    for each in (folder / NAME).iterdir():
        (other / each.name).write_bytes(
            each.read_bytes()[:1000] if each.suffix == ".safetensors" else each.read_bytes()
        )
    with pytest.raises(WeightsError, match="is no SAM 2 model that runs"):
        load_segmenter("hf/damaged", "cpu", tmp_path)


def test_weights_under_a_license_of_their_own_are_refused_until_it_is_named(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "hf" / "bound"
    other.mkdir(parents=True)
    for each in (folder / NAME).iterdir():
        (other / each.name).write_bytes(each.read_bytes())
    (other / "README.md").write_text("---\nlicense: agpl-3.0\n---\n")
    with pytest.raises(WeightsError, match=r"under the license agpl-3\.0"):
        load_segmenter("hf/bound", "cpu", tmp_path)
    assert load_segmenter("hf/bound", "cpu", tmp_path, accepted="agpl-3.0").name == "hf/bound"
