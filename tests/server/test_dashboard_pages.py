"""The dashboard through Flask's client: every page, with nothing, with a project at work, and with names nobody expects."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import dashboard_scene as scene
import pytest
from dashboard_html import HTML, at_work, client, page, settings
from embedded import do_jobs, settings_for
from flask.testing import FlaskClient
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.checks import Finding
from ml_backend.project_settings import parse_project_settings
from ml_backend.projects import label_report, registry, track_rows
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.track_rows import TaughtTracks
from ml_backend.queueing.kinds import KINDS, Kind
from ml_backend.queueing.parts import queue_parts
from ml_backend.queueing.queue import enqueue, listing
from ml_backend.server.app import create_app
from ml_backend.server.dashboard.projects_page import of_project
from ml_backend.settings import Settings

__all__ = ["at_work", "client", "settings"]

PROJECT_PAGES = (
    "videos",
    "videos/1",
    "models",
    "models/cold-v3",
    "quality",
    "export",
    "settings",
    "settings/change",
    "checks",
    "checks/pin",
)
PAGES = ("/", "/dashboard/jobs", "/dashboard/start", *(f"/dashboard/projects/7/{page}" for page in PROJECT_PAGES))
ODD = {
    "a/b <script>alert(1)</script>": 'red" onload="alert(1)',
    "日本語": "#abc",
    "x" * 300: "#E69F00",
    "'\"&{{7*7}}": "",
}


def test_the_companion_project_is_one_click_away(client: FlaskClient, redis: Redis, at_work: None) -> None:
    assert "Frames," not in page(client, "/").text
    registry.note_companion(redis, scene.P, registry.KnownCompanion("9.1769860800", 40, 12))
    html = page(client, "/")
    assert "Frames, 12 of 40 labeled" in html.text
    assert "http://studio.invalid/projects/9/data" in {link.get("href") for link in html.all("a")}


def test_what_tracks_have_taught_is_said_in_a_sentence(client: FlaskClient, settings: Settings, at_work: None) -> None:
    assert "Boxes." not in page(client, "/").text
    track_rows.save_taught(
        settings.data_dir, scene.P, [TaughtTracks("box", {"mouse": 1, "<b>vole</b>": 2}, 1, labeled=9)]
    )
    assert (
        "Boxes. 3 tracks of 1 video taught labels (2 <b>vole</b>, 1 mouse); 9 others got theirs."
        in page(client, "/").text
    )


def test_that_nobody_has_labelled_is_said_only_where_it_is_so(
    client: FlaskClient, settings: Settings, at_work: None
) -> None:
    report = label_report.load(settings.data_dir, scene.P)
    assert report is not None
    # Choices about whole videos, or another control than the first, are labels of no frame of the first one.
    label_report.save(settings.data_dir, scene.P, replace(report, frames={}, regions={}), [])
    text = page(client, "/").text
    assert "Nothing has been labeled" not in text
    assert "2 tasks have annotations" in text
    label_report.save(settings.data_dir, scene.P, replace(report, tasks=(), frames={}, regions={}), [])
    assert "Nothing has been labeled" in page(client, "/").text


def test_a_model_that_is_trained_but_not_active_yet_is_named(
    client: FlaskClient, settings: Settings, redis: Redis, at_work: None
) -> None:
    redis.hdel("coldblitz:active", scene.P)
    text = page(client, "/").text
    assert "No model yet" not in text
    assert "cold-v3 is trained. It becomes active once its predictions are in Label Studio" in text


def test_an_address_of_a_person_breaks_around_its_parts(
    client: FlaskClient, settings: Settings, redis: Redis, at_work: None
) -> None:
    report = label_report.load(settings.data_dir, scene.P)
    assert report is not None
    [first, *others] = report.authors
    label_report.save(
        settings.data_dir, scene.P, replace(report, authors=(replace(first, name="ada<@lab.example.org"), *others)), []
    )
    shown = client.get("/dashboard/projects/7/quality").get_data(as_text=True)
    assert "ada&lt;@<wbr>lab<wbr>.example<wbr>.org" in shown


def test_a_version_that_stays_back_says_so_and_not_that_it_becomes_active(
    client: FlaskClient, settings: Settings, redis: Redis, at_work: None
) -> None:
    redis.hdel("coldblitz:active", scene.P)
    report = label_report.load(settings.data_dir, scene.P)
    assert report is not None
    every = tuple(range(1, 200))
    label_report.save(settings.data_dir, scene.P, replace(report, tasks=every, reviewed=every), [])
    assert "cold-v3 is trained. All videos are reviewed" in page(client, "/").text
    card = ProjectFolder(settings.data_dir, scene.P).models / "cold-v3" / "card.json"
    why = "cold-v3 is kept back: its labels cannot be told apart yet."
    card.write_text(json.dumps({**json.loads(card.read_text()), "decision": why}))
    text = page(client, "/").text
    assert why in text
    assert "It becomes active" not in text


def test_a_region_of_interest_is_shown_as_it_was_understood() -> None:
    given = {"roi": "25, 10, 50.5, 60", "resolution": 160}
    shown = {each.name: each for each in of_project(parse_project_settings(given)[0], given)}
    assert (shown["roi"].value, shown["roi"].source) == ("25, 10, 50.5, 60", "extra params")
    assert (shown["resolution"].value, shown["resolution"].source) == ("160", "extra params")
    unset = {each.name: each for each in of_project(parse_project_settings({})[0], {})}
    assert (unset["roi"].value, unset["roi"].source) == ("not set", "default")


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
        registry.set_problems(redis, scene.P, "label config", ["<b>bold</b> `<i>`"])
        found = page(client, path)
        assert len(found.all("script")) == 1
        assert not found.all("img")
        assert not found.all("b")
        assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
        assert title in found.text or path == "/dashboard/jobs"
        assert "{{7*7}}" in found.text or "49" not in re.sub(r"\d\d:\d\d:\d\d", "", found.text)

    @pytest.mark.parametrize("path", ["/", "/dashboard/jobs"])
    def test_with_nothing_to_show(self, client: FlaskClient, path: str) -> None:
        found = page(client, path)
        assert ("No project is connected" if path == "/" else "Nothing is running") in found.text

    @pytest.mark.parametrize("path", ["videos", "models", "quality", "settings"])
    def test_of_a_project_that_was_only_connected(self, client: FlaskClient, redis: Redis, path: str) -> None:
        registry.remember(redis, registry.Known("9.1", "not even XML", "neither JSON"))
        assert "Project 9" in page(client, f"/dashboard/projects/9/{path}").text
        assert "Project 9" in page(client, "/").text

    @pytest.mark.parametrize("path", PAGES)
    def test_two_thousand_tasks_make_no_page_large_nor_slow(
        self, client: FlaskClient, redis: Redis, settings: Settings, path: str
    ) -> None:
        scene.open_project(settings, redis, tasks=2000)
        for task in range(2000):
            registry.note_findings(redis, scene.P, task, [Finding("long", message="m.", remedy="r.", severity="note")])
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
            ("/dashboard/projects/7/videos/999", "There is no data yet about task 999 of project 7. It is examined"),
            ("/dashboard/projects/7/videos/9", "There is no data yet about task 9 of project 7, since its job failed."),
            ("/dashboard/projects/7/videos/9", "Task 9 has no video: its data has no address under"),
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
            "labeled": ("2", "6"),
            "reviewed": ("1", "6"),
            "predicted": ("4", "6"),
        }
        assert "cold-v3 0.930" in found.text
        assert (
            "Keep labeling. About 110 errors are left in 900 frames, most in these videos: task 4, 3, 2." in found.text
        )
        assert "rose from 0.810" in found.text
        assert "300 frames" in found.text
        assert "'samplin' is unknown" in found.text
        assert "Encode it at a constant rate." in found.text
        assert "No worker is running" in found.text
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

    def test_how_long_jobs_are_kept_is_said_as_it_is(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        kept = "jobs about one task are kept for 10 minutes, others for 60 minutes"
        assert f"Newest first; {kept}" in page(client, "/dashboard/jobs").text
        for kind, job_id in (
            ("predict", enqueue(redis, "predict", scene.P, 4)),
            ("train", enqueue(redis, "train", "8.1")),
        ):
            job = Job.fetch(str(job_id), connection=redis, serializer=JSONSerializer)
            assert job.result_ttl == {"predict": 600, "train": 3600}[kind]
        redis.flushdb()
        assert f"Nothing has finished lately; {kept}." in page(client, "/dashboard/jobs").text

    def test_a_video_in_parts_is_one_line_of_what_waits(self, client: FlaskClient, redis: Redis) -> None:
        queue_parts(redis, "embed_part", scene.P, [(5, number) for number in range(9)], ("embed", (5,)), 9)
        found = page(client, "/dashboard/jobs")
        assert "0 of 9 parts" in found.text
        assert [bar["value"] for bar in found.all("progress")] == ["0.0"]
        assert "embed_part" not in found.text

    def test_a_failed_job_is_tried_again_by_its_button(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        (failed,) = listing(redis)["failed"]
        actions = [form["action"] for form in page(client, "/dashboard/jobs").all("form")]
        retry = next(action for action in actions if action and failed["id"] in action)
        answer = client.post(retry, follow_redirects=True, headers=HTML)
        assert "The job is being retried." in answer.get_data(as_text=True)
        assert listing(redis)["failed"] == []

    def test_a_waiting_job_is_cancelled_by_its_button(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        (queued,) = listing(redis)["queued"]
        client.post(f"/dashboard/jobs/{queued['id']}/cancel")
        assert listing(redis)["queued"] == []
        assert any(row["cancelled"] for row in listing(redis)["failed"])

    def test_all_failed_ones_at_once(self, client: FlaskClient, at_work: None) -> None:
        answer = client.post("/dashboard/jobs/retry", follow_redirects=True, headers=HTML)
        assert "1 job is being retried." in answer.get_data(as_text=True)

    @pytest.mark.parametrize("what", ["retry", "cancel"])
    def test_one_that_is_gone(self, client: FlaskClient, what: str) -> None:
        answer = client.post(f"/dashboard/jobs/nothing/{what}", headers=HTML)
        assert (answer.status_code, answer.mimetype) == (404, "text/html")

    def test_another_site_cannot_press_the_buttons(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        answer = client.post("/dashboard/jobs/retry", headers={**HTML, "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert len(listing(redis)["failed"]) == 1


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
        registry.remember(redis, registry.Known(scene.P, config))
        text = page(client, "/dashboard/projects/7/settings").text
        assert 'framerate="25"' in text
        assert '<Label value="ball" background="#E69F00"/>' in text


class TestExport:
    def test_one_is_made_when_somebody_asks_and_downloaded(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        address = "/dashboard/projects/7/export"
        answer = client.post(address, data={"name": "frames.zip", "every": "5"})
        asked = answer.headers["Location"]
        assert "frames-every-5.zip waits to be created. No worker is running." in page(client, asked).text
        scene.employ(redis, 2)
        assert "frames-every-5.zip is being created. It is listed below" in page(client, asked).text
        assert "frames-every-5.zip" in {row["version"] for row in listing(redis)["queued"] if row["kind"] == "export"}
        (key,) = registry.known_keys(redis)
        folder = settings.data_dir / "projects" / key / "exports"
        folder.mkdir(parents=True)
        (folder / "labels.csv").write_text("task\n")
        [link] = [each["href"] for each in page(client, address).all("a") if "labels.csv" in str(each.get("href"))]
        with client.get(str(link)) as answer:
            assert answer.data == b"task\n"

    @pytest.mark.parametrize(
        ("ends", "said"),
        [
            ("suggest", "labels.csv could not be created: Task labels.csv has no video."),
            ("export", "labels.csv: 3 rows, without 1 video that could not be used."),
            ("away", "The last try failed: The server of labels.csv does not answer."),
        ],
    )
    def test_what_became_of_one_is_said_there(
        self,
        client: FlaskClient,
        redis: Redis,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        ends: str,
        said: str,
    ) -> None:
        scene.open_project(settings, redis)
        monkeypatch.setitem(KINDS, "export", Kind(f"failing_jobs.{ends}", 60))
        asked = client.post("/dashboard/projects/7/export", data={"name": "labels.csv"}).headers["Location"]
        assert said not in page(client, asked).text
        do_jobs(redis, 1)
        assert said in page(client, asked).text

    def test_a_name_that_is_none_is_refused(self, client: FlaskClient, at_work: None) -> None:
        assert client.post("/dashboard/projects/7/export", data={"name": "../secret"}).status_code == 400
