"""Labels that tasks bring along are the project's labels, over all of its tasks."""

from __future__ import annotations

from studio import KEY, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_project
from ml_backend.projects import label_report

CONFIG = """<View><TimelineLabels name="what" toName="v" value="$labels"><Label value="always"/></TimelineLabels>
<Choices name="kind" toName="v" value="$meta.kinds"/><Video name="v" value="$video"/></View>"""


def brought(*names: str) -> list[dict[str, str]]:
    return [{"value": name} for name in names]


def scene(studio: Studio) -> None:
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for number, labels, kinds in ((1, ["cat", "dog"], ["day"]), (2, ["dog", "bird"], []), (3, [], ["night", "day"])):
        studio.add_task(number)
        studio.tasks[number]["data"] |= {"labels": brought(*labels), "meta": {"kinds": brought(*kinds)}}


def test_a_project_has_the_labels_of_all_of_its_tasks(context: JobContext, studio: Studio, known: None) -> None:
    scene(studio)
    what, kind = open_project(context, KEY).config.questions
    assert what.labels == ("always", "cat", "dog", "bird")
    assert kind.labels == ("day", "night")


def test_a_task_gets_its_own_labels_only(context: JobContext, studio: Studio, known: None) -> None:
    scene(studio)
    what, kind = open_project(context, KEY).config.questions
    data = studio.tasks[2]["data"]
    assert what.labels_of(data) == ("always", "dog", "bird")
    assert kind.labels_of(data) == ()


def test_tasks_are_read_again_when_one_came_or_changed(context: JobContext, studio: Studio, known: None) -> None:
    scene(studio)
    open_project(context, KEY)
    asked = len(studio.listed)
    open_project(context, KEY)
    # What changed last and how many there are, in one request.
    assert len(studio.listed) == asked + 1
    studio.tasks[3]["data"]["labels"] = brought("fox")
    studio.tasks[3]["updated_at"] = "2030-01-01T00:00:00Z"
    assert "fox" in open_project(context, KEY).question.labels


def test_the_web_knows_them_without_asking(context: JobContext, studio: Studio, known: None) -> None:
    scene(studio)
    open_project(context, KEY)
    found = label_report.load_task_labels(context.settings.data_dir, KEY)
    assert found is not None
    assert found["what"] == ("cat", "dog", "bird")


def test_a_config_with_its_own_labels_asks_nothing(context: JobContext, studio: Studio, known: None) -> None:
    assert studio.project is not None
    studio.project["label_config"] = CONFIG.replace(' value="$labels"', "").replace("<Choices", "<Hidden")
    assert open_project(context, KEY).question.labels == ("always",)
    assert not studio.listed
