"""The account begins with what Label Studio holds: every region of every control, skipped annotations included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.annotations import Held, held
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.regions import parse_annotations

CONFIG = parse_label_config(
    '<View><TimelineLabels name="tl" toName="v"><Label value="A"/><Label value="B"/></TimelineLabels>'
    '<TimelineLabels name="road" toName="v"><Label value="free"/></TimelineLabels>'
    '<Choices name="clip" toName="v"><Choice value="busy"/></Choices>'
    '<Choices name="seen" toName="v"><Choice value="reviewed"/></Choices>'
    '<VideoRectangle name="box" toName="v"/><Video name="v" value="$video"/></View>'
)
SHARED = Path(__file__).parents[3] / "shared" / "label-studio" / "payloads"


def timeline(*ranges: Any, control: str = "tl", **more: Any) -> dict[str, Any]:
    value = {"ranges": list(ranges), "timelinelabels": ["A"]}
    return {"id": "x", "from_name": control, "to_name": "v", "type": "timelinelabels", "value": value, **more}


def choice(control: str, *choices: str) -> dict[str, Any]:
    return {"id": "c", "from_name": control, "to_name": "v", "type": "choices", "value": {"choices": list(choices)}}


def made(*result: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "updated_at": "2026-01-01T00:00:00Z", "result": list(result), **more}


def read_by_questions(items: list[dict[str, Any]], config: LabelConfig) -> int:
    """How many regions, and answers about whole videos, a training reads."""
    found = [a for question in config.questions for a in parse_annotations(1, items, question)]
    return sum(len(each.regions) + (each.whole is not None) for each in found)


SPAN = {"start": 3, "end": 9}
BOX = {"id": "b", "from_name": "box", "type": "videorectangle", "value": {"sequence": [], "labels": ["Animal"]}}


class TestHeld:
    def test_each_range_is_a_region_and_so_is_each_item_of_another_kind(self) -> None:
        found = held([made(timeline(SPAN, SPAN), timeline(SPAN, control="road"), BOX, choice("clip", "busy"))], CONFIG)
        assert (found.submitted, found.skipped, found.regions) == (1, 0, 5)
        assert found.apart == {("box", "boxes"): 1}

    def test_what_is_not_read_has_a_reason(self) -> None:
        result = [timeline(), timeline({"start": "a"}), choice("clip"), choice("seen", "reviewed"), "nonsense", None]
        found = held([made(*result)], CONFIG)
        assert found.apart == {
            ("tl", "no frames"): 2,
            ("clip", "no frames"): 1,
            ("seen", "review"): 1,
            ("", "another control"): 2,
        }

    def test_skipped_annotations_are_counted_apart(self) -> None:
        found = held([made(timeline(SPAN), BOX, was_cancelled=True), made(timeline(SPAN))], CONFIG)
        assert (found.submitted, found.skipped, found.regions) == (1, 1, 3)
        assert found.apart == {("tl", "skipped"): 1, ("box", "skipped"): 1}

    @pytest.mark.parametrize("items", [[], [made()], [{**made(), "result": None}], [{**made(), "result": "x"}]])
    def test_nothing_is_nothing(self, items: list[dict[str, Any]]) -> None:
        assert held(items, CONFIG) == Held(len(items))


spans = st.fixed_dictionaries({"start": st.integers(-5, 40) | st.none(), "end": st.integers(-5, 40)}) | st.integers()
values = st.fixed_dictionaries(
    {},
    optional={
        "ranges": st.lists(spans, max_size=3) | st.text(),
        "timelinelabels": st.lists(st.text()),
        "choices": st.lists(st.text()),
    },
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["kf-3", "cold-v1-1_3_9", "x", "y"]),
        "type": st.sampled_from(["timelinelabels", "choices", "rating", "videorectangle"]),
        "from_name": st.sampled_from(["tl", "road", "clip", "seen", "box", "gone"]),
        "value": values | st.none() | st.lists(st.integers(), max_size=2),
        "origin": st.sampled_from(["manual", "prediction", None]),
    },
)
results = st.lists(entries | st.none() | st.integers(), max_size=8)


@given(st.lists(st.tuples(results, st.booleans()), max_size=4))
def test_whatever_is_held_the_numbers_add_up(drawn: list[tuple[list[Any], bool]]) -> None:
    items = [made(*result, was_cancelled=skipped) for result, skipped in drawn]
    found = held(items, CONFIG)
    assert found.regions == read_by_questions(items, CONFIG) + found.apart.total()
    assert found.submitted + found.skipped == len(items)
    assert min(found.apart.values(), default=1) > 0


def annotations_in(data: Any) -> Iterator[dict[str, Any]]:
    """Every annotation anywhere in a captured payload; an event has one or a list of them."""
    if isinstance(data, dict):
        if isinstance(data.get("result"), list) and "updated_at" in data and "id" in data:
            yield data
        for value in data.values():
            yield from annotations_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from annotations_in(value)


def configs_in(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        if isinstance(data.get("label_config"), str):
            yield data["label_config"]
        for value in data.values():
            yield from configs_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from configs_in(value)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no captured payloads here")
@pytest.mark.parametrize("path", sorted(SHARED.glob("*.json")), ids=lambda path: path.stem)
def test_they_add_up_for_what_a_real_label_studio_has_sent(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    items = list(annotations_in(data))
    for config in [CONFIG, *(parsed for text in set(configs_in(data)) if (parsed := _parsed(text)) is not None)]:
        found = held(items, config)
        assert found.regions == sum(len(item["result"]) for item in items), "each of their items has one range"
        assert found.regions == read_by_questions(items, config) + found.apart.total()


def _parsed(text: str) -> LabelConfig | None:
    try:
        return parse_label_config(text)
    except LabelConfigError:
        return None
