"""The label config that works best with this backend."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import quoteattr


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
