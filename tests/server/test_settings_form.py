"""The form for a project's settings through Flask's client: what it shows, what it refuses, and what it would change."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from html import unescape
from typing import Any

import dashboard_scene as scene
import pytest
from dashboard_html import Elements, client, page, settings
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from ml_backend.described_settings import described_settings
from ml_backend.errors import SettingsError
from ml_backend.project_settings import parse_project_settings
from ml_backend.projects import label_report, registry, settings_changes
from ml_backend.projects.settings_changes import SettingsChange
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings

__all__ = ["client", "settings"]

FORM = "/dashboard/projects/7/settings/change"


@pytest.fixture
def given(redis: Redis, settings: Settings) -> dict[str, Any]:
    """The extra params of a project at work: two settings, one of them wrong, and keys that nothing reads."""
    scene.open_project(settings, redis)
    params = {"min_frames": 3, "sample_fps": "two", "samplin": "x", "blitz": {"cycles": 7, "epochs": 9}}
    keep(redis, params)
    return params


def keep(redis: Redis, params: object) -> None:
    known = registry.recall(redis, scene.P)
    assert known is not None
    registry.remember(redis, registry.Known(known.key, known.label_config, params))


def typed(client: FlaskClient, **changed: str) -> dict[str, str]:
    """What a browser sends of the form as it is opened, but for what is `changed`; `__` stands for a dot."""
    found = page(client, FORM)
    sent = {str(each["name"]): each.get("value") or "" for each in found.all("input") if each.get("type") != "checkbox"}
    selected = ""
    for tag, attributes in found.found:
        if tag == "select":
            selected = str(attributes["name"])
            sent[selected] = ""
        elif tag == "option" and "selected" in attributes:
            sent[selected] = attributes.get("value") or ""
    return {name: value for name, value in sent.items() if name} | {
        name.replace("__", "."): value for name, value in changed.items()
    }


def post(client: FlaskClient, form: dict[str, str], status: int = 200) -> tuple[TestResponse, str]:
    answer = client.post(FORM, data=form)
    if status == 200 and answer.status_code == 303:
        answer = client.get(answer.headers["Location"])
    found = Elements(answer.get_data(as_text=True))
    assert answer.status_code == status, found.text
    return answer, " ".join(found.text.split())


def waiting(redis: Redis) -> SettingsChange:
    found = settings_changes.waiting(redis, scene.P)
    assert found is not None
    return found


def test_each_setting_has_a_labeled_control_and_its_explanation(client: FlaskClient, given: dict[str, Any]) -> None:
    found = page(client, FORM)
    controls = {str(each.get("name")): each for tag in ("input", "select") for each in found.all(tag)}
    ids = {each.get("id") for _, each in found.found}
    for setting in described_settings():
        control = controls[setting.name]
        assert control["id"] in {each.get("for") for each in found.all("label")}
        assert set(str(control["aria-describedby"]).split()) <= ids


def test_what_is_not_touched_stays_as_it_is_written_be_it_wrong(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    text = page(client, FORM).text
    assert "It is ignored: 'two' has the wrong type." in text
    assert "'samplin' is unknown and was ignored; did you mean 'sampling'?" in text
    assert "'blitz.epochs' is unknown" in text
    _, said = post(client, typed(client))
    assert "Nothing is changed yet." in said
    post(client, typed(client, frames_per_video="5", do="save"), 303)
    assert waiting(redis).after == {**given, "frames_per_video": 5}
    assert waiting(redis).before == given
    assert waiting(redis).names == ["frames_per_video"]


def test_an_emptied_field_takes_its_key_away_and_a_ticked_key_goes(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    form = typed(client, min_frames="", blitz__cycles="", do="save") | {"remove.blitz.epochs": "on"}
    post(client, form, 303)
    assert waiting(redis).after == {"sample_fps": "two", "samplin": "x"}


def test_each_kind_of_value_is_stored_as_what_it_is(client: FlaskClient, redis: Redis, given: dict[str, Any]) -> None:
    wanted: dict[str, tuple[str, Any]] = {
        "sampling": ("uniform", "uniform"),
        "resolution": ("320", 320),
        "dense": ("false", False),
        "sample_fps": ("2.5", 2.5),
        "roi": ("25, 10, 50, 60", [25, 10, 50, 60]),
        "fill_gaps": ('{"ball": 5}', {"ball": 5}),
        "default_label": ("clear", "clear"),
    }
    post(client, {**typed(client, do="save"), **{name: text for name, (text, _) in wanted.items()}}, 303)
    after = waiting(redis).after
    assert {name: after[name] for name in wanted} == {name: value for name, (_, value) in wanted.items()}


WRONG = [
    ("frames_per_video", "many", "Write a whole number between 1 and 1000."),
    ("frames_per_video", "0", "It cannot be saved: 0 is not between 1 and 1000."),
    ("min_frames", '{"ball": ', 'Write a whole number, or one for each label, such as {"jump": 5}.'),
    ("sampling", "hot", "'hot' is not one of 'auto', 'uniform'"),
    ("roi", "50, 50, 60, 60", "reaches beyond the picture"),
    ("detector", "torchvision/fcos", "torchvision has no detector 'fcos'"),
    ("blitz.cycles", "1000", "1000 is not between 1 and 100."),
    # What contradicts the label config, which has the labels clear, ball and car, and no boxes.
    ("max_tracks", "3", "Extra param 'max_tracks' has no effect, since the label config has no <VideoRectangle>."),
    ("per_individual", "true", "needs boxes and a timeline on the same video"),
    ("mode", "custom", "no model file is named"),
    ("custom_model", "mine.pt", "names 'mine.pt', which is not in the folder custom_models"),
    (
        "default_label",
        "rain",
        "names “rain”, but the label config has no such label. Name “ball”, “car” or “clear”, or remove it.",
    ),
    ("min_frames", '{"rain": 3}', "names “rain”"),
]


def test_what_cannot_be_is_refused_with_a_sentence_and_stays_in_the_form(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    opened = typed(client, do="save")
    for name, text, told in WRONG:
        answer, said = post(client, opened | {name: text}, 422)
        assert told in said, name
        found = Elements(answer.get_data(as_text=True))
        (control,) = [each for tag in ("input", "select") for each in found.all(tag) if each.get("name") == name]
        assert control["aria-invalid"] == "true"
        assert text in {control.get("value"), *(each.get("value") for each in found.all("option"))}
    assert settings_changes.waiting(redis, scene.P) is None


@pytest.mark.parametrize("text", ["x" * 2000, "'\"" * 1000, '{"' + "y" * 1900 + '": 0}'])
def test_what_is_refused_is_not_repeated_at_length(
    client: FlaskClient, redis: Redis, given: dict[str, Any], text: str
) -> None:
    refused = 0
    for setting in described_settings():
        answer = client.post(FORM, data=typed(client, do="save") | {setting.name: text})
        html = answer.get_data(as_text=True)
        for each in re.findall(r'id="[a-z_-]*-fault"[^>]*>(.*?)</', html, re.DOTALL):
            assert len(unescape(each)) < 400, setting.name
        refused += answer.status_code == 422
        redis.flushdb() if answer.status_code == 303 else None
    assert refused > 20
    keep(redis, {"x" * 2000: 1, "default_label": text, "sampling": text, "detector": text, "roi": text})
    known = registry.recall(redis, scene.P)
    assert known is not None
    told = list(parse_project_settings(known.extra_params)[1])
    assert len(told) >= 4
    assert max(map(len, told)) < 1000  # the names of all settings are longer than what was typed


def test_two_settings_that_contradict_each_other_are_refused_together(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    _, said = post(client, typed(client, mode="cold", blitz__fit="finetune"), 422)
    assert "'blitz' asks for 'finetune', but 'mode' is 'cold'" in said
    # What contradicted itself before may stay while something else is changed.
    keep(redis, {"mode": "cold", "blitz": {"fit": "finetune"}})
    assert "asks for 'finetune'" in page(client, FORM).text
    post(client, typed(client, frames_per_video="5", do="save"), 303)


def test_what_happens_then_is_said_with_numbers_before_anything_is_saved(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    _, said = post(client, typed(client, frames_per_video="5"))
    assert "default: 10" in said
    assert "Frames of videos that are added from now on are suggested this way. 4 videos keep" in said
    assert "Right away" not in said, "a model learns nothing of how keyframes are picked"
    _, said = post(client, typed(client, min_frames="5"))
    assert "Right away a model is trained on 2 videos with annotations. Unless it is worse than cold-v3" in said
    assert "it replaces that, then 5 videos are predicted again. Reviewed videos (1) are not." in said
    assert settings_changes.recall(redis, scene.P) is None
    assert not [job for job in listing(redis)["queued"] if job["kind"] == "configure"]
    _, said = post(client, typed(client, resolution="224"))
    assert "the network looks at 6 videos once more" in said
    assert "Until then cold-v3 predicts no new video." in said


def test_reviewed_videos_are_not_said_to_be_predicted_again(
    client: FlaskClient, settings: Settings, given: dict[str, Any]
) -> None:
    report = label_report.load(settings.data_dir, scene.P)
    assert report is not None
    every = tuple(range(1, 7))
    label_report.save(settings.data_dir, scene.P, replace(report, tasks=every, reviewed=every), [])
    _, said = post(client, typed(client, min_frames="5"))
    assert "it replaces that, and no video is predicted, since all are reviewed." in said


def test_whoever_goes_back_after_saving_sends_nothing_again(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    """A browser asks whether to send a form again where a page came of one."""
    shown = client.post(FORM, data=typed(client, frames_per_video="5"))
    assert shown.status_code == 303
    preview = page(client, shown.headers["Location"])
    assert "What changes" in preview.text
    sent = {str(each["name"]): str(each["value"]) for each in preview.all("input")}
    edited = client.post(FORM, data={**sent, "do": "edit"})
    assert edited.status_code == 303
    assert 'name="frames_per_video" aria-describedby="frames_per_video-told" value="5"' in client.get(
        edited.headers["Location"]
    ).get_data(as_text=True)
    post(client, {**sent, "do": "save"}, 303)
    assert waiting(redis).after["frames_per_video"] == 5
    keep(redis, {**given, "frames_per_video": 5})
    assert "Nothing is changed yet." in page(client, shown.headers["Location"]).text
    keep(redis, {**given, "frames_per_video": 7})
    assert "changed elsewhere since you opened this page" in page(client, shown.headers["Location"]).text
    # What was typed hours ago is no more.
    assert client.get(shown.headers["Location"].partition("=")[0] + "=gone").status_code == 303


def test_settings_that_were_changed_meanwhile_are_not_overwritten(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    form = typed(client, frames_per_video="5", do="save")
    keep(redis, {**given, "min_frames": 8})
    answer, said = post(client, form, 409)
    assert "changed elsewhere since you opened this page, so nothing was saved" in said
    assert 'name="frames_per_video" aria-describedby="frames_per_video-told" value="5"' in answer.get_data(as_text=True)
    assert settings_changes.waiting(redis, scene.P) is None


def test_what_somebody_else_has_saved_meanwhile_is_not_set_back_by_fields_that_were_left_alone(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    opened = typed(client, frames_per_video="5")
    keep(redis, {**given, "min_frames": 8, "frames_per_video": 7})
    for way in ({"do": "save"}, {"do": "edit"}, {}, {"sample_fps": "many"}):
        answer, said = post(client, opened | way, 409)
        found = Elements(answer.get_data(as_text=True))
        inputs = [each for each in found.all("input") if each.get("type") != "checkbox"]
        again = {str(each["name"]): each.get("value") or "" for each in inputs}
        assert (again["min_frames"], again["frames_per_video"]) == ("8", "5")
        assert "Set now: 7." in said
    del again["sample_fps"]
    _, said = post(client, again)
    assert "min_frames" not in said
    post(client, {**again, "do": "save"}, 303)
    assert waiting(redis).after == {**given, "min_frames": 8, "frames_per_video": 5}


def test_a_second_click_is_no_second_change(client: FlaskClient, redis: Redis, given: dict[str, Any]) -> None:
    form = typed(client, frames_per_video="5", do="save")
    post(client, form, 303)
    post(client, form, 303)
    keep(redis, waiting(redis).after)
    post(client, form, 303)
    assert len([job for job in listing(redis)["queued"] if job["kind"] == "configure"]) == 1


def test_one_change_is_saved_after_the_other(client: FlaskClient, redis: Redis, given: dict[str, Any]) -> None:
    form = typed(client, frames_per_video="5", do="save")
    post(client, form, 303)
    assert waits(client) == (
        "Waiting to be saved in Label Studio. No worker is running. Start one with the same REDIS_URL: coldblitz worker."
    )
    scene.employ(redis)
    assert waits(client) == "Being saved in Label Studio."
    answer, said = post(client, form | {"frames_per_video": "6"}, 409)
    assert "Another change of these settings is being saved." in said
    assert 'value="6"' in answer.get_data(as_text=True), "what was typed is still there"


def waits(client: FlaskClient) -> str:
    """What the page says of the change."""
    html = client.get("/dashboard/projects/7/settings").get_data(as_text=True)
    return " ".join(Elements(html.partition('id="saving"')[2].partition("</div>")[0].partition(">")[2]).text.split())


def test_what_it_waits_for_is_said_at_once_and_when_it_was_done(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    scene.run_jobs(redis)
    scene.employ(redis)
    post(client, typed(client, frames_per_video="5", do="save"), 303)
    assert re.fullmatch(
        r"Waiting to be saved in Label Studio\. The worker is busy with train Street \(40 %, about 4\d s left\); see the jobs\.",
        waits(client),
    )
    scene.employ(redis, 2)
    assert waits(client) == "Being saved in Label Studio."
    long_ago = replace(waiting(redis), asked=time.time() - 3600)
    redis.set(f"coldblitz:settings-change:{scene.P}", json.dumps(asdict(long_ago)))
    settings_changes.close(redis, scene.P, long_ago, "saved", "Saved.")
    assert waits(client) == "Saved. just now", "not when it was asked for"


def test_of_two_tabs_that_save_at_once_one_is_told_of_the_other(redis: Redis) -> None:
    for _ in range(20):
        barrier = threading.Barrier(2)

        def save(number: int, barrier: threading.Barrier = barrier) -> int | None:
            barrier.wait()
            try:
                settings_changes.ask(redis, scene.P, SettingsChange({}, {"min_frames": number}, ["min_frames"]))
            except SettingsError:
                return None
            return number

        with ThreadPoolExecutor(2) as tabs:
            (saved,) = filter(None, tabs.map(save, (1, 2)))
        assert waiting(redis).after == {"min_frames": saved}
        redis.flushdb()


def test_the_end_of_one_change_is_not_that_of_a_later_one(redis: Redis) -> None:
    settings_changes.ask(redis, scene.P, SettingsChange({}, {"min_frames": 1}, ["min_frames"]))
    first = waiting(redis)
    redis.delete(*redis.scan_iter("rq:*configure*"))
    settings_changes.ask(redis, scene.P, SettingsChange({}, {"min_frames": 2}, ["min_frames"]))
    settings_changes.close(redis, scene.P, first, "refused", "It was too late.")
    assert waiting(redis).after == {"min_frames": 2}


def test_extra_params_that_are_no_object_are_shown_and_left_alone(
    client: FlaskClient, redis: Redis, given: dict[str, Any]
) -> None:
    form = typed(client, frames_per_video="5", do="save")
    keep(redis, "sampling: uniform")
    found = page(client, FORM)
    assert "sampling: uniform" in found.text
    assert not [each for each in found.all("form") if "settings/change" in str(each.get("action"))]
    post(client, form)
    assert settings_changes.waiting(redis, scene.P) is None


def test_a_form_of_another_site_is_refused(client: FlaskClient, redis: Redis, given: dict[str, Any]) -> None:
    form = typed(client, frames_per_video="5", do="save")
    assert client.post(FORM, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert settings_changes.waiting(redis, scene.P) is None
