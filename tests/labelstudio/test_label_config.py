"""What the label config says: which labels, on which video, at which frame rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import DEFAULT_FRAMERATE, Question, parse_label_config

CONFIG = """
<View>
  <Header value="What happens?"/>
  <TimelineLabels name="events" toName="film">
    <Label value="cat" background="#f00"/>
    <Label value="dog"/>
  </TimelineLabels>
  <Choices name="state" toName="film"><Choice value="Reviewed"/><Choice value="broken"/></Choices>
  <Video name="film" value="$clip" framerate="25" timelineHeight="200"/>
</View>
"""


def only(xml: str) -> Question:
    """The question of a config that asks one."""
    (question,) = parse_label_config(xml).questions
    return question


def with_video(attributes: str) -> Question:
    return only(
        f'<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels><Video name="v" {attributes}/></View>'
    )


def framerate(attribute: str, data: Mapping[str, Any] | None = None) -> float:
    return with_video(f'value="$video" {attribute}').framerate_of(data or {})


def test_the_control_its_video_and_its_labels() -> None:
    assert only(CONFIG) == Question(
        from_name="events",
        to_name="film",
        video="$clip",
        labels=("cat", "dog"),
        framerate="25",
        reviewed_control="state",
        colours={"cat": "#f00"},
    )


def test_each_control_on_a_video_asks_a_question_of_its_own() -> None:
    config = parse_label_config(
        """<View>
        <TimelineLabels name="of sound" toName="audio"><Label value="noise"/></TimelineLabels>
        <TimelineLabels name="first" toName="v"><Label value="A"/></TimelineLabels>
        <TimelineLabels name="second" toName="v"><Label value="A"/><Label value="B"/></TimelineLabels>
        <Audio name="audio" value="$sound"/><Video name="v" value="$video"/></View>"""
    )
    assert [(each.from_name, each.labels, each.alone) for each in config.questions] == [
        ("first", ("A",), False),
        ("second", ("A", "B"), False),
    ]
    assert config.main.from_name == "first"
    assert config.left_alone == (
        '<TimelineLabels name="of sound"> is ignored: it is about <Audio name="audio">, not about a <Video>.',
    )


def test_a_label_is_called_by_its_alias_because_results_are() -> None:
    config = only(
        """<View><TimelineLabels name="t" toName="v"><Label value="A cat" alias="cat"/><Label value="dog"/></TimelineLabels>
        <Video name="v" value="$video"/></View>"""
    )
    assert config.labels == ("cat", "dog")


def test_the_rate_is_read_as_the_browser_reads_it() -> None:
    assert framerate('framerate="$meta.fps"', {"meta": {"fps": 12}}) == 12
    assert framerate('framerate="2_5"') == 24


def test_a_models_words_for_a_label_are_its_predicted_values() -> None:
    config = only(
        """<View><TimelineLabels name="t" toName="v"><Label value="Vehicle" predicted_values="car,truck"/><Label value="B"/>
        </TimelineLabels><Video name="v" value="$video"/></View>"""
    )
    assert config.predicted_values == {"car,truck": "Vehicle"}


def test_labels_may_be_arranged_in_views_and_are_counted_once() -> None:
    config = only(
        """<View><TimelineLabels name="t" toName="v"><View><Label value="A"/></View><View><Label value="B"/><Label value="A"/>
        </View></TimelineLabels><Video name="v" value="$video"/></View>"""
    )
    assert config.labels == ("A", "B")


def test_a_choice_called_reviewed_is_found_by_value_or_alias() -> None:
    def control(choice: str) -> str | None:
        return parse_label_config(
            f"""<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels>
            <Choices name="done" toName="v">{choice}</Choices><Video name="v" value="$video"/></View>"""
        ).main.reviewed_control

    assert control('<Choice value="REVIEWED"/>') == "done"
    assert control('<Choice value="Ich habe alles gesehen" alias="reviewed"/>') == "done"
    assert control('<View><Choice value="reviewed"/></View>') == "done"
    assert control('<Choice value="finished"/>') is None


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("", "not valid XML"),
        ("<View>", "not valid XML"),
        ("not xml", "not valid XML"),
        ('<View><Video name="v" value="$video"/></View>', "no <TimelineLabels> or <Choices>"),
        ('<View><Choices name="c" toName="v"/><Video name="v" value="$video"/></View>', 'name="c".* no <Choice>'),
        ('<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels></View>', "no <Video>"),
        (
            '<View><TimelineLabels name="t" toName="w"><Label value="A"/></TimelineLabels><Video name="v"/></View>',
            'toName="w" names no tag',
        ),
        (
            '<View><TimelineLabels name="t" toName="i"><Label value="A"/></TimelineLabels><Image name="i"/></View>',
            "no <Video>.* is about <Image",
        ),
        ('<View><TimelineLabels name="t" toName="v"/><Video name="v" value="$video"/></View>', "no <Label>"),
    ],
)
def test_a_config_with_nothing_to_predict_is_refused_with_what_to_do(config: str, problem: str) -> None:
    with pytest.raises(LabelConfigError, match=problem) as refused:
        parse_label_config(config)
    assert refused.value.remedy


class TestFramerate:
    """As Label Studio resolves the attribute, because a frame number means nothing without it."""

    def test_it_is_24_unless_given(self) -> None:
        assert framerate("") == DEFAULT_FRAMERATE == 24

    @pytest.mark.parametrize("attribute", ['framerate="30"', 'frameRate="30"', 'FRAMERATE=" 30 "', 'frameRate="30.0"'])
    def test_the_attributes_case_does_not_matter(self, attribute: str) -> None:
        assert framerate(attribute) == 30

    @pytest.mark.parametrize("given", [12, 12.0, "12", "12.0"])
    def test_a_variable_is_read_from_the_tasks_data(self, given: object) -> None:
        assert framerate('frameRate="$fps"', {"fps": given, "video": "a.mp4"}) == 12

    def test_below_one_it_is_seconds_per_frame(self) -> None:
        assert framerate('framerate="0.04"') == 25
        assert framerate('framerate="$step"', {"step": 0.5}) == 2
        assert framerate('framerate="1"') == 1

    @pytest.mark.parametrize("value", ["NaN", "inf", "-inf", "0", "-25", "fast", "", "25 fps"])
    def test_what_is_no_rate_is_24(self, value: str) -> None:
        assert framerate(f'framerate="{value}"') == 24

    @pytest.mark.parametrize("data", [{}, {"fps": None}, {"fps": [25]}, {"fps": {"a": 1}}, {"fps": math.nan}])
    def test_a_variable_that_says_nothing_is_24(self, data: Mapping[str, Any]) -> None:
        assert framerate('framerate="$fps"', data) == 24

    @given(st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()))
    @example(5e-324)
    def test_it_is_always_a_finite_rate_of_at_least_one(self, value: object) -> None:
        rate = framerate('framerate="$fps"', {"fps": value})
        assert math.isfinite(rate)
        assert rate >= 1


def test_what_people_read_of_a_label_is_its_value_and_its_hint() -> None:
    config = only(
        """<View><TimelineLabels name="t" toName="v"><Label value="A cat" alias="cat" hint=" A cat that sits. "/>
        <Label value="dog" Hint="Any dog"/><Label value="bird" alias="b"/><Label value="fish" hint=""/></TimelineLabels>
        <Video name="v" value="$video"/></View>"""
    )
    assert config.wording == {"cat": ("A cat", "A cat that sits."), "dog": ("dog", "Any dog"), "b": ("bird",)}
