"""The label config that works best with this backend, and the colors of labels: the config's own, else those of a palette that everybody
can tell apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from ml_backend.labelstudio.label_config import Question

# Okabe and Ito, "Color universal design", 2008; without black, which a dark page swallows.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#999999")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,30}|rgba?\([0-9., %]{1,40}\)")


def colours_of(question: Question) -> dict[str, str]:
    """A colour for each label, by position where the config names none or none that is a colour."""
    found = {}
    for position, label in enumerate(question.labels):
        written = question.colours.get(label, "").strip()
        found[label] = written if _COLOUR.fullmatch(written) else PALETTE[position % len(PALETTE)]
    return found


def recommended_config(colours: Mapping[str, str], framerate: str = "$fps", video: str = "video") -> str:
    """For labels with their colours: the grid is the video's own `framerate` (a number, or a variable of the task's data),
    suggestions have room in the timeline, and `reviewed` marks a finished one. `video`: key of the task's data."""
    items = "\n".join(
        f"    <Label value={quoteattr(label)} background={quoteattr(colour)}/>" for label, colour in colours.items()
    )
    source = quoteattr(f"${video}")
    return f"""<View>
  <TimelineLabels name="labels" toName="video">
{items}
  </TimelineLabels>
  <Choices name="reviewed" toName="video" choice="multiple" layout="inline">
    <Choice value="reviewed" hint="I have looked at the whole timeline: where there is no label, none holds."/>
  </Choices>
  <Video name="video" value={source} framerate={quoteattr(framerate)} height="420" timelineHeight="200"/>
</View>"""
