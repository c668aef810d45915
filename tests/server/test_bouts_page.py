"""The page of bouts: counted by a job, shown page by page, and as files."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import dashboard_scene as scene
import pyarrow.parquet
import pytest
from dashboard_html import at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.export.bout_tables import write_report
from ml_backend.export.bouts import BoutVideo
from ml_backend.formats.events import Event, VideoEvents
from ml_backend.projects import bout_report, registry
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings

__all__ = ["at_work", "client", "settings"]

BOUTS = "/dashboard/projects/7/bouts"


def test_before_they_are_counted_there_is_a_button_that_has_it_done(
    client: FlaskClient, redis: Redis, settings: Settings
) -> None:
    registry.remember(redis, registry.Known(scene.P, scene.label_config(scene.COLOURS)))
    assert "have not been counted yet" in page(client, BOUTS).text
    assert client.post(BOUTS).status_code == 303
    assert [row["kind"] for row in listing(redis)["queued"]] == ["bouts"]
    assert client.get(f"{BOUTS}/bouts.csv").status_code == 404


@pytest.mark.usefixtures("at_work")
class TestCounted:
    def test_the_numbers_of_the_page_are_those_of_the_files(self, client: FlaskClient) -> None:
        found = page(client, BOUTS)
        assert "120 bouts of 4 videos" in found.text
        budget = list(csv.DictReader(io.StringIO(client.get(f"{BOUTS}/budget.csv", buffered=True).text)))
        total = sum(float(row["total_s"]) for row in budget)
        assert total == pytest.approx(120 * 0.3)
        share = sum(float(row["total_s"]) for row in budget if row["label"] == "car" and row["who"] == "mouse-1") / 48
        assert f"{100 * share:.0f} %" in found.text
        parquet = pyarrow.parquet.read_table(io.BytesIO(client.get(f"{BOUTS}/bouts.parquet", buffered=True).data))
        assert parquet.num_rows == 120

    def test_each_page_has_the_next_rows(self, client: FlaskClient) -> None:
        first, second = page(client, BOUTS), page(client, f"{BOUTS}?page=2")
        assert "1 to 100 of 120" in first.text
        assert "101 to 120 of 120" in second.text
        assert "street-4.mp4" in second.text
        for nowhere in ("0", "99", "-1", "x"):
            assert page(client, f"{BOUTS}?page={nowhere}").text

    def test_what_was_left_out_is_said(self, client: FlaskClient) -> None:
        assert "Task 9 is left out: Its video is broken." in page(client, BOUTS).text

    def test_the_ethogram_is_a_picture_that_says_what_it_shows(self, client: FlaskClient) -> None:
        [image] = [each for each in page(client, BOUTS).all("img") if each.get("class") == "ethogram"]
        assert image["alt"]
        answer = client.get(str(image["src"]), buffered=True)
        assert answer.mimetype == "image/svg+xml"
        bars = [each for each in ElementTree.fromstring(answer.text).iter() if each.get("aria-label")]
        assert {
            str(each.get("aria-label")).split(": ")[1].split(",")[0]: each.get("fill") for each in bars
        } == scene.COLOURS

    @pytest.mark.parametrize("name", ["report.json", "bouts.jsonl", "..%2Freport.json", "ethogram-9.svg", "bouts.exe"])
    def test_nothing_else_is_given_out(self, client: FlaskClient, name: str) -> None:
        assert client.get(f"{BOUTS}/{name}").status_code == 404


def test_a_thousand_videos_are_shown_as_fast_as_four(client: FlaskClient, redis: Redis, settings: Settings) -> None:
    registry.remember(redis, registry.Known(scene.P, scene.label_config(scene.COLOURS)))
    events = tuple(Event("car", (at, at + 0.5), (at * 25, at * 25 + 12), group="labels") for at in range(50))
    videos = [
        BoutVideo(task, VideoEvents("", (f"{task}.mp4",), events, duration=50.0), {"labels": ["car", "ball"]}, "human")
        for task in range(1, 1001)
    ]
    folder = ProjectFolder(settings.data_dir, scene.P).bouts
    write_report(folder, videos, [], {})
    report = bout_report.load(folder)
    assert report is not None
    assert (report.tables["bouts"].rows, report.pictures) == (50_000, 100)
    found = page(client, f"{BOUTS}?page=500&picture=100")
    assert "49,901 to 50,000 of 50,000" in found.text
    assert (folder / "report.json").stat().st_size < 100_000
    # Counted anew, the files of the time before go.
    write_report(folder, videos[:1], [], {})
    assert len([each for each in folder.iterdir() if each.is_dir()]) == 1
