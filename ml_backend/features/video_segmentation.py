"""Following one subject by its mask with SAM 2 of transformers (Ravi et al., Segment Anything in Images and Videos, 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ml_backend.errors import WeightsError
from ml_backend.features.backbones import device_for
from ml_backend.features.detection import Picture, ready_on
from ml_backend.features.detection_weights import find_detector_weights
from ml_backend.features.hub import CONFIG, config_of, needed

_KIND = "sam2_video"
_FOLDER = (
    "Use a folder of a SAM 2 model for videos as transformers saves it, such as that of facebook/sam2.1-hiera-tiny."
)
# A worker has the GPU for so many pictures.
_TOGETHER = 16
Box = NDArray[np.float64]
# What is seen in one picture: the box of its mask, None where it is not there, and how sure that is.
Seen = tuple[Box | None, float]


@dataclass(frozen=True, eq=False)
class VideoSegmenter:
    """`follow`: pictures of one size, (height, width, 3) uint8 RGB, in either order of time, and the box of what is to be followed in
    the first, (4,) float64 left, top, width, height in its pixels, to what is seen in each: such a box, or None, and a score in
    0..1. It reads 16 pictures at a time, raises WeightsError where the network cannot run, and DeviceFull."""

    name: str
    follow: Callable[[Iterator[Picture], Box], Iterator[Seen]] = field(repr=False)


@lru_cache(maxsize=1)
def load_segmenter(
    name: str,
    device: str = "auto",
    folder: Path | None = None,
    cache_dir: Path | None = None,
    accepted: str | None = None,
    stamp: str = "",
) -> VideoSegmenter:
    """The SAM 2 model `hf/<name>`, loaded once per process. The arguments are those of `load_detection`.

    Raises WeightsError, and SettingsError for a device that is not there.
    """
    needed("transformers", "text", "The follower")
    where = device_for(device)
    model, processor = _loaded(find_detector_weights(name, folder, cache_dir, accepted).path)

    def follow(pictures: Iterator[Picture], box: Box) -> Iterator[Seen]:
        memory = _Memory(model, processor, where)
        while some := list(islice(pictures, _TOGETHER)):
            try:
                with ready_on(model, where, cache_dir), torch.inference_mode():
                    seen = [memory.see(picture, box) for picture in some]
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, ValueError, ArithmeticError) as error:  # layers of sizes that do not fit each other
                raise _unreadable(Path(name), error) from error
            yield from seen

    return VideoSegmenter(name, follow)


class _Memory:
    """What is remembered of one subject: the picture in which it was boxed, and of those before only as many as the model looks
    back at, so that it does not grow with the video."""

    def __init__(self, model: Any, processor: Any, device: str) -> None:
        self._model, self._processor, self._device = model, processor, device
        self._session = processor.init_video_session(inference_device=device, inference_state_device="cpu")
        self._back = max(model.config.num_maskmem, model.config.max_object_pointers_in_encoder)
        self._at = 0

    def see(self, picture: Picture, box: Box) -> Seen:
        """In the next picture; in the first, what `box` holds is taken up."""
        height, width = picture.shape[:2]
        shown = self._processor(images=picture, input_data_format="channels_last", return_tensors="pt")
        if self._at == 0:
            corners = [[[float(each) for each in (*box[:2], *(box[:2] + box[2:]))]]]
            self._processor.add_inputs_to_inference_session(
                self._session, 0, 1, input_boxes=corners, original_size=(height, width)
            )
        answer = self._model(self._session, frame_idx=self._at, frame=shown["pixel_values"][0].to(self._device))
        self._forget()
        self._at += 1
        there = float(answer.object_score_logits.float().sigmoid().flatten()[0])
        mask = interpolate(answer.pred_masks.float(), (height, width), mode="bilinear", align_corners=False)[0, 0] > 0
        return (box_of(mask), there) if there >= 0.5 else (None, 0.0)

    def _forget(self) -> None:
        session = self._session
        session.processed_frames.pop(self._at)
        # Pictures are taken by their number, and the model asks for none that is farther back.
        session.output_dict_per_obj[0]["non_cond_frame_outputs"].pop(self._at - self._back, None)
        session.frames_tracked_per_obj[0].pop(self._at - self._back, None)


def box_of(mask: Tensor) -> Box | None:
    """(4,) left, top, width, height in pixels of what is True in a (height, width) mask; None where nothing is."""
    across, down = (torch.nonzero(mask.any(axis)).flatten().tolist() for axis in (0, 1))
    if not across:
        return None
    return np.array([across[0], down[0], across[-1] + 1 - across[0], down[-1] + 1 - down[0]], np.float64)


def _loaded(folder: Path) -> tuple[Any, Any]:
    kind = config_of(folder).get("model_type")
    if kind != _KIND:
        raise WeightsError(f"{folder} has a model of the type {kind}, which follows nothing.", _FOLDER)
    from transformers import Sam2ImageProcessor, Sam2VideoModel, Sam2VideoProcessor, Sam2VideoVideoProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        found: Any = Sam2VideoModel.from_pretrained(
            folder,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        model, told = found
        pictures = Sam2ImageProcessor.from_pretrained(folder, local_files_only=True)
        processor = Sam2VideoProcessor(pictures, Sam2VideoVideoProcessor())
    except Exception as error:  # the loaders raise a dozen kinds on files that are not theirs
        raise _unreadable(folder, error) from error
    if absent := sorted(map(str, chain(told["missing_keys"], told["mismatched_keys"]))):
        raise WeightsError(f"The weights in {folder} do not fit its {CONFIG} ({absent[0]}).", _FOLDER)
    return model.eval().requires_grad_(False), processor


def _unreadable(folder: Path, error: Exception) -> WeightsError:
    said = str(error).strip().splitlines() or [""]
    return WeightsError(f"{folder} is no SAM 2 model that runs ({type(error).__name__}: {said[0][:200]}).", _FOLDER)
