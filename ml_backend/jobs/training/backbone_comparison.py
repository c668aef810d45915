"""Which backbone serves a project best: several are compared on some of its labelled frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ColdblitzError, NotEnoughLabels, VideoError
from ml_backend.features.backbones import load_backbone
from ml_backend.features.hub import backbone_names
from ml_backend.jobs.individuals.cast import individuals_of
from ml_backend.jobs.project import ProjectWork, roi_for
from ml_backend.jobs.training.labelled import annotated_for, annotated_tasks, are_exclusive, labels_of
from ml_backend.jobs.videos import task_video
from ml_backend.learning.bench import Sample, measure
from ml_backend.learning.examples import examples, thin
from ml_backend.settings import Settings
from ml_backend.video.timeline import read_timeline
from ml_backend.video.whole_frames import decode_sized

__all__ = ["backbone_names", "bench_sample", "compared"]

_VIDEOS = 20


def bench_sample(work: ProjectWork, most: int, told: Callable[[str], None]) -> Sample:
    """At most `most` labelled frames, as many of each of at most 20 videos. `told`: why a video is left out.

    Raises NotEnoughLabels.
    """
    if individuals_of(work) is not None:
        raise NotEnoughLabels(
            f"Backbones are compared on whole pictures, and in project {work.id} each individual has a timeline.",
            "Compare them in a project without the setting per_individual.",
        )
    annotated = annotated_for(work, annotated_tasks(work))
    exclusive = are_exclusive(work, annotated)
    some = [annotated[at] for at in np.unique(np.linspace(0, len(annotated) - 1, _VIDEOS).round().astype(int))][
        : len(annotated)
    ]
    pictures: list[NDArray[np.uint8]] = []
    values: list[NDArray[np.int8]] = []
    video: list[int] = []
    for each in some:
        try:
            path = task_video(work.context, work.question, each.task).path
            timeline = read_timeline(path)
            labels = labels_of(work, each, timeline, exclusive)
            chosen = thin(examples(labels, np.arange(len(timeline), dtype=np.int64)), max(most // len(some), 2))
            at = dict(zip(chosen.frames.tolist(), chosen.values, strict=True))
            roi, side = roi_for(work, each.task), work.settings.resolution
            for index, picture in decode_sized(path, timeline, (side, side), at.__contains__, roi):
                pictures.append(picture)
                values.append(at[index])
                video.append(each.task.id)
        except VideoError as error:
            told(f"Task {each.task.id} is left out: {error}")
    if len(set(map(bytes, values))) < 2:
        raise NotEnoughLabels(
            f"Project {work.id} has too few labeled frames to compare backbones.",
            "Label frames of two kinds, and try again.",
        )
    return Sample(work.question.labels, exclusive, np.stack(pictures), np.stack(values), np.array(video, np.intp))


def compared(settings: Settings, name: str, sample: Sample) -> dict[str, Any]:
    """What was measured of a backbone, `name` or `name=path of its weights`, or the `problem` why it could not be; JSON."""
    plain, _, weights = name.partition("=")
    row: dict[str, Any] = {"backbone": plain, "license": "", "problem": ""}
    try:
        loaded = load_backbone(
            plain,
            weights or "default",
            settings.device,
            settings.data_dir / "weights",
            settings.backbone_license,
            side=sample.pictures.shape[1],
            runtime=settings.embedding_runtime,
        )
        found = asdict(measure(loaded, sample))
    except ColdblitzError as error:
        return {**row, "frames_per_second": None, "macro_f1": None, "dimensions": None, "problem": str(error)}
    # One without weights shows only how fast it is.
    untrained = {} if loaded.trained else {"macro_f1": None, "problem": loaded.warning or ""}
    return {**row, **found, "license": loaded.licence, **untrained}
