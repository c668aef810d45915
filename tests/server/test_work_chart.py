"""Work per annotator and day: counted when labels are read, drawn without asking Label Studio."""

from __future__ import annotations

import dashboard_scene as scene
from dashboard_html import client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects.label_report import WorkDay
from ml_backend.server.dashboard.work_chart import work
from ml_backend.settings import Settings

__all__ = ["client", "settings"]


def test_the_busiest_comes_first_and_a_table_says_the_same(
    client: FlaskClient, redis: Redis, settings: Settings
) -> None:
    scene.open_project(settings, redis)
    found = page(client, "/dashboard/projects/7/quality")
    (chart,) = (each for each in found.all("svg") if "Annotations per day" in str(each.get("aria-label")))
    assert "from 2026-01-01 to 2026-01-03, at most 2 a day: Ada Lovelace 2, user 12 1" in str(chart["aria-label"])
    assert "2026-01-03" in found.text


def test_of_many_people_the_busiest_seven_have_a_color() -> None:
    days = [WorkDay(number, "2026-01-01", 20 - number) for number in range(10)]
    found = work(days, {0: "Ada"})
    assert found is not None
    assert [name for name, _, _ in found.people] == ["Ada", *(f"user {n}" for n in range(1, 7)), "3 others"]
    assert sum(total for _, _, total in found.people) == sum(day.annotations for day in days)
    assert len({colour for _, colour, _ in found.people}) == 8


def test_what_was_done_long_before_the_last_day_is_left_out() -> None:
    found = work([WorkDay(1, "2020-01-01", 5), WorkDay(1, "2026-01-01", 2, 30.0)], {})
    assert found is not None
    assert found.days == (("2026-01-01", (2,), 30.0),)


def test_without_a_day_there_is_no_chart() -> None:
    assert work([], {}) is None
    assert work([WorkDay(None, "yesterday", 1)], {}) is None
