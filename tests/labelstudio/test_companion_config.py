"""The label config of a companion project, and the mark by which the project is known."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from studio import CONFIG, KEY

from ml_backend.labelstudio.companion import NONE, companion_config, in_step
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.payloads import companion_mark, companion_of

LABELS = parse_label_config(CONFIG).main


def choices(xml: str) -> dict[str, str | None]:
    """What a result would hold, with its key."""
    return {
        choice.get("alias") or choice.get("value") or "": choice.get("hotkey")
        for choice in ElementTree.fromstring(xml).iter("Choice")
    }


def with_labels(*labels: str) -> str:
    given = "".join(f'<Label value="{label}"/>' for label in labels)
    return CONFIG.replace('<Label value="cat"/><Label value="dog"/>', given)


def test_each_label_has_the_digit_that_it_has_on_the_timeline_and_zero_is_none_of_them() -> None:
    assert choices(companion_config(LABELS, several=False)) == {"cat": "1", "dog": "2", NONE: "0"}


def test_labels_beyond_nine_have_letters_and_those_beyond_the_letters_a_click() -> None:
    many = parse_label_config(with_labels(*(f"label {number}" for number in range(40)))).main
    keys = list(choices(companion_config(many, several=False)).values())
    assert keys[:9] == list("123456789")
    given = [key for key in keys if key is not None]
    assert len(given) == len(set(given)) == 25
    assert len(keys) == 41


@pytest.mark.parametrize("several", [True, False])
def test_a_frame_has_one_label_or_several(several: bool) -> None:
    [control] = ElementTree.fromstring(companion_config(LABELS, several)).iter("Choices")
    assert control.get("choice") == ("multiple" if several else "single")
    assert control.get("required") == "true", "an empty Submit would say nothing"


def test_names_that_mean_something_in_xml_stay_what_they_are() -> None:
    odd = parse_label_config(with_labels("a &lt;b&gt; &quot;c&quot; &amp; d", "None of these")).main
    assert list(choices(companion_config(odd, several=False))) == ['a <b> "c" & d', "None of these", NONE]


def test_labels_have_the_colours_of_the_timeline() -> None:
    coloured = parse_label_config(CONFIG.replace('value="cat"', 'value="cat" background="#0072B2"')).main
    assert '<Choice value="cat" hotkey="1" background="#0072B2"/>' in companion_config(coloured, several=False)


def test_it_is_written_again_only_when_labels_or_their_number_a_frame_have_changed() -> None:
    made = companion_config(LABELS, several=False)
    nicer = made.replace("<Header", '<Text name="hint" value="Look twice."/><Header')
    assert in_step(nicer, LABELS, several=False) == nicer
    assert "multiple" in in_step(nicer, LABELS, several=True)
    several = made.replace('"single"', '"multiple"')
    assert in_step(several, LABELS, several=False) == several, "who has allowed several is not overruled"
    horses = parse_label_config(with_labels("cat", "horse")).main
    assert list(choices(in_step(several, horses, several=False))) == ["cat", "horse", NONE]
    assert in_step("<broken", LABELS, several=False) == made


@pytest.mark.parametrize("description", [None, 7, "", "Frames of 7.1769860800", "[coldblitz frames of 7]"])
def test_other_projects_are_no_companions(description: object) -> None:
    assert companion_of(description) is None


def test_the_mark_is_found_wherever_it_stands() -> None:
    assert str(companion_of(f"Ours.\n{companion_mark(KEY)} Keep!")) == KEY
