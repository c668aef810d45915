"""What Label Studio says when it refuses, as a person reads it."""

from __future__ import annotations

import pytest

from ml_backend import logs
from ml_backend.labelstudio.access import detail, refusal

TOKEN = "5b0c2f1e9a7d4c3b8e6f00112233445566778899"


@pytest.mark.parametrize(
    "body", [f'{{"detail": "Invalid token {TOKEN}"}}', {"detail": f"Token {TOKEN}"}, f"<p>{TOKEN}"]
)
def test_a_token_that_it_repeats_is_left_out(body: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_hidden", set())
    logs.hide(TOKEN)
    assert TOKEN not in detail(body)
    assert TOKEN not in str(refusal(401, body))


@pytest.mark.parametrize(
    ("body", "said"), [('{"detail": "No."}', "No."), ("plain", "plain"), ({"a": 1}, "{'a': 1}"), (None, "None")]
)
def test_its_own_words_are_kept(body: object, said: str) -> None:
    assert detail(body) == said
