"""Blitz with a network of the project's own: fine-tuned when it is worth it, used when it is no worse than the frozen one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from redis import Redis

from ml_backend.cards.json_object import Json
from ml_backend.cards.measurements import Metrics
from ml_backend.cards.model_card import Network
from ml_backend.features.backbones import Backbone, network_of
from ml_backend.jobs.embeddings import forget_networks, load_network
from ml_backend.jobs.progress import Progress
from ml_backend.jobs.project import ProjectWork, roi_for
from ml_backend.jobs.training.labelled import Annotated
from ml_backend.jobs.training.labelled_videos import labelled_videos
from ml_backend.jobs.videos import task_video
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.evaluation import CrossValidation, Fit, cross_validated
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.groups import held_out_share
from ml_backend.learning.networks import newest_network, save_network
from ml_backend.learning.pictures import Pictures, pictures_of
from ml_backend.projects import registry
from ml_backend.queueing.job_limits import allow

if TYPE_CHECKING:
    from ml_backend.learning.finetune import Curve

_TOO_FEW = (
    "blitz.fit is finetune, but the network cannot be trained yet: this needs reviewed videos to hold out, and the "
    "remaining ones must show every label. Until then the frozen network is used. Review more videos."
)
_NO_BETTER = (
    "The fine-tuned network is not used: on {} held-out recordings macro-F1 is {:.3f} with it and {:.3f} with the frozen "
    "one. Review more videos, or set blitz.fit to head."
)
_LONG = (
    "Fine-tuning the network takes about {} minutes on this machine. Use a GPU, set blitz.cycles or blitz.image_size "
    "lower, or set blitz.fit to head."
)
_SEED = 0
_QUICK_FOLDS = 2
# It is trained again when there are so many times more videos; in between only the head is.
_GROWN = 1.25
_LONG_SECONDS = 600.0
# Twice what an epoch's 1,500 pictures of 160 x 160 take on a slow processor.
_EPOCH_SECONDS = 300.0
_USUAL_SIDE = 160


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    """`videos`: those of the training, embedded by it. `checked`: a head on them, as in the quick check, on recordings that the
    network has not seen. `metrics`: of that; `frozen_macro_f1` among them is that of the frozen network on the same."""

    backbone: Backbone
    network: Network
    videos: list[LabelledVideo]
    checked: CrossValidation
    metrics: Metrics


def own_network(
    work: ProjectWork,
    annotated: Sequence[Annotated],
    videos: Sequence[LabelledVideo],
    exclusive: bool,
    fit: Fit,
) -> OwnNetwork | None:
    """The project's fine-tuned network, trained now when there is none for these videos; None when the frozen one is the
    better choice, which the admin is told. `videos` are those embedded by the frozen one. Raises VideoError, StorageError.
    """
    models = work.context.models_dir(work.key)
    purpose = {"labels": list(work.question.labels), "exclusive": exclusive, **asdict(work.settings.blitz)}
    network = newest_network(models)
    frozen = work.context.backbone_for(work.settings)
    if network is None or outgrown(network, purpose, frozen.key, len(videos)):
        made = _train(work.part(0, 80), annotated, videos, exclusive, purpose)
        if made is None:
            registry.set_problems(work.context.redis, work.key, "finetune", [_TOO_FEW])
            return None
        network = made
    forget_networks(work.context, work.key, network.digest)
    backbone = load_network(work, network.digest)
    own = labelled_videos(work.part(80, 100), annotated, exclusive, backbone)

    def measured(some: Sequence[LabelledVideo]) -> CrossValidation:
        return cross_validated(
            some,
            work.question.labels,
            fit,
            exclusive=exclusive,
            most_folds=_QUICK_FOLDS,
            trained_on=network.trained_on,
        )

    checked = measured(own)
    metrics, before = checked.metrics(), measured(videos).metrics()
    if not worth_using(work.context.redis, work.key, metrics, before):
        return None
    return OwnNetwork(backbone, network, own, checked, metrics.beside_frozen(before.macro_f1))


def worth_using(redis: Redis, key: str, tuned: Metrics, frozen: Metrics) -> bool:
    """Whether the fine-tuned network is no worse than the frozen one, by the metrics of both on the same recordings; tells
    the admin of project `key` when it is worse, or could not be measured."""
    score, other = tuned.macro_f1, frozen.macro_f1
    worth = score is not None and (other is None or score >= other)
    told = [] if worth else [_NO_BETTER.format(tuned.videos, score or 0.0, other or 0.0)]
    registry.set_problems(redis, key, "finetune", told)
    return worth


def outgrown(network: Network, purpose: Json, base: str, videos: int) -> bool:
    """Whether the network was made for something else, or there are a quarter more videos than it was made with."""
    known = len(network.trained_on) + len(network.validated_on)
    same = network.purpose == purpose and network_of(network.base) == network_of(base)
    return not same or videos >= _GROWN * known


def _train(
    work: ProjectWork,
    annotated: Sequence[Annotated],
    videos: Sequence[LabelledVideo],
    exclusive: bool,
    purpose: Json,
) -> Network | None:
    """None when too few videos are labelled."""
    # Imported here, since a worker that converted its network before needs no torch for anything else.
    from ml_backend.features.gpu import gpu_lock
    from ml_backend.features.networks import build
    from ml_backend.features.weights import find_weights
    from ml_backend.learning.finetune import CPU_EPOCH, GPU_EPOCH, VALIDATION, finetune

    settings = work.settings.blitz
    held = held_out_share(videos, work.question.labels, exclusive, settings.validation_split, _SEED)
    if held is None:
        return None
    training = [video for video in videos if video.task not in held]
    validation = [video for video in videos if video.task in held]
    models = work.context.models_dir(work.key)
    models.mkdir(parents=True, exist_ok=True)
    base = work.context.backbone_for(work.settings).key
    cuda = "-cuda-" in base
    shown = GPU_EPOCH if cuda else CPU_EPOCH
    allow(_EPOCH_SECONDS * (settings.cycles + 1) * (settings.image_size / _USUAL_SIDE) ** 2)
    pictures = partial(_pictures, work, {each.task.id: each.task for each in annotated})
    learnt = pictures(training, shown * settings.cycles, "train the network on", work.progress.part(0, 8))
    judged = pictures(validation, VALIDATION, "judge the network by", work.progress.part(8, 10))
    kept = work.context.settings.data_dir / "weights"
    of = work.context.settings
    weights = find_weights(of.backbone, of.backbone_weights, kept, of.backbone_license)
    started, teller = time.monotonic(), _Teller(work, settings.cycles)
    tuned = finetune(
        work.context.settings.backbone,
        build(work.context.settings.backbone, weights, work.settings.resolution),
        learnt,
        judged,
        work.question.labels,
        settings,
        exclusive=exclusive,
        device="cuda" if cuda else "cpu",
        seed=_SEED,
        lock=gpu_lock(kept) if cuda else None,
        progress=teller.share,
        on_epoch=teller.epoch,
    )
    return save_network(
        models,
        tuned.state,
        Network(
            digest="",
            base=base,
            purpose=purpose,
            trained_on=tuple(video.task for video in training),
            validated_on=tuple(video.task for video in validation),
            curve=tuple(tuned.curve),
            best=tuned.best,
            frames=len(learnt),
            seconds=round(time.monotonic() - started, 1),
            device="cuda" if cuda else "cpu",
            seed=_SEED,
            created=datetime.now(UTC).isoformat(),
        ),
    )


def _pictures(
    work: ProjectWork,
    tasks: Mapping[int, Task],
    videos: Sequence[LabelledVideo],
    most: int,
    what: str,
    progress: Progress,
) -> Pictures:
    """At most so many labelled frames of the videos, to `what`, which `progress` says."""
    settings = work.settings.blitz
    return pictures_of(
        videos,
        work.question.labels,
        lambda video: task_video(work.context, work.question, tasks[video.task]).path,
        lambda video: roi_for(work, tasks[video.task]),
        size=(settings.image_size, settings.image_size),
        step=settings.frame_step,
        most=most,
        folder=work.context.models_dir(work.key),
        progress=progress.share(f"decoding the frames to {what}"),
    )


class _Teller:
    """Tells how far the training is, how long it still takes, and its curve."""

    def __init__(self, work: ProjectWork, cycles: int) -> None:
        self._work, self._cycles, self._started = work, cycles, time.monotonic()
        self._curve: Curve = []
        self._warned = False

    def epoch(self, point: dict[str, float]) -> None:
        self._curve.append(point)
        self._work.progress.show_curve(self._curve)

    def share(self, done: float) -> None:
        whole, points = (time.monotonic() - self._started) / done, len(self._curve)
        # The first steps tell little, and the head alone is trained faster than all.
        if not self._warned and points >= 1 and whole > _LONG_SECONDS:
            self._warned = True
            told = [_LONG.format(round(whole / 60))]
            registry.set_problems(self._work.context.redis, self._work.key, "finetune", told)
        left = max(round(whole * (1 - done) / 60), 1)
        text = f"training the network, epoch {points} of {self._cycles}, at most {left} minutes left"
        self._work.progress.report(10 + 90 * done, text)
