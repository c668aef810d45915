"""Suggestions name the label config's controls and count its frames: where these change, they are made anew."""

from __future__ import annotations

import pytest
from known_project import queued
from redis import Redis
from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.projects import reconcile_state, registry, stored_predictions

CONFIG = """<View><TimelineLabels name="labels" toName="video"><Label value="a"/><Label value="b"/></TimelineLabels>
<Video name="video" value="$video"/></View>"""


@pytest.fixture
def suggested(context: JobContext, studio: Studio, redis: Redis, known: None) -> Studio:
    """Two tasks have their suggestions, made for CONFIG."""
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for task in (1, 2):
        studio.add_task(task)
        item = {"id": task, "task": task, "model_version": "keyframes-v1", "score": 0.0, "result": []}
        studio.predictions.append(item)
        stored_predictions.save(context.settings.data_dir, KEY, item)
    reconcile.within(context, KEY)
    assert queued(redis) == []
    return studio


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('name="labels"', 'name="actions"'),
        ('toName="video"', 'toName="film"'),
        ('value="$video"', 'value="$movie"'),
        ('value="$video"/>', 'value="$video" framerate="50"/>'),
    ],
)
def test_suggestions_are_made_anew_for_a_renamed_control_or_video_and_for_another_frame_rate(
    suggested: Studio, context: JobContext, redis: Redis, was: str, now: str
) -> None:
    assert suggested.project is not None
    changed = CONFIG.replace(was, now)
    suggested.project["label_config"] = (
        changed.replace('<Video name="video"', '<Video name="film"') if "film" in now else changed
    )
    assert reconcile.within(context, KEY) == "the label config's controls have changed, 2 tasks to suggest"
    assert queued(redis) == ["suggest 1", "suggest 2"]
    assert stored_predictions.load(context.settings.data_dir, KEY, "keyframes-v1", 1) is None
    assert not [each for each in suggested.predictions if each["model_version"] == "keyframes-v1"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('<Label value="b"/>', '<Label value="c"/>'),
        ("<Video ", '<Choices name="kind" toName="video"><Choice value="x"/><Choice value="y"/></Choices><Video '),
        ("<View>", '<View><TimelineLabels name="first" toName="video"><Label value="z"/></TimelineLabels>'),
    ],
)
def test_other_changes_leave_them(context: JobContext, suggested: Studio, redis: Redis, was: str, now: str) -> None:
    assert suggested.project is not None
    suggested.project["label_config"] = CONFIG.replace(was, now)
    reconcile.within(context, KEY)
    assert queued(redis) == []
    assert len(suggested.predictions) == 2


def test_an_active_model_predicts_anew_under_the_new_names(
    context: JobContext, suggested: Studio, redis: Redis
) -> None:
    suggested.predictions.append({"id": 9, "task": 1, "model_version": "cold-v1", "score": 0.5, "result": []})
    registry.activate(redis, KEY, "cold-v1")
    assert suggested.project is not None
    suggested.project |= {
        "label_config": CONFIG.replace('value="$video"', 'value="$movie"'),
        "model_version": "cold-v1",
    }
    reconcile.within(context, KEY)
    assert not suggested.predictions
    assert "rollout cold-v1" in queued(redis)


def test_what_an_older_release_noted_of_the_controls_is_understood(
    context: JobContext, suggested: Studio, redis: Redis
) -> None:
    reconcile_state.put(redis, KEY, "controls", [["labels", "video", "$video", "timeline"]])
    reconcile.within(context, KEY)
    assert len(suggested.predictions) == 2
    [noted] = reconcile_state.get(redis, KEY, "controls")
    assert len(noted) == 5
