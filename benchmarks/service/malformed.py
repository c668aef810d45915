"""Requests that Label Studio would not send: random bytes, and its own bodies with parts of them exchanged for something else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import requests

ROUTES = ("/setup", "/predict", "/webhook", "/versions")
_PROJECT = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": "<View/>"}
_BODIES: dict[str, dict[str, Any]] = {
    "/setup": {"project": "7.1769860800", "schema": "<View/>", "hostname": "", "extra_params": {"sampling": "auto"}},
    "/predict": {"tasks": [{"id": 1, "data": {"video": "/a.mp4"}, "predictions": []}], "project": "7.1769860800"},
    "/webhook": {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "result": []}, "project": _PROJECT},
    "/versions": {"project": "7.1769860800"},
}
_JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**40, "", "x" * 10_000, "\0", "\ud800", "../../etc/passwd", "7.x", "7.1.1"),
    *([], {}, [[]], {"": {}}, [None] * 1000, "7." + "9" * 400, "2026-13-45", "<View", float("nan")),
)


def unhandled(url: str, each: int, dice: random.Random) -> tuple[int, int]:
    """Sends so many to each route; returns how many were sent, and how many were not answered or answered 5xx."""
    sent = bad = 0
    for route in ROUTES:
        for body in bodies(route, each, dice):
            sent += 1
            headers = {"Content-Type": "application/json"}
            try:
                bad += requests.post(f"{url}{route}", data=body, headers=headers, timeout=30).status_code >= 500
            except requests.RequestException:
                bad += 1
    return sent, bad


def bodies(route: str, number: int, dice: random.Random) -> Iterator[bytes]:
    for position in range(number):
        body = copy.deepcopy(_BODIES[route])
        for _ in range(dice.randint(1, 3)):
            _exchange(body, dice)
        text = json.dumps(body).encode()
        if position % 4 == 0:
            at = dice.randrange(len(text))
            text = dice.choice(
                (text[:at], text[:at] + dice.randbytes(3) + text[at:], dice.randbytes(50), b"[" * 100_000)
            )
        yield text


def _exchange(body: Any, dice: random.Random) -> None:
    """Puts junk, or nothing, in the place of some part of the body."""
    while True:
        keys: list[Any] = list(body) if isinstance(body, dict) else list(range(len(body)))
        if not keys:
            return
        key = dice.choice(keys)
        if isinstance(body[key], dict | list) and dice.random() < 0.6:
            body = body[key]
            continue
        if dice.random() < 0.2:
            del body[key]
        else:
            body[key] = copy.deepcopy(dice.choice(_JUNK))
        return
