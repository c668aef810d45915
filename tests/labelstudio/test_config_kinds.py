"""What each kind of label config asks, or the one sentence that says which tag is not served, and why.

Most stand for a template that Label Studio ships or for a habit seen in projects; none is copied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import parse_label_config

VIDEO = '<Video name="v" value="$video" framerate="25"/>'
LABELS = '<Label value="walk"/><Label value="rest"/>'
TIMELINE = f'<TimelineLabels name="t" toName="v">{LABELS}</TimelineLabels>'
CHOICES = '<Choices name="c" toName="v"><Choice value="day"/><Choice value="night"/></Choices>'


@dataclass(frozen=True)
class Asked:
    """`questions`: control, kind, whether several may hold, labels. `left`: a part of each sentence about what is ignored."""

    name: str
    config: str
    questions: tuple[tuple[str, str, bool, tuple[str, ...]], ...]
    left: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=lambda: {"video": "/a.mp4"})
    address: str | None = "/a.mp4"


T = ("t", "timeline", False, ("walk", "rest"))
C = ("c", "choices", False, ("day", "night"))

SERVED = (
    Asked("frames of a video", f"{TIMELINE}{VIDEO}", (T,)),
    Asked("the class of a video", f"{VIDEO}{CHOICES}", (C,)),
    Asked(
        "several classes of a video",
        VIDEO + CHOICES.replace("<Choices ", '<Choices choice="multiple" '),
        ((*C[:2], True, C[3]),),
    ),
    Asked("radio buttons", VIDEO + CHOICES.replace("<Choices ", '<Choices choice="single-radio" '), (C,)),
    Asked("a timeline and a class", TIMELINE + CHOICES + VIDEO, (T, C)),
    Asked(
        "two timelines",
        f'{TIMELINE}<TimelineLabels name="u" toName="v"><Label value="rest"/></TimelineLabels>{VIDEO}',
        (T, ("u", "timeline", False, ("rest",))),
    ),
    Asked(
        "a timeline and boxes",
        f'<Labels name="l" toName="v"><Label value="cat"/></Labels><VideoRectangle name="b" toName="v"/>{TIMELINE}{VIDEO}',
        (T,),
    ),
    Asked(
        "a timeline and remarks",
        f'{TIMELINE}{VIDEO}<TextArea name="x" toName="v"/><Rating name="r" toName="v"/><Number name="n" toName="v"/>',
        (T,),
        ('<TextArea name="x"> is ignored', '<Rating name="r"> is ignored', '<Number name="n"> is ignored'),
    ),
    Asked(
        "choices of regions",
        TIMELINE + VIDEO + CHOICES.replace("<Choices ", '<Choices perRegion="true" '),
        (T,),
        ("perRegion answers",),
    ),
    Asked(
        "choices of items",
        TIMELINE + VIDEO + CHOICES.replace("<Choices ", '<Choices perItem="true" '),
        (T,),
        ("perItem",),
    ),
    Asked(
        "nested choices",
        TIMELINE + VIDEO + CHOICES.replace("<Choices ", '<Choices allowNested="true" '),
        (T,),
        ("nested",),
    ),
    Asked(
        "a taxonomy beside",
        f'{TIMELINE}{VIDEO}<Taxonomy name="x" toName="v"><Choice value="a"/></Taxonomy>',
        (T,),
        ("a taxonomy is not predicted",),
    ),
    Asked(
        "the reviewed mark", f'{TIMELINE}{VIDEO}<Choices name="r" toName="v"><Choice value="reviewed"/></Choices>', (T,)
    ),
    Asked(
        "upper case", f"{TIMELINE}{VIDEO}".replace("TimelineLabels", "TIMELINELABELS").replace("Video ", "VIDEO "), (T,)
    ),
    Asked("lower case", f"{TIMELINE}{VIDEO}".lower(), (T,)),
    Asked(
        "attributes in another case", f"{TIMELINE}{VIDEO}".replace("toName", "TONAME").replace(" name", " NAME"), (T,)
    ),
    Asked("nested views", f"<View><View>{TIMELINE}</View></View><View><Style>x</Style>{VIDEO}</View>", (T,)),
    Asked(
        "labels arranged in views",
        f'<TimelineLabels name="t" toName="v"><View><Label value="walk"/></View><Label value="rest"/></TimelineLabels>{VIDEO}',
        (T,),
    ),
    Asked("no toName, one object", f"{TIMELINE}{VIDEO}".replace(' toName="v"', ""), (T,)),
    Asked(
        "several names in toName", TIMELINE.replace('"v"', '"i, v"') + VIDEO + '<Image name="i" value="$image"/>', (T,)
    ),
    Asked(
        "an alias",
        TIMELINE.replace('value="walk"', 'value="It walks." alias="walk"') + VIDEO,
        (T,),
    ),
    Asked(
        "the video that the control names",
        f'<Video name="w" value="$other" sync="v"/>{TIMELINE}{VIDEO}',
        (T,),
        (),
        {"video": "/a.mp4", "other": "/b.mp4"},
    ),
    Asked("an audio track in step", f'{TIMELINE}{VIDEO}<Audio name="a" value="$video" sync="v"/>', (T,)),
    Asked(
        "labels on the audio beside",
        f'{TIMELINE}{VIDEO}<Labels name="l" toName="a"><Label value="x"/></Labels><Audio name="a" value="$video"/>',
        (T,),
        ('<Labels name="l"> is ignored',),
    ),
    Asked(
        "a value further down", TIMELINE + VIDEO.replace("$video", "$media.url"), (T,), (), {"media": {"url": "/a.mp4"}}
    ),
    Asked(
        "a value in a list", TIMELINE + VIDEO.replace("$video", "$files[1]"), (T,), (), {"files": ["/b.mp4", "/a.mp4"]}
    ),
    Asked("a key with a dot", TIMELINE + VIDEO.replace("$video", "$media.url"), (T,), (), {"media.url": "/a.mp4"}),
    Asked(
        "text before the variable",
        TIMELINE + VIDEO.replace("$video", "https://host/$file"),
        (T,),
        (),
        {"file": "a.mp4"},
        "https://host/a.mp4",
    ),
    Asked(
        "a local file",
        TIMELINE + VIDEO.replace("$video", "/data/local-files/?d=vids/$file"),
        (T,),
        (),
        {"file": "a.mp4"},
        "/data/local-files/?d=vids/a.mp4",
    ),
    Asked(
        "two variables", TIMELINE + VIDEO.replace("$video", "/$dir/$file"), (T,), (), {"dir": "x", "file": 7}, "/x/7"
    ),
    Asked("a task without the key", f"{TIMELINE}{VIDEO}", (T,), (), {"film": "/a.mp4"}, None),
    Asked("a task that lacks a part", TIMELINE + VIDEO.replace("$video", "/$dir/$file"), (T,), (), {"dir": "x"}, None),
    Asked(
        "labels from tasks",
        f'<TimelineLabels name="t" toName="v" value="$labels"/>{VIDEO}',
        (("t", "timeline", False, ()),),
    ),
    Asked(
        "choices from tasks and the config",
        f'{VIDEO}<Choices name="c" toName="v" value="$more"><Choice value="day"/></Choices>',
        (("c", "choices", False, ("day",)),),
    ),
    Asked(
        "choices of a repeater's kind of config",
        f'{TIMELINE}{VIDEO}<Filter name="f" toName="t"/><Header value="Look"/><Relations><Relation value="r"/></Relations>',
        (T,),
    ),
    Asked("comments", f"<!-- <TimelineLabels/> -->{TIMELINE}<!-- x -->{VIDEO}", (T,)),
    Asked(
        "labels with quotes and emoji",
        f'<TimelineLabels name="t" toName="v"><Label value="&quot;a&quot; &amp; b"/><Label value="🐈 sits"/></TimelineLabels>{VIDEO}',
        (("t", "timeline", False, ('"a" & b', "🐈 sits")),),
    ),
    Asked(
        "a control without labels beside one with",
        f'<TimelineLabels name="u" toName="v"/>{TIMELINE}{VIDEO}',
        (T,),
        ('<TimelineLabels name="u"> is ignored: it has no <Label>.',),
    ),
)


@pytest.mark.parametrize("asked", SERVED, ids=[each.name for each in SERVED])
def test_it_asks(asked: Asked) -> None:
    config = parse_label_config(f"<View>{asked.config}</View>")
    found = tuple((each.from_name, each.kind, each.multiple, each.labels) for each in config.questions)
    assert found == asked.questions
    assert len(config.left_alone) == len(asked.left)
    assert all(part in sentence for part, sentence in zip(asked.left, config.left_alone, strict=True))
    assert all(each.to_name == "v" for each in config.questions)
    assert config.main.video_of(asked.data) == asked.address


REFUSED = (
    (
        "boxes on an image",
        f'<VideoRectangle name="b" toName="i"/><Image name="i" value="$image"/>{VIDEO}',
        r'<VideoRectangle name="b"> is ignored: it is about <Image name="i">, not about a <Video>',
    ),
    (
        "labels of boxes without boxes",
        f'<Labels name="l" toName="v"><Label value="x"/></Labels>{VIDEO}',
        r'<Labels name="l"> .* use <TimelineLabels>',
    ),
    (
        "the audio trick",
        '<Video name="v" value="$u" sync="a"/><Labels name="l" toName="a"><Label value="x"/></Labels><Audio name="a" value="$u"/>',
        r'<Labels name="l"> is ignored',
    ),
    (
        "a time series",
        '<TimeSeriesLabels name="l" toName="ts"><Label value="run"/></TimeSeriesLabels><TimeSeries name="ts" value="$csv"/>',
        r'no <Video>.*<TimeSeriesLabels name="l">',
    ),
    (
        "the quality of a time series",
        (
            '<TimeSeriesLabels name="l" toName="ts"><Label value="x"/></TimeSeriesLabels><Choices name="c" toName="ts" '
            'perRegion="true"><Choice value="good"/></Choices><TimeSeries name="ts" value="$csv"/>'
        ),
        "no <Video>",
    ),
    (
        "the trend of a time series",
        '<Choices name="c" toName="ts"><Choice value="up"/></Choices><TimeSeries name="ts" value="$csv"/>',
        r'no <Video>.*<Choices name="c"> .* about <TimeSeries name="ts">',
    ),
    (
        "an image",
        '<Choices name="c" toName="i"><Choice value="x"/></Choices><Image name="i" value="$i"/>',
        "no <Video>",
    ),
    ("a video alone", VIDEO, "no <TimelineLabels> or <Choices>"),
    ("remarks alone", f'{VIDEO}<TextArea name="x" toName="v"/>', r'<TextArea name="x"> is ignored'),
    (
        "a taxonomy alone",
        f'{VIDEO}<Taxonomy name="x" toName="v"><Choice value="a"/></Taxonomy>',
        "a taxonomy is not predicted",
    ),
    (
        "the reviewed mark alone",
        f'{VIDEO}<Choices name="r" toName="v"><Choice value="reviewed"/></Choices>',
        "no <TimelineLabels>",
    ),
    ("a name that is not there", TIMELINE.replace('"v"', '"w"') + VIDEO, 'toName="w" names no tag'),
    ("a control without labels", f'<TimelineLabels name="t" toName="v"/>{VIDEO}', "it has no <Label>"),
)


@pytest.mark.parametrize(("config", "why"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_it_is_refused_with_the_tag_and_the_reason(config: str, why: str) -> None:
    with pytest.raises(LabelConfigError, match=why) as refused:
        parse_label_config(f"<View>{config}</View>")
    assert refused.value.remedy
    assert "\n" not in refused.value.message
