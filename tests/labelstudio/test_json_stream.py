"""Fields of a large body, read without holding the rest."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.json_stream import skim

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
objects = st.dictionaries(st.sampled_from(["action", "project", "tasks", "other", "more"]), values)
NO_OBJECT = "there is no|no JSON|follows|no text|decode"


class Dripping(io.BytesIO):
    """Hands out no more than so many bytes at a time, as a slow connection does."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most)


class TestFields:
    @given(objects, st.booleans(), st.integers(1, 40))
    def test_it_finds_what_parsing_the_whole_finds(self, whole: dict[str, Any], spaced: bool, most: int) -> None:
        body = json.dumps(whole, ensure_ascii=False, indent=1 if spaced else None).encode()
        found = skim(Dripping(body, most), {"action": None, "tasks": None})
        assert found == {name: whole[name] for name in ("action", "tasks") if name in whole}

    @given(objects, st.integers(1, 40))
    def test_items_are_handed_over_one_by_one(self, whole: dict[str, Any], most: int) -> None:
        found = skim(Dripping(json.dumps(whole).encode(), most), {"tasks": lambda item: (1, item)})
        tasks = whole.get("tasks")
        assert found.get("tasks") == ([(1, task) for task in tasks] if isinstance(tasks, list) else tasks)

    @given(st.binary(max_size=20) | st.text(alphabet='{}[]":,1ae-. ', max_size=12).map(str.encode), st.integers(1, 3))
    def test_it_takes_what_is_an_object_and_nothing_else(self, body: bytes, most: int) -> None:
        try:
            whole = json.loads(body.decode())
        except ValueError:
            whole = None
        if isinstance(whole, dict):
            assert skim(Dripping(body, most), dict.fromkeys(whole)) == whole
        else:
            with pytest.raises(ValueError, match=NO_OBJECT):
                skim(Dripping(body, most), {"a": None})

    @given(objects.filter(bool), st.data())
    def test_half_an_object_is_none(self, whole: dict[str, Any], data: st.DataObject) -> None:
        body = json.dumps(whole).encode()
        half = body[: data.draw(st.integers(0, len(body) - 1))]
        with pytest.raises(ValueError, match=NO_OBJECT):
            skim(io.BytesIO(half), {"action": None})

    @pytest.mark.parametrize("where", ["action", "other"])
    def test_what_is_nested_too_deeply_is_not_read(self, where: str) -> None:
        body = f'{{"{where}": {"[" * 100_000}{"]" * 100_000}}}'.encode()
        with pytest.raises(RecursionError):
            skim(io.BytesIO(body), {"action": None})


class TestMemory:
    def test_a_list_of_any_length_takes_no_more_than_an_item(self) -> None:
        task = json.dumps({"id": 1, "data": {"video": "/data/upload/7/a.mp4"}, "meta": {}, "annotations": []})
        body = io.BytesIO(f'{{"action": "TASKS_CREATED", "tasks": [{", ".join([task] * 30_000)}]}}'.encode())
        tracemalloc.start()
        try:
            assert skim(body, {"action": None, "project": None}) == {"action": "TASKS_CREATED"}
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()
