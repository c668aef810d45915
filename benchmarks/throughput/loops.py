"""What our pipeline is compared with: the dissertation's loops re-created with today's libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import imagehash
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import models, transforms

_PLAIN_SIDE = 128
_PLAIN_BATCH = 32
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Loop = Callable[[Path, int], float]


def at_its_best(loop: Loop) -> Loop:
    """With one thread of torch's or all of them, whichever is faster: where cores are shared, many wait for each other."""

    def run(path: Path, frames: int) -> float:
        every = torch.get_num_threads()
        speeds = []
        for threads in sorted({1, every}):
            torch.set_num_threads(threads)
            try:
                speeds.append(loop(path, frames // 2))
            finally:
                torch.set_num_threads(every)
        return max(speeds)

    return run


def read(path: Path) -> Iterator[NDArray[np.uint8]]:
    """OpenCV's own reader: (h, w, 3) uint8 BGR."""
    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            there, picture = capture.read()
            if not there:
                return
            yield np.asarray(picture, np.uint8)
    finally:
        capture.release()


def aigva_loop(folder: Path) -> Loop:
    """Per frame: read, write as JPEG, open it again, resize, ResNet-34 on a batch of one, argmax, delete."""
    net = models.resnet34(weights=None).eval()
    prepare = transforms.Compose(
        [transforms.Resize((_PLAIN_SIDE, _PLAIN_SIDE)), transforms.ToTensor(), transforms.Normalize(_MEAN, _STD)]
    )
    file = folder / "frame.jpg"

    def run(path: Path, frames: int) -> float:
        began, done = time.perf_counter(), 0
        for picture in read(path):
            cv2.imwrite(str(file), picture)
            with Image.open(file) as image, torch.inference_mode():
                net(prepare(image.convert("RGB"))[None]).argmax().item()
            file.unlink()
            done += 1
            if done == frames:
                break
        return done / (time.perf_counter() - began)

    return run


def plain_loop() -> Loop:
    """OpenCV's reader and MobileNetV2 in torch, batches of 32, one thing after the other."""
    net = models.mobilenet_v2(weights=None).eval()
    mean, std = torch.tensor(_MEAN).view(3, 1, 1), torch.tensor(_STD).view(3, 1, 1)

    def run(path: Path, frames: int) -> float:
        began, done = time.perf_counter(), 0
        batch: list[NDArray[np.uint8]] = []
        for picture in read(path):
            small = cv2.cvtColor(cv2.resize(picture, (_PLAIN_SIDE, _PLAIN_SIDE)), cv2.COLOR_BGR2RGB)
            batch.append(np.asarray(small, np.uint8))
            done += 1
            if len(batch) == _PLAIN_BATCH:
                with torch.inference_mode():
                    net((torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2) / 255 - mean) / std).argmax(1)
                batch.clear()
            if done >= frames:
                break
        return done / (time.perf_counter() - began)

    return run


def seek_and_hash(path: Path, seconds: float) -> tuple[float, float]:
    """The dissertation's suggestion: seek to each sample, hash the whole frame. Seconds it took for `seconds` of video,
    and how many of those it covered."""
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    count = min(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), int(seconds * rate))
    began = time.perf_counter()
    for second in range(int(count / rate) + 1):
        capture.set(cv2.CAP_PROP_POS_FRAMES, min(round(second * rate), count - 1))
        there, picture = capture.read()
        if there:
            imagehash.phash(Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    took = time.perf_counter() - began
    capture.release()
    return took, count / rate
