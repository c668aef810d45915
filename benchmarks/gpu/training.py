"""What else uses the GPU: fine-tuning a network, and detectors."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.budget import Note, Setup
from benchmarks.gpu.material import (
    DETECTORS,
    MOBILENET,
    clip_of,
    detectors_folder,
    network_of,
    shorts_of,
    shown,
)
from benchmarks.gpu.watch import Watch, held_mib
from benchmarks.throughput.limits import decode_limit
from ml_backend.learning.finetune import augmented, finetune
from ml_backend.learning.pictures import Pictures
from ml_backend.project_settings import BlitzSettings

_EPOCHS, _SIDE = 2, 160
_LABELS = ("first", "second")


def finetuning(setup: Setup, note: Note) -> None:
    """Two epochs, and the one before them that trains the last layer alone. The labels mean nothing: every other clip has the other."""
    clips = shorts_of(setup)
    training = _labeled(setup, clips[1:], setup.scaled(4000, 32))
    validation = _labeled(setup, clips[:1] + clips[-1:], setup.scaled(400, 16))
    some = torch.from_numpy(training.pixels[:64])
    began = time.perf_counter()
    augmented(some, torch.Generator().manual_seed(0))
    note(
        training_pictures=len(training),
        validation_pictures=len(validation),
        augmenting_pictures_per_second=round(len(some) / (time.perf_counter() - began)),
    )
    epochs: list[float] = [time.perf_counter()]
    model, _ = network_of(MOBILENET, setup)
    with Watch() as watch:
        tuned = finetune(
            MOBILENET,
            model,
            training,
            validation,
            _LABELS,
            BlitzSettings("finetune", cycles=_EPOCHS, early_stopping=_EPOCHS, image_size=_SIDE),
            exclusive=True,
            device=setup.device,
            on_epoch=lambda point: epochs.append(time.perf_counter()),
        )
    spent = np.diff(epochs)
    note(
        epochs=len(spent) - 1,
        epoch_seconds=[round(float(each), 2) for each in spent],
        # Each epoch is measured on the validation pictures, too.
        pictures_per_second=round(float((len(training) + len(validation)) / spent[1:].mean())),
        train_loss=[round(point["train_loss"], 4) for point in tuned.curve],
        gpu=watch.report,
        after=held_mib(),
    )


def _labeled(setup: Setup, clips: list[Path], most: int) -> Pictures:
    parts = [shown([clip], max(most // len(clips), 2), _SIDE) for clip in clips]
    values = np.zeros((sum(map(len, parts)), len(_LABELS)), np.int8)
    values[np.arange(len(values)), np.repeat([number % 2 for number in range(len(parts))], [*map(len, parts)])] = 1
    return Pictures(np.concatenate(parts), values, np.ones(len(values), np.float32))


def detectors(setup: Setup, note: Note) -> None:
    """The tracks of the clip, by each of two detectors; with random weights they find nothing, and take as long."""
    from ml_backend.objects.choosing import Places, make_detector
    from ml_backend.objects.finder import find_tracks
    from ml_backend.video.timeline import read_timeline

    folder = detectors_folder(setup)
    path = clip_of(setup)
    timeline = read_timeline(path)
    for name in DETECTORS:
        detector = make_detector(name, Places(weights=folder, cache=setup.cache, device=setup.device))
        detector([np.zeros((90, 160, 3), np.uint8)])
        limit = decode_limit(path)
        with Watch() as watch:
            began = time.perf_counter()
            tracks = find_tracks(path, timeline, detector)
            took = time.perf_counter() - began
        fps = len(timeline) / took
        note(
            **{
                name: {
                    "frames_per_second": round(fps, 1),
                    "share_of_decode_limit": round(fps / limit, 3),
                    "looks_a_second_of_video": detector.rate,
                    "tracks": len(tracks),
                    "gpu": watch.report,
                    "after": held_mib(),
                }
            }
        )
