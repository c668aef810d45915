"""The dashboard's pages of videos over time, and of what was found about their labels."""

from __future__ import annotations

import re
from dataclasses import replace

import dashboard_scene as scene
import pytest
from dashboard_html import at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import label_report, registry, stored_predictions, task_view
from ml_backend.projects.label_report import HumanRegion, LabelReport
from ml_backend.projects.task_view import ContactSheet, TaskView
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings

__all__ = ["at_work", "client", "settings"]
VIDEO = "/dashboard/projects/7/videos/1"
TWO_TIMELINES = """<View><TimelineLabels name="labels" toName="video"><Label value="walk"/></TimelineLabels>
  <TimelineLabels name="posture" toName="video"><Label value="lies"/><Label value="stands"/></TimelineLabels>
  <Video name="video" value="$video" framerate="25"/></View>"""


class TestVideos:
    def test_they_come_a_page_at_a_time(self, client: FlaskClient, redis: Redis, settings: Settings) -> None:
        scene.open_project(settings, redis, tasks=60)
        first, last = page(client, "/dashboard/projects/7/videos"), page(client, "/dashboard/projects/7/videos?page=2")
        assert ("street_50.mp4" in first.text, "street_51.mp4" in first.text) == (True, False)
        assert ("street_50.mp4" in last.text, "street_60.mp4" in last.text) == (False, True)
        assert "street_60.mp4" in page(client, "/dashboard/projects/7/videos?page=99").text
        assert "street_1.mp4" in page(client, "/dashboard/projects/7/videos?page=x").text

    @pytest.mark.parametrize("order", ["certainty", "errors"])
    def test_those_that_need_a_person_come_first_when_asked_for_over_all_pages(
        self, client: FlaskClient, redis: Redis, settings: Settings, order: str
    ) -> None:
        scene.open_project(settings, redis, tasks=60)
        listed = [
            int(match)
            for number in (1, 2)
            for match in re.findall(
                r"street_(\d+)\.mp4", page(client, f"/dashboard/projects/7/videos?sort={order}&page={number}").text
            )
        ]
        # Task 1 is reviewed, so that its errors are not counted.
        assert listed == [*range(60, 1, -1), 1]
        first = page(client, f"/dashboard/projects/7/videos?sort={order}")
        assert [str(head["aria-sort"]) for head in first.all("th") if "aria-sort" in head] == [
            "ascending" if order == "certainty" else "descending"
        ]
        assert f"?page=2&sort={order}" in [link["href"] for link in first.all("a")]
        assert "756" in first.text

    def test_an_order_that_is_none_is_by_task(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/videos?sort=nonsense")
        assert re.findall(r"street_(\d)\.mp4", found.text) == ["1", "2", "3", "4"]
        links = [link["href"] for link in found.all("a")]
        assert "?sort=certainty" in links
        assert "?sort=errors" in links

    def test_errors_of_a_version_that_is_not_shown_any_more_are_not_told(
        self, client: FlaskClient, redis: Redis, at_work: None
    ) -> None:
        registry.activate(redis, scene.P, "cold-v2")
        assert "errors are left" not in page(client, "/dashboard/projects/7/videos").text
        assert "errors are left" not in page(client, "/").text

    def test_one_over_time(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/videos/1")
        bars = [str(chart.get("aria-label")) for chart in found.all("svg") if chart.get("aria-label")]
        assert [bar.split(".")[0] for bar in bars] == [
            "Model cold-v3",
            "Ada Lovelace",
            "user 12",
            "Questions",
            "Suggested",
            "How sure the model is",
            "Confidence in clear",
            "Confidence in ball",
            "Confidence in car",
            "Model cold-v3",
            "Ada Lovelace",
            "Where Model cold-v3 and Ada Lovelace differ",
        ]
        assert "300 frames at 25 per second, 0:12.00; 55 % confidence" in found.text
        unsure, differing = found.text.index("Least confident"), found.text.index("People vs. model")
        assert found.text.index("111 to 190", unsure) < differing
        # The first person said clear up to frame 120, the model only up to 110.
        assert found.text.index("111 to 120", differing)
        assert "http://studio.invalid/projects/7/data?task=1" in [link["href"] for link in found.all("a")]

    def test_where_nobody_has_labeled_anything_there_is_nothing_to_compare(
        self, client: FlaskClient, at_work: None
    ) -> None:
        assert "Nobody has labeled this video yet." in page(client, "/dashboard/projects/7/videos/3").text
        assert "Nobody has labeled" not in page(client, "/dashboard/projects/7/videos/1").text

    def test_one_that_no_model_has_predicted_differs_from_none(
        self, client: FlaskClient, settings: Settings, at_work: None
    ) -> None:
        for version in ("cold-v1", "cold-v2", "cold-v3"):
            stored_predictions.delete(settings.data_dir, scene.P, version)
        found = page(client, "/dashboard/projects/7/videos/1").text
        assert "This video is reviewed, so no model predicts it." in found
        assert "so there is nothing to compare" in found
        assert "Where people set a label" not in found

    def test_what_its_labels_taught_and_why_others_taught_nothing(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/videos/1").text
        assert "20 regions of 25 in 3 annotations were used for training" in found
        assert "have the label “clear of old”, which the label config does not have" in found
        assert "How the labels were used" not in page(client, "/dashboard/projects/7/videos/3").text

    def test_its_pictures_are_made_when_somebody_asks(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        address = "/dashboard/projects/7/videos/1/sheet"
        assert client.get(f"{address}.jpg").status_code == 404
        client.post(address)
        assert ("sheet", 1) in {(row["kind"], row["task"]) for row in listing(redis)["queued"]}
        task_view.save_sheet(settings.data_dir, scene.P, 1, ContactSheet((15, 55, 1, 150), 2, 4, 160, 90), b"a JPEG")
        found = page(client, "/dashboard/projects/7/videos/1")
        (image,) = found.all("img")
        assert image["alt"] == "4 frames of the video, row by row: 15, 55, 1, 150"
        answer = client.get(str(image["src"]))
        assert (answer.mimetype, answer.data) == ("image/jpeg", b"a JPEG")

    def test_one_of_which_only_the_suggestions_are_known(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        registry.remember(redis, registry.Known(scene.P, scene.label_config(scene.COLOURS)))
        asked = scene.prediction("keyframes-v1", 5, [(30, 30, [], None)], 0.0)
        stored_predictions.save(settings.data_dir, scene.P, asked)
        assert "Keyframe suggestions" in page(client, "/dashboard/projects/7/videos/5").text

    def test_what_the_model_asks_is_drawn_apart_from_its_timeline(self, client: FlaskClient, at_work: None) -> None:
        text = page(client, "/dashboard/projects/7/videos/1").text
        assert "Questions" in text
        assert "the model: a question, frame 60 at 0:02" in text
        assert "3 regions in" in text
        assert "Least confident segments" in text

    def test_how_sure_it_is_of_a_video_does_not_change_when_its_task_is_put_back(
        self, client: FlaskClient, settings: Settings, at_work: None
    ) -> None:
        put_back = scene.prediction("cold-v3", 1, [(1, 10, ["ball"], 0.5)], 0.99)
        stored_predictions.save(settings.data_dir, scene.P, put_back)
        view = task_view.load(settings.data_dir, scene.P, 1)
        assert view is not None
        task_view.save(settings.data_dir, scene.P, replace(view, certainty=0.43))
        assert "43 % confidence in its least confident tenth" in page(client, "/dashboard/projects/7/videos/1").text
        assert re.search(r"street_1.*?43 %", page(client, "/dashboard/projects/7/videos").text, re.DOTALL)

    def test_each_timeline_of_a_label_config_has_its_turn(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        data = settings.data_dir
        registry.remember(redis, registry.Known(scene.P, TWO_TIMELINES))
        registry.activate(redis, scene.P, "cold-v3")
        found = scene.prediction("cold-v3", 1, [(1, 60, ["walk"], 0.9)], 0.8)
        lying = scene.prediction("cold-v3", 1, [(1, 40, ["lies"], 0.7), (41, 100, ["stands"], 0.6)], 0.8)["result"]
        other = [{**item, "id": f"p-{item['id']}", "from_name": "posture"} for item in lying]
        stored_predictions.save(data, scene.P, {**found, "result": [*found["result"], *other]})
        view = TaskView(1, "a.mp4", 25.0, 100, 4.0, "cold-v3", {"walk": [90] * 10}, certainty=0.8, control="labels")
        task_view.save(data, scene.P, replace(view, more={"posture": {"lies": [90] * 4 + [5] * 6, "stands": [5] * 10}}))
        said = [
            HumanRegion(1, 60, ("walk",), 11, "person"),
            HumanRegion(1, 100, ("lies",), 11, "person", "", "posture"),
        ]
        label_report.save(data, scene.P, LabelReport("2026-01-03T12:00:00+00:00", (1,), (1,), {}, {}, ()), [(1, said)])

        first = page(client, "/dashboard/projects/7/videos/1")
        assert "are about labels, see also posture." in first.text
        assert "80 % confidence" in first.text
        assert "No differences." in first.text
        assert "Model, posture" in first.text
        address = next(str(link["href"]) for link in first.all("a") if "control=posture" in str(link["href"]))
        second = page(client, address)
        assert "are about posture, see also labels." in second.text
        assert "confidence in its" not in second.text
        assert re.search(r"lies\s*stands\s*41 to 100", second.text)
        assert "Model, labels" in second.text
        told = client.get(f"{VIDEO}/player.json?control=posture").get_json()
        assert [word["regions"][0][2] for word in told["words"]] == [["lies"], ["lies"]]
        assert (told["jumps"]["change"], told["sure"]) == ([41], [90] * 4 + [90] * 6)
        assert client.get(f"{VIDEO}/player.json").get_json()["words"][0]["regions"][0][2] == ["walk"]

    def test_its_forms_lead_back_to_the_same_timeline_and_comparison(self, client: FlaskClient, at_work: None) -> None:
        shown = "control=posture+%26+%C3%A9&one=person-11&other=cold-v3"
        forms = page(client, f"{VIDEO}?{shown}&frame=3").all("form")
        addresses = [str(each["action"]) for each in forms if each["method"] == "post" and VIDEO in str(each["action"])]
        assert {address.partition("?")[0].rpartition("/")[2] for address in addresses} == {"fetch", "sheet"}
        for address in addresses:
            back = client.post(address).headers["Location"]
            for word in shown.split("&"):
                assert word in back

    def test_a_timeline_that_is_none_is_the_first_one(self, client: FlaskClient, at_work: None) -> None:
        odd, first = page(client, f"{VIDEO}?control=nonsense").text, page(client, VIDEO).text
        assert odd.partition("As of ")[0] == first.partition("As of ")[0]


class TestQuality:
    def test_people_agreement_and_the_worst_labels_first(self, client: FlaskClient, at_work: None) -> None:
        text = page(client, "/dashboard/projects/7/quality").text
        assert "0.780" in text
        assert "0.910" in text
        assert re.search(r"Ada Lovelace\D*2\D*340\D*1 min 16 s\D*2 min 31 s", text)
        assert "user 12" in text
        assert "predicted and accepted 3" in text
        assert text.index("97 %") < text.index("92 %") < text.index("82 %")

    def test_of_each_label_who_or_what_gave_it(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/quality")
        pictures = [str(chart.get("aria-label")) for chart in found.all("svg")]
        assert "Regions of clear by source. drawn or answered by a person 80 %, predicted and accepted 20 %" in pictures
        assert len([name for name in pictures if name.startswith("Regions of")]) == len(scene.COLOURS)
        assert re.search(r"6\s*2\s*2\s*0\.810", found.text)

    def test_looking_again(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        client.post("/dashboard/projects/7/quality")
        assert "quality" in {row["kind"] for row in listing(redis)["queued"]}
