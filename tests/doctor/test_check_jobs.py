"""The jobs behind the dashboard's checks, against a small Label Studio over real HTTP; the real one is in `tests/e2e`."""

from __future__ import annotations

import pytest
from redis import Redis
from studio import BACKEND, CONFIG, KEY, Studio
from workroom import context, redis, redis_settings, sample_jobs, studio

from ml_backend.doctor.job import examine, examine_installation, mend
from ml_backend.errors import (
    ColdblitzError,
    LabelConfigError,
    LabelStudioRefused,
    LabelStudioUnreachable,
    SettingsError,
)
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import check_reports, links, registry
from ml_backend.projects.check_reports import INSTALLATION
from ml_backend.projects.links import Link
from ml_backend.projects.registry import Known
from ml_backend.queueing.queue import listing

__all__ = ["context", "redis", "redis_settings", "sample_jobs", "studio"]

WITHOUT = (
    '<View><TimelineLabels name="events" toName="film"><Label value="cat"/></TimelineLabels>'
    '<Video name="film" value="$video"/></View>'
)

BOXES = '<View><VideoRectangle name="boxes" toName="film"/><Video name="film" value="$video"/></View>'


def queued(redis: Redis) -> list[str | None]:
    return [row["kind"] for row in listing(redis)["queued"]]


def forget_jobs(redis: Redis) -> None:
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)


@pytest.fixture
def project(studio: Studio, redis: Redis, context: JobContext) -> dict[str, object]:
    """A connected project with a label config that lacks something."""
    assert studio.project is not None
    studio.project["label_config"] = WITHOUT
    registry.remember(redis, Known(KEY, WITHOUT))
    links.note(redis, KEY, Link(BACKEND, 1))
    return studio.project


def repair(context: JobContext, fix: str, value: str = "") -> str:
    check_reports.ask_repair(context.redis, KEY, fix, value, WITHOUT)
    return mend.within(context, KEY, fix)


def said(redis: Redis) -> tuple[str, str]:
    found = check_reports.recall_repair(redis, KEY)
    assert found is not None
    return found.state, found.said


def test_what_is_found_is_kept_with_its_time(context: JobContext, redis: Redis, project: dict[str, object]) -> None:
    examine.within(context, KEY)
    report = check_reports.recall(redis, KEY)
    assert report is not None
    config = next(each for each in report.checks if each.name == "project 7, label config")
    assert (config.state, config.fix) == ("warning", "framerate")
    examine_installation.within(context, context.settings.label_studio_url)
    report = check_reports.recall(redis, INSTALLATION)
    assert report is not None
    assert {each.name for each in report.checks} >= {"label studio", "redis", "workers", "disk", "codecs"}


def test_boxes_are_counted_in_frames_as_timelines_are(
    context: JobContext, redis: Redis, project: dict[str, object]
) -> None:
    project["label_config"] = BOXES
    examine.within(context, KEY)
    report = check_reports.recall(redis, KEY)
    assert report is not None
    [config] = [each for each in report.checks if each.name == "project 7, label config"]
    assert (config.state, config.fix) == ("warning", "framerate")
    assert "at 24 frames per second because no framerate is set" in config.message


def test_a_missing_frame_rate_does_not_hide_that_a_choice_is_missing(
    context: JobContext, redis: Redis, project: dict[str, object]
) -> None:
    """Where the videos have different rates, nobody can set one, and the choice could not be added."""
    for config, fixes in ((WITHOUT, {"framerate", "reviewed"}), (CONFIG, {"reviewed"}), (BOXES, {"framerate"})):
        project["label_config"] = config
        examine.within(context, KEY)
        report = check_reports.recall(redis, KEY)
        assert report is not None
        assert {each.fix for each in report.checks} & {"framerate", "reviewed"} == fixes


class TestRemedies:
    def test_the_frame_rate(self, context: JobContext, redis: Redis, project: dict[str, object]) -> None:
        repair(context, "framerate", "25")
        assert project["label_config"] == WITHOUT.replace("<Video ", '<Video framerate="25" ')
        assert said(redis)[0] == "done"

    def test_the_reviewed_choice(self, context: JobContext, project: dict[str, object]) -> None:
        repair(context, "reviewed")
        assert '<Choice value="reviewed"' in str(project["label_config"])

    def test_the_webhook(self, context: JobContext, studio: Studio, project: dict[str, object]) -> None:
        studio.webhooks[0] |= {"is_active": False, "headers": {"X": "kept"}}
        studio.add_webhook({**studio.webhooks[0], "url": f"{BACKEND}/webhook/"})
        studio.add_webhook({"url": "http://elsewhere/webhook", "project": 7})
        repair(context, "webhook")
        ours, other = studio.webhooks
        assert (ours["is_active"], ours["send_for_all_actions"], ours["headers"]) == (True, True, {"X": "kept"})
        assert other["url"] == "http://elsewhere/webhook"

    def test_the_pinned_version(self, context: JobContext, studio: Studio, project: dict[str, object]) -> None:
        with pytest.raises(SettingsError, match="No task has a prediction of keyframes-v1 yet"):
            repair(context, "pin")
        studio.add_task(1)
        studio.predictions.append({"id": 1, "task": 1, "model_version": "keyframes-v1", "result": []})
        assert repair(context, "pin") == "The label stream shows keyframes-v1."
        assert project["model_version"] == "keyframes-v1"


class TestNothingIsDone:
    def refused(self, context: JobContext, fix: str, error: type[ColdblitzError] = SettingsError) -> str:
        with pytest.raises(error):
            repair(context, fix, "25")
        state, told = said(context.redis)
        assert state == "refused"
        assert check_reports.waiting_repair(context.redis, KEY) is None
        return told

    def test_where_the_label_config_has_changed_meanwhile(
        self, context: JobContext, project: dict[str, object]
    ) -> None:
        project["label_config"] = changed = WITHOUT.replace("cat", "dog")
        for fix in ("framerate", "reviewed"):
            assert "was changed in Label Studio meanwhile" in self.refused(context, fix)
        assert project["label_config"] == changed

    def test_where_frames_of_annotations_would_move(
        self, context: JobContext, studio: Studio, project: dict[str, object]
    ) -> None:
        studio.add_task(1, annotations=1)
        assert "their frames would be counted at another rate" in self.refused(context, "framerate")
        assert project["label_config"] == WITHOUT

    @pytest.mark.parametrize(("status", "error"), [(403, LabelStudioRefused), (503, LabelStudioUnreachable)])
    def test_where_label_studio_refuses_or_is_away(
        self, context: JobContext, studio: Studio, project: dict[str, object], status: int, error: type[ColdblitzError]
    ) -> None:
        studio.refuses_changes = status
        told = self.refused(context, "reviewed", error)
        assert told.startswith("Not done: ")
        assert ("may not change this project" in told) == (status == 403)
        assert project["label_config"] == WITHOUT


class TestCheckedAgain:
    """What somebody has seen is checked again by itself once it is about something that was."""

    @pytest.fixture
    def checked(self, context: JobContext, project: dict[str, object]) -> None:
        # What a first look finds and mends is no news any more.
        for _ in range(2):
            reconcile.within(context, KEY)
        examine.within(context, KEY)

    def is_asked_for(self, context: JobContext) -> bool:
        reconcile.within(context, KEY)
        return "examine" in queued(context.redis)

    def test_not_while_nothing_has_changed(self, context: JobContext, checked: None) -> None:
        assert not self.is_asked_for(context)

    def test_not_where_nobody_has_looked(self, context: JobContext, redis: Redis, checked: None) -> None:
        check_reports.forget(redis, KEY)
        assert not self.is_asked_for(context)

    def test_when_the_label_config_was_changed_and_is_wrong_now(
        self, context: JobContext, redis: Redis, project: dict[str, object], checked: None
    ) -> None:
        project["label_config"] = "<View/>"
        registry.remember(redis, Known(KEY, "<View/>"))
        with pytest.raises(LabelConfigError):
            reconcile.within(context, KEY)
        assert "examine" in queued(redis)
        examine.within(context, KEY)
        forget_jobs(redis)
        with pytest.raises(LabelConfigError):
            reconcile.within(context, KEY)
        assert "examine" not in queued(redis)

    def test_when_the_webhook_was_made_again(self, context: JobContext, studio: Studio, checked: None) -> None:
        studio.webhooks.clear()
        assert self.is_asked_for(context)
        assert len(studio.webhooks) == 1

    def test_after_a_remedy_that_was_carried_out_and_could_not_be_checked(
        self, context: JobContext, studio: Studio, project: dict[str, object], checked: None
    ) -> None:
        before = check_reports.recall(context.redis, KEY)
        check_reports.ask_repair(context.redis, KEY, "webhook", "", WITHOUT)
        mend.within(context, KEY, "webhook")
        after = check_reports.recall(context.redis, KEY)
        assert before is not None
        assert after is not None
        assert after.made > before.made
        assert not self.is_asked_for(context)
        # As where Label Studio goes away between the two.
        check_reports.note(context.redis, KEY, before.checks, before.about)
        assert self.is_asked_for(context)
