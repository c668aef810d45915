"""Saving settings in Label Studio, against a small one over real HTTP; the real one is in `tests/e2e`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from known_project import queued
from redis import Redis
from studio import BACKEND, KEY, Studio

from ml_backend.errors import LabelStudioRefused, LabelStudioUnreachable
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling import configure as configuring
from ml_backend.jobs.reconciling.configure import configure
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import registry, settings_changes
from ml_backend.projects.registry import Known
from ml_backend.projects.settings_changes import SettingsChange

BEFORE = {"min_frames": 3, "made by others": [1]}
AFTER = {**BEFORE, "frames_per_video": 5}


@pytest.fixture
def entry(studio: Studio, redis: Redis, context: JobContext, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The ML backend as Label Studio has it, with a change that waits."""
    monkeypatch.setattr(configuring, "_SETTLED_SECONDS", 0.01)
    studio.backends[0]["extra_params"] = json.dumps(BEFORE)
    registry.remember(redis, Known(KEY, "<View/>", BEFORE))
    settings_changes.ask(redis, KEY, SettingsChange(BEFORE, AFTER, ["frames_per_video"], {"frames_per_video": "5"}))
    return studio.backends[0]


def ended(redis: Redis) -> tuple[str, str]:
    found = settings_changes.recall(redis, KEY)
    assert found is not None
    return found.state, found.said


def test_they_are_stored_as_text_that_label_studios_own_form_can_show(
    context: JobContext, redis: Redis, entry: dict[str, Any]
) -> None:
    assert configure.within(context, KEY) == "saved 1 setting"
    assert isinstance(entry["extra_params"], str)
    assert json.loads(entry["extra_params"]) == AFTER
    assert entry["url"] == BACKEND
    assert ended(redis) == ("saved", "Saved in Label Studio: 1 setting.")
    known = registry.recall(redis, KEY)
    assert known is not None
    assert known.settings.frames_per_video == 5
    assert "reconcile" in queued(redis)


def test_the_login_that_label_studio_uses_stays(context: JobContext, entry: dict[str, Any]) -> None:
    entry |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "studio"}
    configure.within(context, KEY)
    assert (entry["auth_method"], entry["basic_auth_user"]) == ("BASIC_AUTH", "studio")


def test_what_was_changed_in_label_studio_meanwhile_is_not_overwritten(
    context: JobContext, redis: Redis, entry: dict[str, Any]
) -> None:
    entry["extra_params"] = {"min_frames": 20}
    assert "so nothing was saved" in configure.within(context, KEY)
    assert entry["extra_params"] == {"min_frames": 20}
    state, said = ended(redis)
    assert state == "refused"
    assert "were changed in Label Studio meanwhile" in said
    known = registry.recall(redis, KEY)
    assert known is not None
    assert known.extra_params == {"min_frames": 20}, "the page shows what there is now"


def test_what_is_saved_already_is_not_saved_twice(context: JobContext, redis: Redis, entry: dict[str, Any]) -> None:
    """A worker was killed after Label Studio had stored it."""
    entry["extra_params"] = json.dumps(AFTER)
    assert configure.within(context, KEY) == "saved 1 setting"


def test_when_label_studio_writes_back_what_it_knew_before_it_is_saved_again(
    context: JobContext, studio: Studio, entry: dict[str, Any]
) -> None:
    versions = studio.versions

    def forget_once() -> Any:
        if studio.saved == 1:
            entry["extra_params"], studio.saved = json.dumps(BEFORE), 2
        return versions()

    studio.view_functions["versions"] = forget_once
    assert configure.within(context, KEY) == "saved 1 setting"
    assert json.loads(entry["extra_params"]) == AFTER


def test_a_token_that_may_not_change_the_model_is_said_to_be_one(
    context: JobContext, studio: Studio, redis: Redis, entry: dict[str, Any]
) -> None:
    studio.before_saving = lambda: 403
    with pytest.raises(LabelStudioRefused):
        configure.within(context, KEY)
    assert "the user of LABEL_STUDIO_API_KEY may not change the model" in ended(redis)[1]
    assert json.loads(entry["extra_params"]) == BEFORE


def test_when_label_studio_breaks_midway_it_is_asked_whether_it_saved(
    context: JobContext, studio: Studio, redis: Redis, entry: dict[str, Any]
) -> None:
    studio.before_saving = lambda: 503
    with pytest.raises(LabelStudioUnreachable):
        configure.within(context, KEY)
    assert ended(redis)[1].startswith("Nothing was saved: Label Studio answered 503")
    assert settings_changes.waiting(redis, KEY) is None, "it is not done later, when nobody expects it"


def test_it_had_saved_before_it_broke(context: JobContext, studio: Studio, redis: Redis, entry: dict[str, Any]) -> None:
    def break_after() -> int:
        entry["extra_params"] = json.dumps(AFTER)
        return 502

    studio.before_saving = break_after
    assert configure.within(context, KEY) == "saved 1 setting"


def test_contradictions_that_were_written_in_label_studio_are_told_with_the_same_sentence(
    context: JobContext, redis: Redis, studio: Studio
) -> None:
    registry.remember(redis, Known(KEY, "<View/>", {"max_tracks": 3, "default_label": "cow", "samplin": 1}))
    reconcile.within(context, KEY)
    told = registry.problems(redis)[KEY]
    assert any("'samplin' is unknown" in each for each in told)
    assert (
        "Extra param 'max_tracks' has no effect, since the label config has no <VideoRectangle>. Add one on the <Video>, or remove it."
        in told
    )
    assert any("names “cow”, but the label config has no such label. Name “cat” or “dog”" in each for each in told)
