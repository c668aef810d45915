"""What is written into a label config: the one thing, and nothing where that cannot be sure."""

from __future__ import annotations

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.label_config_edits import with_framerate, with_reviewed

PLAIN = """<View>
  <!-- ours -->
  <Style>.a > .b { color: red }</Style>
  <TimelineLabels name="labels" toName="video"><Label value="a &amp; b" background="#123456"/></TimelineLabels>
  <Video name="video" value="$video" height="420"/>
</View>"""
TWO = (
    '<View><TimelineLabels name="t" toName="one"><Label value="a"/></TimelineLabels><VideoRectangle name="b" toName="two"/>'
    "<video framerate='$fps' name='one' value='$one'/><Video name=\"two\" value=\"$two\"></Video></View>"
)


def test_a_frame_rate_is_all_that_changes() -> None:
    assert with_framerate(PLAIN, "25") == PLAIN.replace("<Video ", '<Video framerate="25" ')
    assert parse_label_config(with_framerate(PLAIN, "29.97")).main.framerate_of({}) == 29.97


def test_a_video_that_has_one_keeps_it() -> None:
    config = parse_label_config(with_framerate(TWO, "10"))
    assert (config.main.framerate, config.tracks[0].framerate) == ("$fps", "10")


def test_the_reviewed_choice_is_all_that_is_added() -> None:
    written = with_reviewed(PLAIN)
    assert parse_label_config(written).main.reviewed_control == "reviewed"
    assert (
        written.replace("\n", "")
        .replace(" ", "")
        .startswith(PLAIN[: PLAIN.index("<Video")].replace("\n", "").replace(" ", ""))
    )
    assert "<!-- ours -->" in written
    assert parse_label_config(with_reviewed(TWO)).main.reviewed_control == "reviewed"


def test_its_name_is_none_that_is_there() -> None:
    taken = PLAIN.replace('name="labels"', 'name="reviewed"')
    assert parse_label_config(with_reviewed(taken)).main.reviewed_control == "reviewed_2"


def test_what_is_commented_out_is_no_tag_and_stays_as_it_is() -> None:
    old = '<!-- <Video name="video" value="$old"/> -->'
    commented = PLAIN.replace("<!-- ours -->", old)
    assert with_framerate(commented, "25") == with_framerate(PLAIN, "25").replace("<!-- ours -->", old)
    assert with_reviewed(commented) == with_reviewed(PLAIN).replace("<!-- ours -->", old)


def test_an_angle_within_an_attribute_is_no_end_of_a_tag() -> None:
    angled = PLAIN.replace('<Video name="video"', '<Video title="a > b" name="video"')
    assert parse_label_config(with_framerate(angled, "25")).main.framerate == "25"
    assert parse_label_config(with_reviewed(angled)).main.reviewed_control == "reviewed"


def test_what_is_there_already_is_not_asked_for_by_hand() -> None:
    for write in (with_reviewed, lambda xml: with_framerate(xml, "25")):
        done = write(PLAIN)
        with pytest.raises(LabelConfigError, match="already") as refused:
            write(done)
        assert refused.value.remedy == "Check again to see what is missing now."


def test_what_cannot_be_written_safely_is_to_be_written_by_hand() -> None:
    spaced = PLAIN.replace('<Video name="video"', '<Video name = "video"')
    with pytest.raises(LabelConfigError) as refused:
        with_reviewed(spaced)
    assert "Write this into it yourself" in refused.value.remedy
