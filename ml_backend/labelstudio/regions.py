"""Label Studio's result items to and from regions. One range per region: Label Studio's editor destroys more on the first edit.

A result holds the items of all of a config's questions, each with the `from_name` of its own. Their ids end with the tag of
their question where a config has several: Label Studio puts a second control's answer about a region into an item with the
same id, and what a model said about one question is nobody's answer to another.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml_backend.annotation import Annotation, Origin, Region, WholeVideo
from ml_backend.labelstudio.label_config import REVIEWED, LabelConfig, Question
from ml_backend.prediction_item import PredictionItem, ResultItem
from ml_backend.provenance import (
    ModelVersion,
    RegionId,
    answer_mark,
    predicted_answer,
    question_id,
    split_id,
    suggestion_id,
)
from ml_backend.video.timeline import StudioFrame

KEYFRAMES_VERSION = "keyframes-v1"
_ORIGINS: tuple[Origin, ...] = ("manual", "prediction", "prediction-changed")


def is_ours(version: str) -> bool:
    """Whether a version is named as those that this backend makes; the predictions may be another Coldblitz's."""
    return version == KEYFRAMES_VERSION or ModelVersion.parse(version) is not None


@dataclass(frozen=True)
class Prediction:
    """One task's pre-annotation. `score` in 0..1: low when a person should look at the task soon.

    It is how sure the model is of the whole task, raised when a task that shows the same problem comes before it.
    """

    task: int
    version: str
    regions: tuple[Region, ...]
    score: float
    whole: WholeVideo | None = None


def suggestion(task: int, frames: Iterable[StudioFrame]) -> Prediction:
    """One-frame regions without a label, which Label Studio lists as *Empty*: a click seeks, a digit labels."""
    return Prediction(task, KEYFRAMES_VERSION, tuple(_empty(suggestion_id(frame), frame) for frame in frames), 0.0)


def asked(version: str, frames: Iterable[StudioFrame]) -> tuple[Region, ...]:
    """The same within a predicted timeline: a model's questions, to be put before its regions."""
    return tuple(_empty(question_id(version, frame), frame) for frame in frames)


def _empty(name: str, frame: StudioFrame) -> Region:
    return Region(name, frame, frame, (), "prediction")


def prediction_json(prediction: Prediction, question: Question) -> PredictionItem:
    """The item for Label Studio's bulk import and for the answer to `/predict`."""
    return joined_json([(question, prediction)])


def joined_json(parts: Sequence[tuple[Question, Prediction]]) -> PredictionItem:
    """The same of what was predicted of one task to several questions: one result, as sure as the least sure part.

    What is asked about a frame comes first: Label Studio lists regions in the order of the result. A frame is asked about
    once, be it that several questions do: the region may be answered to each of them.
    """
    first = parts[0][1]
    items = [item for question, prediction in parts for item in _items(prediction, question)]
    return {
        "task": first.task,
        "model_version": first.version,
        "score": _share(min(prediction.score for _, prediction in parts)),
        "result": items if len(parts) == 1 else [*_asked_once(items), *(item for item in items if not _is_empty(item))],
    }


def _asked_once(items: Iterable[ResultItem]) -> Iterable[ResultItem]:
    """Of what is asked about one frame of one video the first."""
    found: dict[tuple[str, int], ResultItem] = {}
    for item in items:
        if _is_empty(item):
            found.setdefault((item["to_name"], item["value"]["ranges"][0]["start"]), item)
    return found.values()


def _is_empty(item: ResultItem) -> bool:
    return bool(item["value"].get("timelinelabels") == [])


def _items(prediction: Prediction, question: Question) -> Iterable[ResultItem]:
    """But for what is less sure than the control's `model_score_threshold`."""
    least = question.score_threshold
    if prediction.whole is not None and prediction.whole.labels and _is_sure(prediction.whole.score, least):
        yield _choices_json(prediction.whole, question)
    for region in prediction.regions:
        if _is_sure(region.score, least):
            yield _region_json(region, question)


def _is_sure(score: float | None, least: float | None) -> bool:
    return score is None or least is None or score >= least


def _choices_json(whole: WholeVideo, question: Question) -> ResultItem:
    item = _item(whole.id, question, "choices", {"choices": list(whole.labels)})
    if whole.score is not None:
        item["score"] = _share(whole.score)
    return item


def _item(number: str, question: Question, kind: str, value: dict[str, Any]) -> ResultItem:
    own, control, video = question.region_id(number), question.from_name, question.to_name
    return {"id": own, "from_name": control, "to_name": video, "type": kind, "value": value}


def _region_json(region: Region, question: Question) -> ResultItem:
    ranges = [{"start": int(region.start), "end": int(region.end)}]
    # The key must be there even when empty: the bulk import drops an item without it.
    value = {"ranges": ranges, "timelinelabels": list(region.labels)}
    item = _item(region.id, question, "timelinelabels", value)
    if region.score is not None:
        item["score"] = _share(region.score)
    if region.parent:
        item["parentID"] = region.parent
    if region.remark:
        item["meta"] = {"text": [region.remark]}
    return item


def remark_of(item: Mapping[str, Any]) -> str:
    """What people read as a region's remark: a text, or a list of them, which are its lines."""
    meta = item.get("meta")
    written = meta.get("text") if isinstance(meta, Mapping) else None
    return "\n".join(line for line in (written if isinstance(written, list) else [written]) if isinstance(line, str))


def _share(score: float) -> float:
    # A score that is not a number would keep Label Studio from opening the task.
    return round(min(max(float(score), 0.0), 1.0), 6) if math.isfinite(score) else 0.0


def parse_annotations(task: int, items: Sequence[Mapping[str, Any]], question: Question) -> tuple[Annotation, ...]:
    """The submitted annotations of one task; skipped (cancelled) ones are left out."""
    return tuple(_annotation(task, item, question) for item in items if not item.get("was_cancelled"))


def parse_regions(result: Sequence[Mapping[str, Any]], question: Question) -> tuple[Region, ...]:
    """The regions of a result on the timeline of a question; items of other controls are left out."""
    if question.kind != "timeline":
        return ()
    first_of, looked_at = _first_controls(result), _reviewed_regions(result, question)
    return tuple(region for item in result for region in _regions(item, question, first_of, looked_at))


def parse_whole(result: Sequence[Mapping[str, Any]], question: Question) -> WholeVideo | None:
    """The answer to a question about the whole video; None where it was not answered."""
    for item in result:
        value = item.get("value")
        if (
            question.kind == "choices"
            and item.get("type") == "choices"
            and item.get("from_name") == question.from_name
            and isinstance(value, Mapping)
            # A choice about a region has its range.
            and "ranges" not in value
            and (chosen := tuple(dict.fromkeys(c for c in _list(value.get("choices")) if isinstance(c, str))))
        ):
            number, ours = _own_id(str(item.get("id", "")), question)
            return WholeVideo(number, chosen, _origin(item, ours), _score(item))
    return None


def is_untouched_whole(whole: WholeVideo) -> bool:
    """Whether a model gave this answer about the whole video and nobody changed it."""
    if whole.origin == "prediction-changed":
        return False
    said = predicted_answer(whole.id)
    return whole.origin == "prediction" if said is None else said == answer_mark(whole.labels)


def stray_controls(items: Iterable[Mapping[str, Any]], config: LabelConfig) -> Counter[str]:
    """How many timeline regions and choices of annotations are on which control that the label config does not have."""
    return Counter(
        str(item.get("from_name"))
        for annotation in items
        if not annotation.get("was_cancelled")
        for item in _list(annotation.get("result"))
        if isinstance(item, Mapping) and item.get("type") in ("timelinelabels", "choices")
        if str(item.get("from_name")) not in config.names
    )


def _annotation(task: int, item: Mapping[str, Any], question: Question) -> Annotation:
    result = [r for r in _list(item.get("result")) if isinstance(r, Mapping)]
    author, seconds = item.get("completed_by"), item.get("lead_time")
    return Annotation(
        id=int(item["id"]),
        task=task,
        regions=parse_regions(result, question),
        updated_at=datetime.fromisoformat(item["updated_at"]),
        author=author["id"] if isinstance(author, Mapping) else author,
        ground_truth=bool(item.get("ground_truth")),
        reviewed=_reviewed(result, question),
        whole=parse_whole(result, question),
        from_prediction=item.get("parent_prediction") is not None,
        lead_time=float(seconds) if isinstance(seconds, int | float) else None,
    )


def _regions(
    item: Mapping[str, Any], question: Question, first_of: Mapping[str, str], looked_at: Collection[str]
) -> Iterable[Region]:
    value = item.get("value")
    if (
        item.get("type") != "timelinelabels"
        or item.get("from_name") != question.from_name
        or not isinstance(value, Mapping)
    ):
        return
    labels = tuple(map(str, _list(value.get("timelinelabels"))))
    reviewed = str(item.get("id", "")) in looked_at
    number, ours = _own_id(str(item.get("id", "")), question)
    # An id without a tag belongs to the control whose item comes first: the editor adds those of others behind it.
    if ours and first_of.get(number, question.from_name) != question.from_name:
        number, ours = _by_hand(number)
    for span in _list(value.get("ranges")):
        try:
            start, end = round(float(span["start"])), round(float(span["end"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        # Label Studio stores any numbers: frame 0 shows as frame 1, and an end before the start is the same span dragged left.
        first, last = max(1, min(start, end)), max(1, start, end)
        yield Region(
            id=number,
            start=StudioFrame(first),
            end=StudioFrame(last),
            labels=labels,
            origin=_origin(item, ours),
            score=_score(item),
            nothing=reviewed and not labels,
            reviewed=reviewed,
            parent=parent if isinstance(parent := item.get("parentID"), str) else "",
            remark=remark_of(item),
        )


def _first_controls(result: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of each region's id the control whose item comes first."""
    found: dict[str, str] = {}
    for item in result:
        if item.get("type") == "timelinelabels":
            found.setdefault(str(item.get("id", "")), str(item.get("from_name", "")))
    return found


def _own_id(number: str, question: Question) -> tuple[str, bool]:
    """A region's id without the tag, and whether it may be the question's own: what another one's region is answered with
    was added by a person."""
    tagged = split_id(number)
    if tagged is None:
        return number, True
    own, tag = tagged
    return (own, True) if tag == question.tag else _by_hand(own)


def _by_hand(number: str) -> tuple[str, bool]:
    # Who answers a suggested frame means that frame, whichever question it was suggested for.
    said = RegionId.parse(number)
    return (number, True) if said is not None and said.is_asked else (f"by-hand-{number}", False)


def _origin(item: Mapping[str, Any], ours: bool) -> Origin | None:
    """None where Label Studio does not say: of regions that it copied from a prediction, and of imported ones."""
    origin = item.get("origin")
    if not ours or (origin is not None and origin not in _ORIGINS):
        return "manual"
    return origin


def _score(item: Mapping[str, Any]) -> float | None:
    score = item.get("score")
    return float(score) if isinstance(score, int | float) else None


def _list(value: object) -> list[Any]:
    # Label Studio's API stores results of any form.
    return value if isinstance(value, list) else []


def _reviewed(result: Sequence[Mapping[str, Any]], question: Question) -> bool | None:
    """The answer about the whole video; that about a region, where the control is there for each of them, is none."""
    answers = [answer for about, said in _review_answers(result, question) if about is None for answer in said]
    return REVIEWED in answers if answers else None


def _reviewed_regions(result: Sequence[Mapping[str, Any]], question: Question) -> set[str]:
    """The ids of the regions on which *reviewed* is ticked."""
    return {about for about, said in _review_answers(result, question) if about is not None and REVIEWED in said}


def _review_answers(
    result: Sequence[Mapping[str, Any]], question: Question
) -> Iterable[tuple[str | None, tuple[str, ...]]]:
    """The answers of the *reviewed* control, in lower case, each with the id of the region that it is about, if it is."""
    if question.reviewed_control is None:
        return
    timeline = _first_controls(result)
    for item in result:
        value = item.get("value")
        if item.get("from_name") == question.reviewed_control and isinstance(value, Mapping):
            number = str(item.get("id", ""))
            # A region has ranges, or the key frames of a box.
            about = number if "ranges" in value or "sequence" in value or number in timeline else None
            yield about, tuple(str(choice).lower() for choice in _list(value.get("choices")))
