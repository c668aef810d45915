"""What a label config says of boxes: `<VideoRectangle>`, with the labels of a `<Labels>` on the same video."""

from __future__ import annotations

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import parse_label_config

VIDEO = '<Video name="v" value="$video" framerate="$fps"/>'
BOX = '<VideoRectangle name="box" toName="v"/>'
LABELS = """<Labels name="who" toName="v"><Label value="mouse" background="#ff0000" predicted_values="cell,rat"/>
    <View><Label value="A hand" alias="hand"/></View></Labels>"""
TIMELINE = '<TimelineLabels name="t" toName="v"><Label value="walk"/></TimelineLabels>'


def test_boxes_take_the_labels_of_their_video_in_any_order() -> None:
    for config in (LABELS + BOX + VIDEO, VIDEO + BOX + LABELS, BOX + VIDEO + f"<View>{LABELS}</View>"):
        found = parse_label_config(f"<View>{config}</View>")
        (question,) = found.tracks
        assert (question.from_name, question.to_name, question.kind) == ("box", "v", "tracks")
        assert (question.labels, question.labels_control) == (("mouse", "hand"), "who")
        assert question.predicted_values == {"cell,rat": "mouse"}
        assert question.colours == {"mouse": "#ff0000"}
        assert question.wording == {"hand": ("A hand",)}
        assert question.framerate_of({"fps": 25}) == 25
        assert (found.questions, found.left_alone, found.main) == ((), (), question)


def test_boxes_without_labels_are_a_question_without_labels() -> None:
    found = parse_label_config(f"<View>{BOX}{VIDEO}</View>")
    assert [(each.labels, each.labels_control) for each in found.tracks] == [((), None)]
    assert (found.timelines, [each.from_name for each in found.videos]) == ((), ["box"])


def test_what_heads_learn_knows_nothing_of_boxes() -> None:
    choices = '<Choices name="c" toName="v"><Choice value="day"/></Choices>'
    found = parse_label_config(f"<View>{LABELS}{BOX}{choices}{TIMELINE}{VIDEO}</View>")
    assert [each.from_name for each in found.questions] == ["c", "t"]
    assert (found.main.from_name, [each.from_name for each in found.tracks]) == ("t", ["box"])
    assert parse_label_config(f"<View>{BOX}{choices}{VIDEO}</View>").main.from_name == "c"
    # Ids of timelines have no tag because of boxes: those of projects that have been connected for long stay as they are.
    assert parse_label_config(f"<View>{BOX}{TIMELINE}{VIDEO}</View>").main.alone


def test_each_video_has_its_own_boxes_and_labels() -> None:
    found = parse_label_config(
        """<View><VideoRectangle name="left box" toName="left"/><Labels name="cats" toName="left"><Label value="cat"/></Labels>
        <VideoRectangle name="right box" toName="right"/><Labels name="dogs" toName="right"><Label value="dog"/></Labels>
        <Labels name="sounds" toName="audio"><Label value="bark"/></Labels><Audio name="audio" value="$sound"/>
        <Video name="left" value="$a"/><Video name="right" value="$b"/></View>"""
    )
    assert [(each.from_name, each.labels, each.alone) for each in found.tracks] == [
        ("left box", ("cat",), False),
        ("right box", ("dog",), False),
    ]
    assert [sentence.split(":")[0] for sentence in found.left_alone] == ['<Labels name="sounds"> is ignored']


def test_labels_that_tasks_bring_along() -> None:
    found = parse_label_config(f'<View><Labels name="who" toName="v" value="$animals"/>{BOX}{VIDEO}</View>')
    (question,) = found.with_labels({"box": ("cat", "dog")}).tracks
    assert question.labels == ("cat", "dog")
    assert question.labels_of({"animals": [{"value": "dog"}]}) == ("dog",)


@pytest.mark.parametrize(
    ("written", "threshold", "told"),
    [
        ("0.25", 0.25, 0),
        ("1", 1.0, 0),
        ("0", 0.0, 0),
        ("high", None, 1),
        ("25", None, 1),
        ("nan", None, 1),
        ("-1", None, 1),
    ],
)
def test_the_least_score_of_a_track(written: str, threshold: float | None, told: int) -> None:
    box = f'<VideoRectangle name="box" toName="v" Model_Score_Threshold="{written}"/>'
    found = parse_label_config(f"<View>{box}{VIDEO}</View>")
    assert found.tracks[0].score_threshold == threshold
    assert len(found.left_alone) == told
    assert all(written in sentence and "from 0 to 1" in sentence for sentence in found.left_alone)


def test_the_least_score_of_timelines_and_choices() -> None:
    timeline = TIMELINE.replace("<TimelineLabels ", '<TimelineLabels model_score_threshold="0.6" ')
    choices = '<Choices name="kind" toName="v" model_score_threshold="0.7"><Choice value="a"/></Choices>'
    found = parse_label_config(f"<View>{timeline}{choices}{VIDEO}</View>")
    assert [each.score_threshold for each in found.questions] == [0.6, 0.7]


def test_a_config_without_boxes_has_none() -> None:
    assert parse_label_config(f"<View>{TIMELINE}{VIDEO}</View>").tracks == ()
    with pytest.raises(LabelConfigError, match="no <VideoRectangle>"):
        parse_label_config(f"<View>{VIDEO}</View>")
