"""What a new version is compared with: the answers of the version that annotators are shown."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ml_backend.errors import StorageError
from ml_backend.features.backbones import network_of
from ml_backend.jobs.own_network import sees_as_then
from ml_backend.jobs.project import ProjectWork
from ml_backend.learning.comparison import Asked, Comparison, compared
from ml_backend.learning.evaluation import CrossValidation
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.heldout import HeldAnswers, load_answers
from ml_backend.learning.metrics import Values, decided
from ml_backend.learning.versions import ModelCard, is_custom, load_card, load_heads
from ml_backend.learning.whole import LabelledWhole
from ml_backend.projects import registry

log = logging.getLogger(__name__)

_BLIND = "cannot predict with the backbone, resolution, and roi that are set now"

Videos = Sequence[LabelledVideo] | Sequence[LabelledWhole]


def against_shown(
    work: ProjectWork,
    new: HeldAnswers | None,
    checked: CrossValidation | None,
    videos: Videos,
    seen_by: str,
) -> dict[str, Any]:
    """The comparison of `new` answers to the question of `work` with those of the version that is shown, as JSON; empty where
    there is nothing to compare.

    `checked`: how the new ones came about. `videos`: those labelled now, embedded by the network `seen_by`, a digest, or by the
    frozen one where it is empty.
    """
    version = registry.active_version(work.context.redis, work.key)
    if version is None:
        return {}
    try:
        whole = load_card(work.context.models_dir(work.key), version)
        card = whole.about(work.question.from_name)
    except StorageError:
        return {}  # its files are gone
    if card is None:
        return Comparison(version, False, f"{version} does not answer it").as_json()
    old = load_answers(work.context.models_dir(work.key), version, card.question)
    if new is None or checked is None or old is None:
        few = (
            "there are too few videos to measure it"
            if new is None
            else f"{version} was not measured when it was trained"
        )
        return Comparison(version, False, few).as_json()
    asked = [
        Asked(video.task, _values(video, new.labels), checked.recording[video.task])
        for video in videos
        if video.task in checked.recording
    ]
    known = {one.recording for one in asked if one.task in old.taught}
    unseen = {one.task for one in asked if one.recording not in known}
    frozen = work.context.backbone_for(work.settings).network
    same = _network(card) == seen_by and (seen_by or network_of(card.backbone) == frozen)
    later = _answers(work, card, [v for v in videos if v.task in unseen]) if same else {}
    found = compared(version, new, old, asked, later)
    if found.worse and not is_custom(version) and not sees_as_then(work, card):
        # Held back for a version that predicts no more, it would leave new videos without predictions.
        found = Comparison(version, False, f"{found.said}, but {version} {_BLIND}")
    return found.as_json()


def _network(card: ModelCard) -> str:
    return str(card.network.get("digest", ""))


def _values(video: LabelledVideo | LabelledWhole, labels: tuple[str, ...]) -> Values:
    if isinstance(video, LabelledWhole):
        return video.values[None]
    return video.labels.select(labels).resized(len(video.features)).values


def _answers(work: ProjectWork, card: ModelCard, videos: Sequence[LabelledVideo | LabelledWhole]) -> dict[int, Values]:
    """What a version says of videos that it has not seen; nothing where it cannot be had of it."""
    if is_custom(card.name) or not videos:
        return {}
    try:
        heads = load_heads(work.context.models_dir(work.key), card.name)
    except StorageError as error:
        log.warning("%s", error)
        return {}
    head = next(head for head, own in heads if own.question == card.question)
    found: dict[int, Values] = {}
    for video in videos:
        p = head.probabilities(video.features)
        found[video.task] = decided(p if isinstance(head, Head) else p[None], head.exclusive)
    return found
