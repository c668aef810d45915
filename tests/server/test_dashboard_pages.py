"""The dashboard through Flask's client: every page, with nothing, with a project at work, and with names nobody expects."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import dashboard_scene as scene
import pytest
from embedded import settings_for
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing
from ml_backend.records import companions, contact_sheet, projects, ready, task_view, training_choice
from ml_backend.records.contact_sheet import ContactSheet
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PROJECT_PAGES = ("videos", "videos/1", "models", "models/cold-v3", "quality", "export", "settings")
PAGES = ("/", "/dashboard/jobs", *(f"/dashboard/projects/7/{page}" for page in PROJECT_PAGES))
ODD = {
    "a/b <script>alert(1)</script>": 'red" onload="alert(1)',
    "日本語": "#abc",
    "x" * 300: "#E69F00",
    "'\"&{{7*7}}": "",
}


@pytest.fixture
def settings(redis_settings: Settings, tmp_path: Path) -> Settings:
    return settings_for(tmp_path, redis_url=redis_url(redis_settings))


@pytest.fixture
def client(redis: Redis, settings: Settings) -> FlaskClient:
    return create_app(settings).test_client()


@pytest.fixture
def at_work(redis: Redis, settings: Settings) -> None:
    scene.open_project(settings, redis)
    scene.run_jobs(redis)


def test_the_companion_project_is_one_click_away(client: FlaskClient, redis: Redis, at_work: None) -> None:
    assert "Frames," not in page(client, "/").text
    companions.note(redis, scene.P, companions.Known("9.1769860800", 40, 12))
    html = page(client, "/")
    assert "Frames, 12 of 40 labelled" in html.text
    assert "http://studio.invalid/projects/9/data" in {link.get("href") for link in html.all("a")}


class Elements(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page(client: FlaskClient, path: str) -> Elements:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.mimetype == "text/html"
    return Elements(answer.get_data(as_text=True))


class TestEveryPage:
    @pytest.mark.parametrize("path", PAGES)
    def test_it_reads_well_for_people_and_for_screen_readers(
        self, client: FlaskClient, at_work: None, path: str
    ) -> None:
        found = page(client, path)
        assert [attributes.get("lang") for attributes in found.all("html")] == ["en"]
        assert len(found.all("h1")) == 1
        assert len(found.all("main")) == 1
        assert any(link.get("href") == "#content" for link in found.all("a"))
        assert len(found.all("caption")) == len(found.all("table"))
        assert all(cell.get("scope") for cell in found.all("th"))
        assert all(bar.get("aria-label") for bar in found.all("progress"))
        assert all(chart.get("aria-label") or chart.get("aria-hidden") for chart in found.all("svg"))
        ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
        assert len(ids) == len(set(ids))

    @pytest.mark.parametrize("path", PAGES)
    def test_nothing_in_it_breaks_its_own_rules_for_scripts_and_styles(
        self, client: FlaskClient, at_work: None, path: str
    ) -> None:
        found = page(client, path)
        assert not found.all("style")
        assert not [name for name, attributes in found.found if "style" in attributes]
        assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
        assert all(script["src"] for script in found.all("script"))
        for tag, name in (("script", "src"), ("link", "href"), ("img", "src")):
            assert all(str(attributes[name]).startswith("/") for attributes in found.all(tag))

    @pytest.mark.parametrize("path", PAGES)
    def test_names_are_text_never_markup(
        self, client: FlaskClient, redis: Redis, settings: Settings, path: str
    ) -> None:
        title = "<img src=x onerror=alert(1)> & “Größe”"
        scene.open_project(settings, redis, title=title, colours=ODD)
        projects.set_problems(redis, scene.P, "label config", ["<b>bold</b> `<i>`"])
        found = page(client, path)
        assert len(found.all("script")) == 1
        assert not found.all("img")
        assert not found.all("b")
        assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
        assert title in found.text or path == "/dashboard/jobs"
        assert "49" not in found.text or "{{7*7}}" in found.text

    @pytest.mark.parametrize("path", ["/", "/dashboard/jobs"])
    def test_with_nothing_to_show(self, client: FlaskClient, path: str) -> None:
        found = page(client, path)
        assert ("No project is connected" if path == "/" else "Nothing runs") in found.text

    @pytest.mark.parametrize("path", ["videos", "models", "quality", "settings"])
    def test_of_a_project_that_was_only_connected(self, client: FlaskClient, redis: Redis, path: str) -> None:
        projects.remember(redis, projects.Known("9.1", "not even XML", "neither JSON", None))
        assert "Project 9" in page(client, f"/dashboard/projects/9/{path}").text
        assert "Project 9" in page(client, "/").text

    @pytest.mark.parametrize("path", PAGES)
    def test_two_thousand_tasks_make_no_page_large_nor_slow(
        self, client: FlaskClient, redis: Redis, settings: Settings, path: str
    ) -> None:
        scene.open_project(settings, redis, tasks=2000)
        for task in range(2000):
            projects.note_findings(
                redis, scene.P, task, [{"kind": "long", "message": "m.", "remedy": "r.", "severity": "note"}]
            )
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200
        assert len(answer.get_data()) < 120_000

    @pytest.mark.parametrize("path", PAGES)
    def test_it_is_behind_the_login_and_so_are_its_files(
        self, redis: Redis, settings: Settings, at_work: None, path: str
    ) -> None:
        locked = create_app(replace(settings, basic_auth_user="studio", basic_auth_pass="secret")).test_client()
        assert locked.get(path, headers=HTML).status_code == 401
        assert locked.get("/dashboard/static/style.css").status_code == 401
        assert locked.get(path, headers=HTML, auth=("studio", "secret")).status_code == 200

    def test_without_redis_the_page_says_so(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, redis_url="redis://127.0.0.1:1")
        answer = create_app(settings).test_client().get("/dashboard/jobs", headers=HTML)
        assert (answer.status_code, answer.mimetype) == (503, "text/html")
        assert "Redis does not answer" in answer.get_data(as_text=True)

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/dashboard/projects/8/models", "Project 8 is not connected"),
            ("/dashboard/projects/7/models/cold-v9", "no model version cold-v9"),
            ("/dashboard/projects/7/videos/999", "Nothing is known of task 999"),
        ],
    )
    def test_what_is_not_there_is_said_as_a_page(
        self, client: FlaskClient, at_work: None, path: str, said: str
    ) -> None:
        answer = client.get(path, headers=HTML)
        assert (answer.status_code, answer.mimetype) == (400, "text/html")
        assert said in answer.get_data(as_text=True)


class TestProjects:
    def test_scripts_and_label_studio_still_get_json(self, client: FlaskClient) -> None:
        assert client.get("/").get_json()["status"] == "UP"
        assert client.get("/", headers={"Accept": "application/json"}).get_json()["status"] == "UP"

    def test_progress_model_and_what_is_wrong(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/")
        bars = {str(bar["aria-label"]).split(":")[0]: (bar["value"], bar["max"]) for bar in found.all("progress")}
        assert bars == {
            "suggested": ("4", "6"),
            "labelled": ("2", "6"),
            "reviewed": ("1", "6"),
            "predicted": ("4", "6"),
        }
        assert "cold-v3 0.930" in found.text
        assert "Go on. About 110 errors are left in 900 frames, most in these videos: task 4, 3, 2." in found.text
        assert "rose from 0.810" in found.text
        assert "300 frames" in found.text
        assert "'samplin' is unknown" in found.text
        assert "Encode it at a constant rate." in found.text
        assert "No worker has given a sign of life" in found.text
        links = [link["href"] for link in found.all("a")]
        assert "http://studio.invalid/projects/7/data" in links


class TestJobs:
    def test_bars_reasons_and_what_to_do(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/jobs")
        assert [bar["value"] for bar in found.all("progress")] == ["40.0"]
        assert re.search(r"40 %, about 4\d s left: epoch 4 of 10, task 3", found.text)
        assert "Task 9 has no video" in found.text
        assert "predicted task 3 with cold-v3" in found.text
        assert len([chart for chart in found.all("svg") if "epoch" in str(chart.get("aria-label"))]) == 2

    def test_a_failed_job_is_tried_again_by_its_button(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        (failed,) = listing(redis)["failed"]
        actions = [form["action"] for form in page(client, "/dashboard/jobs").all("form")]
        retry = next(action for action in actions if action and failed["id"] in action)
        answer = client.post(retry, follow_redirects=True, headers=HTML)
        assert "The job is tried again." in answer.get_data(as_text=True)
        assert listing(redis)["failed"] == []

    def test_a_waiting_job_is_cancelled_by_its_button(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        (queued,) = listing(redis)["queued"]
        client.post(f"/dashboard/jobs/{queued['id']}/cancel")
        assert listing(redis)["queued"] == []
        assert any(row["cancelled"] for row in listing(redis)["failed"])

    def test_all_failed_ones_at_once(self, client: FlaskClient, at_work: None) -> None:
        answer = client.post("/dashboard/jobs/retry", follow_redirects=True, headers=HTML)
        assert "1 jobs are tried again." in answer.get_data(as_text=True)

    @pytest.mark.parametrize("what", ["retry", "cancel"])
    def test_one_that_is_gone(self, client: FlaskClient, what: str) -> None:
        answer = client.post(f"/dashboard/jobs/nothing/{what}", headers=HTML)
        assert (answer.status_code, answer.mimetype) == (404, "text/html")

    def test_another_site_cannot_press_the_buttons(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        answer = client.post("/dashboard/jobs/retry", headers={**HTML, "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert len(listing(redis)["failed"]) == 1


class TestModels:
    def test_each_version_with_its_scores(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/models")
        assert all(score in found.text for score in ("0.620", "0.810", "0.930"))
        assert "412 kB" in found.text
        assert any("Learning curve" in str(chart.get("aria-label")) for chart in found.all("svg"))

    def test_one_in_full(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/models/cold-v3")
        charts = " ".join(str(chart.get("aria-label")) for chart in found.all("svg"))
        assert all(name in charts for name in ("Calibration", "Learning curve", "Loss", "F1 of ball"))
        assert "none of the labels" in found.text
        assert "mobilenet_v2:default" in found.text

    def test_one_that_was_not_measured(self, client: FlaskClient, redis: Redis, settings: Settings) -> None:
        from ml_backend.learning.versions import ModelCard, publish

        projects.remember(redis, projects.Known(scene.P, "<View/>"))
        root = settings.data_dir / "projects" / scene.P / "models"
        root.mkdir(parents=True)
        publish(root, ModelCard("custom-bird-v1", "custom-bird", ("a",), True, "none", "2026-01-01T00:00:00"), {})
        assert "not measured" in page(client, "/dashboard/projects/7/models").text
        assert "Not measured yet." in page(client, "/dashboard/projects/7/models/custom-bird-v1").text

    def test_activating_rolling_back_training_and_deleting(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        found = page(client, "/dashboard/projects/7/models")
        actions = [form["action"] for form in found.all("form")]
        assert "/dashboard/projects/7/models/cold-v2/activate" in actions
        assert "Roll back to cold-v2" in found.text
        client.post("/dashboard/projects/7/models/cold-v2/activate")
        assert projects.wanted_version(redis, scene.P) == "cold-v2"
        client.post("/dashboard/projects/7/train")
        assert {row["kind"] for row in listing(redis)["queued"]} >= {"rollout", "train"}
        client.post("/dashboard/projects/7/models/cold-v1/delete")
        assert not (settings.data_dir / "projects" / scene.P / "models" / "cold-v1").exists()

    def test_a_card_says_what_it_was_trained_with(self, client: FlaskClient, at_work: None) -> None:
        assert "mode auto, min_frames 3" in page(client, "/dashboard/projects/7/models/cold-v3").text

    def test_how_to_train_is_chosen_in_a_form_and_shown_from_then_on(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        form = page(client, "/dashboard/projects/7/models")
        assert [box["value"] for box in form.all("input") if "checked" in box] == ["extra-params", "head"]
        numbers = {box["name"]: (box["min"], box["value"], box["max"]) for box in form.all("input") if "min" in box}
        assert numbers["cycles"] == ("1", "10", "100")
        assert numbers["validation_split"] == ("0.05", "0.2", "0.5")
        sent = {"kind": "blitz", "fit": "finetune", "cycles": "25", "validation_split": "0.25", "image_size": " 96 "}
        answer = client.post("/dashboard/projects/7/train", data=sent, follow_redirects=True, headers=HTML)
        assert "This training and those after it are Blitz" in answer.get_data(as_text=True)
        assert [row["kind"] for row in listing(redis)["queued"]].count("train") == 1

        form = page(client, "/dashboard/projects/7/models")
        assert [box["value"] for box in form.all("input") if "checked" in box] == ["blitz", "finetune"]
        assert [box["value"] for box in form.all("input") if "min" in box] == ["25", "0.25", "3", "96", "5"]
        shown = page(client, "/dashboard/projects/7/settings").text
        assert re.search(r"blitz\.\s*cycles\s*25\s*models page", shown)
        assert re.search(r"sample_\s*fps\s*2\.0\s*default", shown)
        answer = client.post("/dashboard/projects/7/train", data={"kind": "extra-params"}, follow_redirects=True)
        assert "Trainings follow the extra params again." in answer.get_data(as_text=True)
        known = projects.recall(redis, scene.P)
        assert known is not None
        assert training_choice.in_force(settings.data_dir, known) is None

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            ({"kind": "blitz", "cycles": "1000"}, "blitz.cycles cannot be set: 1000 is not between 1 and 100."),
            ({"kind": "blitz", "cycles": "ten"}, "blitz.cycles cannot be set: &#39;ten&#39; has the wrong type."),
            ({"kind": "blitz", "fit": "<b>"}, "&#39;&lt;b&gt;&#39; is not one of"),
            ({"kind": "warm"}, "The kind &#39;warm&#39; cannot be trained."),
            ({"kind": "custom"}, "No model file is named for this project."),
        ],
    )
    def test_what_cannot_be_trained_is_said_in_one_sentence_and_not_tried(
        self, client: FlaskClient, redis: Redis, at_work: None, sent: dict[str, str], said: str
    ) -> None:
        answer = client.post("/dashboard/projects/7/train", data=sent, headers=HTML)
        assert (answer.status_code, answer.mimetype) == (400, "text/html")
        assert said in answer.get_data(as_text=True)
        assert "train" not in [row["kind"] for row in listing(redis)["queued"]]

    def test_a_form_of_another_site_starts_no_training(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        foreign = {**HTML, "Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
        assert client.post("/dashboard/projects/7/train", data={"kind": "cold"}, headers=foreign).status_code == 403
        assert "train" not in [row["kind"] for row in listing(redis)["queued"]]

    def test_the_active_one_is_not_deleted(self, client: FlaskClient, at_work: None) -> None:
        answer = client.post("/dashboard/projects/7/models/cold-v3/delete", headers=HTML)
        assert answer.status_code == 400
        assert "cold-v3 is the active version." in answer.get_data(as_text=True)


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
        projects.activate(redis, scene.P, "cold-v2")
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
            "Confidence in clear",
            "Confidence in ball",
            "Confidence in car",
        ]
        assert "300 frames at 25 a second, 0:12.00; 55 % sure" in found.text
        unsure, differing = found.text.index("Least confident"), found.text.index("People against model")
        assert found.text.index("111 to 190", unsure) < differing
        # The first person said clear up to frame 120, the model only up to 110.
        assert found.text.index("111 to 120", differing)
        assert "http://studio.invalid/projects/7/data?task=1" in [link["href"] for link in found.all("a")]

    def test_its_pictures_are_made_when_somebody_asks(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        address = "/dashboard/projects/7/videos/1/sheet"
        assert client.get(f"{address}.jpg").status_code == 404
        client.post(address)
        assert ("sheet", 1) in {(row["kind"], row["task"]) for row in listing(redis)["queued"]}
        contact_sheet.save(settings.data_dir, scene.P, 1, ContactSheet((15, 55, 1, 150), 2, 4, 160, 90), b"a JPEG")
        found = page(client, "/dashboard/projects/7/videos/1")
        (image,) = found.all("img")
        assert image["alt"] == "4 frames of the video, row by row: 15, 55, 1, 150"
        answer = client.get(str(image["src"]))
        assert (answer.mimetype, answer.data) == ("image/jpeg", b"a JPEG")

    def test_one_of_which_only_the_suggestions_are_known(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        projects.remember(redis, projects.Known(scene.P, scene.label_config(scene.COLOURS)))
        asked = scene.prediction("keyframes-v1", 5, [(30, 30, [], None)], 0.0)
        ready.save(settings.data_dir, scene.P, asked)
        assert "Keyframe suggestions" in page(client, "/dashboard/projects/7/videos/5").text

    def test_what_the_model_asks_is_drawn_apart_from_its_timeline(self, client: FlaskClient, at_work: None) -> None:
        text = page(client, "/dashboard/projects/7/videos/1").text
        assert "Questions" in text
        assert "the model: a question, frame 60 at 0:02" in text
        assert "3 regions in" in text
        assert "Least confident stretches" in text

    def test_how_sure_it_is_of_a_video_does_not_change_when_its_task_is_put_back(
        self, client: FlaskClient, settings: Settings, at_work: None
    ) -> None:
        put_back = scene.prediction("cold-v3", 1, [(1, 10, ["ball"], 0.5)], 0.99)
        ready.save(settings.data_dir, scene.P, put_back)
        view = task_view.load(settings.data_dir, scene.P, 1)
        assert view is not None
        task_view.save(settings.data_dir, scene.P, replace(view, certainty=0.43))
        assert "43 % sure in its least sure tenth" in page(client, "/dashboard/projects/7/videos/1").text
        assert re.search(r"street_1.*?43 %", page(client, "/dashboard/projects/7/videos").text, re.DOTALL)


class TestQuality:
    def test_people_agreement_and_the_worst_labels_first(self, client: FlaskClient, at_work: None) -> None:
        text = page(client, "/dashboard/projects/7/quality").text
        assert "0.780" in text
        assert "0.910" in text
        assert re.search(r"Ada Lovelace\D*2\D*340\D*1 min 16 s\D*2 min 31 s", text)
        assert "user 12" in text
        assert "predicted, left as it was 3" in text
        assert text.index("97 %") < text.index("92 %") < text.index("82 %")

    def test_of_each_label_who_or_what_gave_it(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/quality")
        pictures = [str(chart.get("aria-label")) for chart in found.all("svg")]
        assert (
            "Regions of clear by source. drawn or answered by a person 80 %, predicted, left as it was 20 %" in pictures
        )
        assert len([name for name in pictures if name.startswith("Regions of")]) == len(scene.COLOURS)
        assert re.search(r"6\s*2\s*2\s*0\.810", found.text)

    def test_looking_again(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        client.post("/dashboard/projects/7/quality")
        assert "quality" in {row["kind"] for row in listing(redis)["queued"]}


class TestSettings:
    def test_values_sources_and_what_was_ignored(self, client: FlaskClient, at_work: None) -> None:
        text = re.sub(r"\s+", " ", page(client, "/dashboard/projects/7/settings").text)
        assert "min_frames 3 extra params" in text.replace("min_frames3extra params", "min_frames 3 extra params")
        assert "'samplin' is unknown" in text

    def test_no_secret_is_shown(self, redis: Redis, settings: Settings, at_work: None) -> None:
        locked = replace(
            settings, basic_auth_user="a-user", basic_auth_pass="a-password", label_studio_api_key="a-token"
        )
        client = create_app(locked).test_client()
        html = client.get("/dashboard/projects/7/settings", auth=("a-user", "a-password")).get_data(as_text=True)
        assert not [secret for secret in ("a-user", "a-password", "a-token", "redis://") if secret in html]
        assert html.count("set, not shown") == 4

    def test_the_recommended_config_has_the_videos_own_rate(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        scene.open_project(settings, redis)
        config = scene.label_config(scene.COLOURS).replace("$fps", "24")
        projects.remember(redis, projects.Known(scene.P, config))
        text = page(client, "/dashboard/projects/7/settings").text
        assert 'framerate="25"' in text
        assert '<Label value="ball" background="#E69F00"/>' in text


class TestExport:
    def test_one_is_made_when_somebody_asks_and_downloaded(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        address = "/dashboard/projects/7/export"
        answer = client.post(address, data={"name": "frames.zip", "every": "5"})
        assert "frames-every-5.zip+is+being+made" in answer.headers["Location"]
        assert "frames-every-5.zip" in {row["version"] for row in listing(redis)["queued"] if row["kind"] == "export"}
        (key,) = projects.known_keys(redis)
        folder = settings.data_dir / "projects" / key / "exports"
        folder.mkdir(parents=True)
        (folder / "labels.csv").write_text("task\n")
        [link] = [each["href"] for each in page(client, address).all("a") if "labels.csv" in str(each.get("href"))]
        with client.get(str(link)) as answer:
            assert answer.data == b"task\n"

    def test_a_name_that_is_none_is_refused(self, client: FlaskClient, at_work: None) -> None:
        assert client.post("/dashboard/projects/7/export", data={"name": "../secret"}).status_code == 400
