"""Setup and the checks of a project through Flask's client: how old they are, and what a button would do before it does it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import dashboard_scene as scene
import pytest
from dashboard_html import HTML, Elements, at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from ml_backend.errors import SettingsError
from ml_backend.projects import check_reports, links, registry, stored_predictions, task_view
from ml_backend.projects.links import Link
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.liveness import _begun, worker_name
from ml_backend.queueing.queue import enqueue, listing, queue_of
from ml_backend.settings import Settings

__all__ = ["at_work", "client", "settings"]

CHECKS = "/dashboard/projects/7/checks"
WITHOUT = (
    '<View><TimelineLabels name="labels" toName="video"><Label value="car"/></TimelineLabels>'
    '<Video name="video" value="$video"/></View>'
)


def kinds(redis: Redis) -> list[str | None]:
    return [row["kind"] for row in listing(redis)["queued"]]


def form(client: FlaskClient, fix: str) -> dict[str, str]:
    found = page(client, f"{CHECKS}/{fix}")
    return {str(each["name"]): str(each["value"]) for each in found.all("input")}


@pytest.fixture
def lacking(redis: Redis, at_work: None) -> None:
    """The label config has neither a frame rate nor the reviewed choice; a worker is free."""
    scene.employ(redis, 2)
    registry.remember(redis, registry.Known(scene.P, WITHOUT))


def test_what_was_never_checked_is_checked_when_somebody_looks(
    client: FlaskClient, redis: Redis, settings: Settings
) -> None:
    scene.open_project(settings, redis)
    scene.employ(redis)
    assert "Being checked now." in page(client, "/dashboard/start").text
    assert "Being checked now." in page(client, CHECKS).text
    assert sorted(filter(None, kinds(redis))) == ["examine", "examine_installation"]


class TestACheckThatDidNotFinish:
    REASON = "It could not be started (ModuleNotFoundError: No module named 'x')."

    def fail(self, redis: Redis, kind: str, subject: str, **meta: object) -> None:
        job = Job.fetch(str(enqueue(redis, kind, subject, again=True)), connection=redis, serializer=JSONSerializer)
        queue_of(redis, kind).remove(job.id)
        job.ended_at = datetime.now(UTC)
        job.meta.update(meta)
        job.set_status(JobStatus.FAILED)
        job.save()

    @pytest.mark.parametrize(
        ("path", "kind", "subject"),
        [("/dashboard/start", "examine_installation", "http://studio.invalid"), (CHECKS, "examine", scene.P)],
    )
    def test_says_why_and_is_done_again_when_somebody_asks_for_it(
        self, client: FlaskClient, redis: Redis, settings: Settings, path: str, kind: str, subject: str
    ) -> None:
        scene.open_project(settings, redis)
        scene.employ(redis)
        self.fail(redis, kind, subject, reason=self.REASON, error="ModuleNotFoundError")
        for _ in range(2):
            text = unescape(" ".join(page(client, path).text.split()))
            assert f"The last check did not finish: {self.REASON}" in text
            assert "Being checked" not in text
            assert kind not in kinds(redis)
        assert client.post(path).status_code == 303
        assert kind in kinds(redis)
        assert "Being checked now." in page(client, path).text

    def test_whose_worker_left_no_word_says_so(self, client: FlaskClient, redis: Redis, settings: Settings) -> None:
        scene.open_project(settings, redis)
        self.fail(redis, "examine", scene.P)
        assert "The last check did not finish: Its worker stopped." in page(client, CHECKS).text

    def test_is_done_again_once_a_worker_has_started_anew(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        scene.open_project(settings, redis)
        scene.employ(redis)
        self.fail(redis, "examine", scene.P, reason=self.REASON, error="ModuleNotFoundError", passes=False)
        check_reports.note_start(redis)
        assert "Being checked now." in page(client, CHECKS).text

    def test_whose_worker_is_dead_waits_for_another_one(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        scene.open_project(settings, redis)
        page(client, CHECKS)
        (row,) = [row for row in listing(redis)["queued"] if row["kind"] == "examine"]
        job = Job.fetch(row["id"], connection=redis, serializer=JSONSerializer)
        queue_of(redis, "examine").remove(job.id)
        job.set_status(JobStatus.STARTED)
        # A process that has ended: its number is taken by this one, which began later.
        job.worker_name = worker_name(os.getpid(), "a").replace(f".{_begun(os.getpid())}-", ".1-")
        job.save()
        text = " ".join(page(client, CHECKS).text.split())
        assert "Waiting to be checked now. No worker is running." in text

    @pytest.mark.parametrize("fix", ["webhook"])
    def test_the_same_of_a_remedy(self, client: FlaskClient, redis: Redis, lacking: None, fix: str) -> None:
        client.post(f"{CHECKS}/{fix}", data=form(client, fix))
        (row,) = [row for row in listing(redis)["queued"] if row["kind"] == "mend"]
        job = Job.fetch(row["id"], connection=redis, serializer=JSONSerializer)
        queue_of(redis, "mend").remove(job.id)
        job.meta["reason"] = self.REASON
        job.set_status(JobStatus.FAILED)
        job.save()
        assert f"Not done: {self.REASON}" in unescape(page(client, CHECKS).text)


def test_the_steps_say_how_far_the_setup_is(client: FlaskClient, redis: Redis, at_work: None) -> None:
    text = " ".join(page(client, "/dashboard/start").text.split())
    assert "Checked just now." in text
    assert "Warning Weights The backbone is untrained." in text
    assert "1 fault, 2 warnings, checked just now" in text
    assert "examine_installation" not in kinds(redis)
    assert client.post("/dashboard/start").status_code == 303
    assert "examine_installation" in kinds(redis)
    assert client.post(CHECKS).status_code == 303
    scene.employ(redis, 2)
    assert "Being checked now; below is what was found" in page(client, CHECKS).text


def test_each_remedy_asks_first_and_then_a_worker_does_it(
    client: FlaskClient, redis: Redis, settings: Settings, lacking: None
) -> None:
    asked = {
        "framerate": '<Video> gets framerate="25", which all 4 examined videos have.',
        "reviewed": 'a choice “reviewed” about <Video name="video"> is added',
        "webhook": "Project 7 has one webhook to http://localhost:9090/webhook",
        "pin": "The label stream of project 7 shows the predictions of cold-v3",
    }
    for fix, told in asked.items():
        assert told in page(client, f"{CHECKS}/{fix}").text
        assert "mend" not in kinds(redis)
        assert client.post(f"{CHECKS}/{fix}", data=form(client, fix)).status_code == 303
        repair = check_reports.waiting_repair(redis, scene.P)
        assert repair is not None
        assert (repair.fix, repair.value) == (fix, {"framerate": "25", "pin": "cold-v3"}.get(fix, ""))
        assert "Being done in Label Studio." in page(client, CHECKS).text
        # A second click is no second repair, and another one waits.
        assert client.post(f"{CHECKS}/{fix}", data=form(client, fix)).status_code == 303
        assert kinds(redis).count("mend") == 1
        other = "webhook" if fix != "webhook" else "pin"
        answer = client.post(f"{CHECKS}/{other}", data=form(client, other), headers=HTML)
        assert "Something else is being done in this project." in answer.get_data(as_text=True)
        redis.delete(*redis.scan_iter("rq:*mend*"))


def test_what_would_be_done_otherwise_by_now_is_asked_again(client: FlaskClient, redis: Redis, lacking: None) -> None:
    form_of_then = form(client, "reviewed")
    registry.remember(redis, registry.Known(scene.P, WITHOUT.replace("car", "dog")))
    answer = client.post(f"{CHECKS}/reviewed", data=form_of_then)
    assert answer.status_code == 409
    assert "has changed since you opened this page" in answer.get_data(as_text=True)
    assert check_reports.waiting_repair(redis, scene.P) is None


def test_where_we_can_do_nothing_there_is_no_button_but_a_reason(
    client: FlaskClient, redis: Redis, settings: Settings, lacking: None
) -> None:
    task_view.save(settings.data_dir, scene.P, TaskView(9, "slow.mp4", 5.0, 50, 10.0, "keyframes-v1", {}, 5.0))
    found = page(client, CHECKS)
    assert "The videos have different frame rates, so each task's data needs its own." in found.text
    assert f"{CHECKS}/framerate" not in {each.get("href") for each in found.all("a")}
    answer = client.post(f"{CHECKS}/framerate", data={"mark": "", "value": "25"})
    assert answer.status_code == 409
    assert not Elements(answer.get_data(as_text=True)).all("button")
    assert client.get(f"{CHECKS}/magic").status_code == 404


def test_what_was_pushed_a_moment_ago_can_be_shown(
    client: FlaskClient, redis: Redis, settings: Settings, at_work: None
) -> None:
    """The last comparison with Label Studio, minutes ago, found none."""
    registry.note_overview(redis, scene.P, title="A street", tasks=6, versions={})
    assert "cold-v3 in the label stream?" in page(client, f"{CHECKS}/pin").text
    stored_predictions.delete(settings.data_dir, scene.P, "cold-v3")
    assert "No task has a prediction of cold-v3 yet." in page(client, f"{CHECKS}/pin").text


def test_how_it_ended_is_said(client: FlaskClient, redis: Redis, lacking: None) -> None:
    client.post(f"{CHECKS}/webhook", data=form(client, "webhook"))
    repair = check_reports.waiting_repair(redis, scene.P)
    assert repair is not None
    check_reports.close_repair(redis, scene.P, repair, "refused", "Not done: Label Studio does not answer.")
    assert "Not done: Label Studio does not answer." in page(client, CHECKS).text


def test_a_button_of_another_site_does_nothing(client: FlaskClient, redis: Redis, lacking: None) -> None:
    sent = form(client, "webhook")
    assert client.post(f"{CHECKS}/webhook", data=sent, headers={"Origin": "http://evil.example"}).status_code == 403
    assert "mend" not in kinds(redis)


class TestOutdated:
    """Checks that are about what the project was before."""

    def told(self, client: FlaskClient) -> str:
        return " ".join(page(client, CHECKS).text.split())

    @pytest.mark.parametrize("change", ["label config", "settings", "address", "version", "webhook"])
    def test_they_are_done_again_when_somebody_looks(
        self, client: FlaskClient, redis: Redis, at_work: None, change: str
    ) -> None:
        assert "Checked just now." in self.told(client)
        assert "examine" not in kinds(redis)
        known = registry.recall(redis, scene.P)
        assert known is not None
        if change == "label config":
            registry.remember(redis, replace(known, label_config=WITHOUT))
        elif change == "settings":
            registry.remember(redis, replace(known, extra_params={"min_frames": 30}))
        elif change == "address":
            links.note(redis, scene.P, Link("https://elsewhere.example", 1))
        elif change == "version":
            registry.activate(redis, scene.P, "cold-v1")
        else:
            check_reports.note_change(redis, scene.P)
        assert "checked just now, before something changed" in page(client, "/dashboard/start").text
        scene.employ(redis, 2)
        assert "Being checked again, since something has changed; below is what was found just now." in self.told(
            client
        )
        assert kinds(redis).count("examine") == 1

    def test_the_installation_is_checked_again_after_a_start(
        self, client: FlaskClient, redis: Redis, at_work: None
    ) -> None:
        page(client, "/dashboard/start")
        assert "examine_installation" not in kinds(redis)
        check_reports.note_start(redis)
        page(client, "/dashboard/start")
        assert "examine_installation" in kinds(redis)


def test_what_a_remedy_waits_for_is_said(client: FlaskClient, redis: Redis, at_work: None) -> None:
    scene.employ(redis)
    client.post(f"{CHECKS}/webhook", data=form(client, "webhook"))
    text = " ".join(page(client, CHECKS).text.split())
    assert "Waiting to be done in Label Studio. The worker is busy with train Street (40 %, about " in text


def test_two_remedies_that_are_asked_for_at_once_are_one(redis: Redis) -> None:
    for _ in range(20):
        barrier = threading.Barrier(2)

        def ask(fix: str, barrier: threading.Barrier = barrier) -> str | None:
            barrier.wait()
            try:
                check_reports.ask_repair(redis, scene.P, fix, "", WITHOUT)
            except SettingsError:
                return None
            return fix

        with ThreadPoolExecutor(2) as clicks:
            (asked,) = filter(None, clicks.map(ask, ("webhook", "reviewed")))
        waiting = check_reports.waiting_repair(redis, scene.P)
        assert waiting is not None
        assert waiting.fix == asked
        assert [row["version"] for row in listing(redis)["queued"]] == [asked]
        redis.flushdb()
