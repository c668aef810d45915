"""What a person or a model said about a video, free of Label Studio's JSON and of frame arrays.

`labelstudio/` translates to and from these types; `learning/` gives them their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ml_backend.video.timeline import StudioFrame

Origin = Literal["manual", "prediction", "prediction-changed"]


@dataclass(frozen=True)
class Region:
    """One item of an annotation or prediction: `labels` hold on the Label Studio frames `start`..`end`, end included.

    `labels` is empty for a suggestion that nobody answered, and where somebody said that no label holds: then `nothing`
    is true. `id` is Label Studio's region id, which survives Submit; ours tell where a region came from (`kf-…`, `cold-v3-…`),
    and with which range a model drew it. `origin` is Label Studio's word; an edge that was dragged still says `prediction`,
    and what was copied or imported says nothing (None). `reviewed`: somebody ticked *reviewed* on this region. `parent`: the id of
    the region below which it stands in Label Studio's list; `remark`: what people have written about it. Both are empty mostly.
    """

    id: str
    start: StudioFrame
    end: StudioFrame
    labels: tuple[str, ...]
    origin: Origin | None = "manual"
    score: float | None = None
    nothing: bool = False
    reviewed: bool = False
    parent: str = ""
    remark: str = ""


@dataclass(frozen=True)
class WholeVideo:
    """An answer to a question about a whole video: at least one of its labels. `id`, `origin`, `score`: as of a region."""

    id: str
    labels: tuple[str, ...]
    origin: Origin | None = "manual"
    score: float | None = None


@dataclass(frozen=True)
class Annotation:
    """One person's submitted work on one task, as far as it is about one question; cancelled (skipped) annotations and drafts
    never become one of these.

    `reviewed` is the explicit mark of the label config's *reviewed* choice: None when the config has none or it was not answered.
    `lead_time`: seconds that it took, None where Label Studio does not know. `whole`: the answer about the whole video,
    where that is the question and it was answered. `from_prediction`: it began from a prediction that Label Studio still has.
    """

    id: int
    task: int
    regions: tuple[Region, ...]
    updated_at: datetime
    author: int | None = None
    ground_truth: bool = False
    reviewed: bool | None = None
    lead_time: float | None = None
    whole: WholeVideo | None = None
    from_prediction: bool = False
