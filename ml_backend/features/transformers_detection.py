"""Object detectors of transformers: those for fixed classes (D-FINE, RT-DETR, DETR, …), and those that look for what a text says
(OWLv2: Minderer et al., 2023; Grounding DINO: Liu et al., 2023)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ml_backend.errors import WeightsError
from ml_backend.features.detection import Built, Found, Picture
from ml_backend.features.detection_weights import DetectorWeights
from ml_backend.features.hub import CONFIG, needed

_OWL = ("owlv2", "owlvit")
_GROUNDING = ("grounding-dino", "mm-grounding-dino")
# What is less sure is noise mostly: of fixed classes, and of the two kinds that read text, as their makers have it.
_USUAL, _USUAL_OWL, _USUAL_GROUNDING = 0.4, 0.1, 0.25
# Larger pictures than they are shown gain nothing.
_SIDE = 1333
_FOLDER = "Use a folder of an object detector as transformers saves it."


def build_transformers(name: str, weights: DetectorWeights, words: tuple[str, ...]) -> Built:
    """The detector `hf/<name>` in eval mode. `words`: what one that reads text looks for. Raises WeightsError."""
    needed("transformers", "text", "The detector")
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = weights.path
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the loaders raise a dozen kinds on files that are not theirs
        raise _unreadable(folder, error) from error
    if config.model_type in (*_OWL, *_GROUNDING):
        if not words:
            raise WeightsError(
                f"{name} looks for what a text says, and there is none.",
                "Give names to look for: labels of the boxes in the label config, or --class.",
            )
        return _reader(folder, config, words)
    return _of_fixed_classes(folder, config)


def _of_fixed_classes(folder: Path, config: Any) -> Built:
    from transformers import AutoModelForObjectDetection

    module, shown = _loaded(folder, config, AutoModelForObjectDetection)
    names = {int(number): str(name) for number, name in module.config.id2label.items()}
    classes = tuple(names.get(number, f"class {number}") for number in range(max(names, default=-1) + 1))

    def run(pictures: Sequence[Picture], device: str, least: float) -> list[Found]:
        answer = module(**shown(pictures, device))
        return _processed(shown.processor, answer, pictures, least)

    return Built(module, classes, _SIDE, _USUAL, run)


def _reader(folder: Path, config: Any, words: tuple[str, ...]) -> Built:
    from transformers import AutoModelForZeroShotObjectDetection, AutoTokenizer

    module, shown = _loaded(folder, config, AutoModelForZeroShotObjectDetection)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as above
        raise _unreadable(folder, error) from error
    plain = [re.sub(r"[\s_]+", " ", word).strip() for word in words]
    if config.model_type in _OWL:
        run, usual = _owl(module, shown, tokenizer, plain), _USUAL_OWL
    else:
        run, usual = _grounding(module, shown, tokenizer, plain, folder), _USUAL_GROUNDING
    return Built(module, words, _SIDE, usual, run, half=False)


Run = Callable[[Sequence[Picture], str, float], list[Found]]


def _owl(module: Any, shown: _Shown, tokenizer: Any, words: Sequence[str]) -> Run:
    longest = int(module.config.text_config.max_position_embeddings)
    texts = [f"a photo of a {word}" for word in words]
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=longest, return_tensors="pt")

    def run(pictures: Sequence[Picture], device: str, least: float) -> list[Found]:
        asked = {part: tokens[part].repeat(len(pictures), 1).to(device) for part in ("input_ids", "attention_mask")}
        answer = module(**shown(pictures, device), **asked)
        return _processed(shown.processor, answer, pictures, least)

    return run


def _grounding(module: Any, shown: _Shown, tokenizer: Any, words: Sequence[str], folder: Path) -> Run:
    """It is given `white mouse. rat.` and says of each box how well it fits each token; a word is as sure as its surest."""
    stop = tokenizer.convert_tokens_to_ids(".")
    ids, spans = [tokenizer.cls_token_id], []
    for word in words:
        own = tokenizer(word.lower(), add_special_tokens=False)["input_ids"]
        spans.append((len(ids), len(ids) + len(own)))
        ids += [*own, stop]
    ids.append(tokenizer.sep_token_id)
    most = int(module.config.max_text_len)
    if len(ids) > most or any(first == last for first, last in spans):
        raise WeightsError(
            f"The model in {folder} reads {most} pieces of words, and the names of the labels are {len(ids)}.",
            "Use fewer or shorter names: predicted_values in the label config says what to look for instead of a label's name.",
        )
    text = torch.tensor([ids])

    def run(pictures: Sequence[Picture], device: str, least: float) -> list[Found]:
        asked = text.repeat(len(pictures), 1).to(device)
        answer = module(
            **shown(pictures, device),
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            token_type_ids=torch.zeros_like(asked),
        )
        fits = answer.logits.sigmoid()
        each = torch.stack([fits[..., first:last].amax(-1) for first, last in spans], -1)
        scores, classes = each.max(-1)
        return [
            _as_found(_corners(boxes, picture), sure, which)
            for boxes, sure, which, picture in zip(answer.pred_boxes, scores, classes, pictures, strict=True)
        ]

    return run


class _Shown:
    """Pictures as a network is shown them: by its own processor."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, pictures: Sequence[Picture], device: str) -> dict[str, Tensor]:
        given = self.processor(images=list(pictures), input_data_format="channels_last", return_tensors="pt")
        return {name: tensor.to(device) for name, tensor in given.items()}


def _loaded(folder: Path, config: Any, kind: Any) -> tuple[Any, _Shown]:
    from transformers import AutoImageProcessor

    # What is in a backbone that a config names is among the weights; it is not downloaded first.
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = False
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        module, told = kind.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **safe
        )
        processor = AutoImageProcessor.from_pretrained(folder, **safe)  # type: ignore[no-untyped-call]
    except Exception as error:  # the loaders raise a dozen kinds on files that are not theirs
        raise _unreadable(folder, error) from error
    if absent := sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]])):
        raise WeightsError(f"The weights in {folder} do not fit its {CONFIG} ({absent[0]}).", _FOLDER)
    return module.eval().requires_grad_(False), _Shown(processor)


def _unreadable(folder: Path, error: Exception) -> WeightsError:
    said = str(error).strip().splitlines() or [""]
    return WeightsError(f"{folder} is no object detector ({type(error).__name__}: {said[0][:200]}).", _FOLDER)


def _processed(processor: Any, answer: Any, pictures: Sequence[Picture], least: float) -> list[Found]:
    sizes = [each.shape[:2] for each in pictures]
    found = processor.post_process_object_detection(answer, threshold=least, target_sizes=sizes)
    return [_as_found(each["boxes"], each["scores"], each["labels"]) for each in found]


def _as_found(boxes: Tensor, scores: Tensor, classes: Tensor) -> Found:
    return Found(
        boxes.float().cpu().numpy().astype(np.float32),
        scores.float().cpu().numpy().astype(np.float32),
        classes.cpu().numpy().astype(np.int64),
    )


def _corners(boxes: Tensor, picture: Picture) -> Tensor:
    """Left, top, right, bottom in pixels of boxes whose middle, width and height are shares of the picture."""
    height, width = picture.shape[:2]
    middle, size = boxes[:, :2], boxes[:, 2:]
    scale = torch.tensor([width, height, width, height], device=boxes.device)
    return torch.cat([middle - size / 2, middle + size / 2], -1) * scale
