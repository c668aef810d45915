"""The two limits that the pipeline is measured by: decoding alone, and the network alone."""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from ml_backend.features.backbones import Backbone
from ml_backend.video.view import PICTURE


def decode_limit(path: Path) -> float:
    """Frames a second of decoding on all cores and scaling every frame to the network's RGB square with one scaler."""
    scaler = VideoReformatter()
    began, done = time.perf_counter(), 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            scaler.reformat(frame, PICTURE, PICTURE, "rgb24", interpolation=Interpolation.FAST_BILINEAR).to_ndarray()
            done += 1
    return done / (time.perf_counter() - began)


def inference_limit(backbone: Backbone) -> float:
    """Pictures a second of the network alone, with the threads it gets in the pipeline."""
    pictures = np.random.default_rng(0).integers(0, 255, (8 * backbone.batch, PICTURE, PICTURE, 3), dtype=np.uint8)
    backbone.embed(pictures)
    began = time.perf_counter()
    backbone.embed(pictures)
    return len(pictures) / (time.perf_counter() - began)
