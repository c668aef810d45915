"""A real HTTP server that answers as Label Studio does, or as a test tells it to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
from flask import Flask, request

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PROJECT = {
    "id": 7,
    "title": "A street",
    "label_config": "<View/>",
    "model_version": None,
    "created_at": "2026-01-31T12:00:00Z",
}


def personal_token(seconds: float = 3600, kind: str = "refresh") -> str:
    claims = {"token_type": kind, "exp": int(time.time() + seconds), "jti": f"{kind}{time.time()}"}
    return jwt.encode(claims, "a key that only Label Studio knows, long enough", "HS256")


class Studio(Flask):
    """Answers what a test tells it to, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("studio")
        self.asked: list[Any] = []
        self.answers: dict[tuple[str, str], Callable[[], Any]] = {}
        self.add_url_rule("/", view_func=self.answer, defaults={"path": ""}, methods=["GET"])
        self.add_url_rule("/<path:path>", view_func=self.answer, methods=["GET", "POST", "PATCH", "DELETE"])

    def answer(self, path: str) -> Any:
        self.asked.append((request.method, f"/{path}", request.args.to_dict(), request.get_json(silent=True)))
        self.authorization = request.headers.get("Authorization")
        return self.answers[request.method, f"/{path}"]()

    def will(self, method: str, path: str, answer: Callable[[], Any]) -> None:
        self.answers[method, path] = answer
