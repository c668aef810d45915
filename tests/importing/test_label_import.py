"""Timelines of other programs in a project: on their frames, in the right task, under its labels, once, and as a person or a program said
them; what export has written comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxed_project import add_video, submit
from studio import Studio
from workroom import context, redis, redis_settings, studio

from benchmarks.alignment.clips import phone
from benchmarks.alignment.encode import Recipe, encode, steady
from ml_backend.errors import LabelConfigError, SettingsError
from ml_backend.export.event_files import EventChoice, write_events
from ml_backend.formats.table import FORMATS
from ml_backend.importing.import_labels import LabelImport, Outcome, import_labels, open_timelines
from ml_backend.jobs.context import JobContext
from ml_backend.labelstudio.event_items import fingerprint, read_events
from ml_backend.video.timeline import StudioGrid, read_timeline, studio_grid

__all__ = ["context", "redis", "redis_settings", "studio"]

Import = Callable[..., list[Outcome]]
CONFIG = (
    '<View><TimelineLabels name="what" toName="film"><Label value="groom"/><Label value="rear"/></TimelineLabels>'
    '<TimelineLabels name="where" toName="film"><Label value="nest"/></TimelineLabels>'
    '<Choices name="review" toName="film"><Choice value="reviewed"/></Choices>'
    '<Video name="film" value="$video" framerate="$fps"/></View>'
)
HEAD = "Media file name,Subject,Behavior,Start (s),Stop (s),Comment\n"


@pytest.fixture
def project(studio: Studio, tmp_path: Path) -> Studio:
    assert studio.project is not None
    studio.project |= {"label_config": CONFIG, "model_version": ""}
    film = tmp_path / "film.mp4"
    encode(film, Recipe(steady(25, 50), size=(64, 64)))
    for task, name in ((1, "Day one.mp4"), (2, "night.mp4")):
        add_video(studio, task, film, name=name)
    return studio


@pytest.fixture
def bring(context: JobContext) -> Import:
    def run(*files: Path, control: str | None = None, **how: Any) -> list[Outcome]:
        given: dict[str, Any] = {"version": "import-x", "control": control, **how}
        return import_labels(open_timelines(context, 7, control), files, LabelImport(**given), lambda share: None)

    return run


def table(path: Path, *rows: str, head: str = HEAD) -> Path:
    path.write_text(head + "".join(f"{row}\n" for row in rows))
    return path


def shown(studio: Studio, task: int = 1) -> list[tuple[object, ...]]:
    [prediction] = [each for each in studio.predictions if each["task"] == task]
    return plain(prediction["result"])


def plain(result: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (
            item["from_name"],
            item["value"]["timelinelabels"],
            item["value"]["ranges"][0],
            item.get("meta", {}).get("text"),
        )
        for item in result
        if item["type"] == "timelinelabels"
    ]


def test_predictions_on_their_frames_with_what_was_said_of_them(project: Studio, bring: Import, tmp_path: Path) -> None:
    file = table(
        tmp_path / "x.csv",
        "day_one.mp4,mouse-1,groom,0.4,0.8,in the corner",
        "day_one.mp4,,rear,1.0,1.0,",
        "day_one.mp4,,nest,1.96,2.0,",
        "Day one.avi,,rear,0,0.04,",
        "",
    )
    with pytest.raises(SettingsError, match="several of these are about task 1"):
        bring(file)
    [outcome] = bring(table(file, *file.read_text().splitlines()[1:4]))
    assert (outcome.state, outcome.task, outcome.events, outcome.video) == ("imported", 1, 3, "Day one.mp4")
    assert shown(project) == [
        # At 0.4 s the eleventh frame begins; at 0.8 s the 21st, which is not part of it.
        ("what", ["groom"], {"start": 11, "end": 20}, ["who: mouse-1", "in the corner"]),
        ("what", ["rear"], {"start": 26, "end": 26}, None),
        ("where", ["nest"], {"start": 50, "end": 50}, None),
    ]
    [prediction] = project.predictions
    assert (prediction["model_version"], prediction["score"]) == ("import-x", 1.0)
    assert project.project is not None
    assert project.project["model_version"] == "import-x", "so that the label stream shows them"
    again = bring(table(file, "night.mp4,,groom,0,1,", "Day one.mp4,,groom,0,1,"))
    assert [each.state for each in again] == ["imported", "imported"]
    assert [each["task"] for each in project.predictions] == [1, 2], "the first one was replaced"


def test_annotations_once_as_ground_truth_and_reviewed(project: Studio, bring: Import, tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "night.mp4,m,groom,0.4,0.8,")
    how = {"version": None, "ground_truth": True, "reviewed": True}
    assert [each.state for each in bring(file, **how)] == ["imported"]
    [annotation] = project.tasks[2]["annotations"]
    assert annotation["ground_truth"] is True
    assert plain(annotation["result"]) == [("what", ["groom"], {"start": 11, "end": 20}, ["who: m"])]
    assert annotation["result"][-1]["value"] == {"choices": ["reviewed"]}
    assert all(item["origin"] == "manual" and "score" not in item for item in annotation["result"])
    assert [each.state for each in bring(file, **how)] == ["present"]
    assert len(project.tasks[2]["annotations"]) == 1


def test_labels_are_mapped_left_out_or_named_and_nothing_is_sent_meanwhile(
    project: Studio, bring: Import, tmp_path: Path
) -> None:
    file = table(tmp_path / "x.csv", "night.mp4,,grooming,0,1,", "night.mp4,,sleep,1,2,", "Day one.mp4,,rear,0,1,")
    with pytest.raises(SettingsError) as raised:
        bring(file)
    assert "the project has no label “grooming” or “sleep”; it has “groom”, “rear” and “nest”" in raised.value.message
    assert '--label "grooming=groom"' in raised.value.remedy
    assert project.predictions == []
    with pytest.raises(SettingsError, match="no label 'clean'"):
        bring(file, labels={"grooming": "clean"})
    bring(file, labels={"grooming": "groom", "sleep": ""})
    assert shown(project, 2) == [("what", ["groom"], {"start": 1, "end": 25}, None)]


def test_a_label_of_two_timelines_goes_where_the_file_or_the_option_says(
    project: Studio, bring: Import, tmp_path: Path
) -> None:
    assert project.project is not None
    project.project["label_config"] = CONFIG.replace('value="nest"', 'value="groom"')
    head = "Media file name,Behavior,Behavioral category,Start (s),Stop (s)\n"
    file = table(tmp_path / "x.csv", "night.mp4,groom,where,0,1", "night.mp4,groom,other,0,1", head=head)
    bring(file)
    assert [each[0] for each in shown(project, 2)] == ["where", "what"]
    bring(file, control="where")
    assert [each[0] for each in shown(project, 2)] == ["where", "where"]
    with pytest.raises(SettingsError, match="no timeline called"):
        bring(file, control="box")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("night.mp4,,groom,2.1,3,", "begins at 2.100 s, and night.mp4 lasts 2.000 s"),
        ("night.mp4,,groom,1,0.5,", "before it begins"),
        ("night.mp4,,groom,1,,", "never ends"),
    ],
)
def test_nothing_is_sent_of_a_file_that_cannot_be_of_its_video(
    project: Studio, bring: Import, tmp_path: Path, row: str, words: str
) -> None:
    good = table(tmp_path / "good.csv", "Day one.mp4,,groom,0,1,")
    with pytest.raises(SettingsError, match=words):
        bring(good, table(tmp_path / "bad.csv", row))
    assert project.predictions == []


def test_frames_and_timecodes_that_are_not_in_the_video(project: Studio, bring: Import, tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("groom\n" + "0\n" * 51)
    with pytest.raises(SettingsError, match="51 rows, and night"):
        bring(tmp_path / "night.csv")
    (tmp_path / "labels.json").write_text('{"labels": {"night": [{"label": "groom", "support": [50, 51]}]}}')
    with pytest.raises(SettingsError, match="in frame 50, counted from 0"):
        bring(tmp_path / "labels.json")
    (tmp_path / "night.edl").write_text("001  A  V  C  00:00:00:29 00:00:01:00 00:00:00:00 00:00:00:01\n |M:groom\n")
    with pytest.raises(SettingsError, match="no timecode of 25 frames a second"):
        bring(tmp_path / "night.edl")
    bring(tmp_path / "night.edl", fps=30)
    assert shown(project, 2) == [("what", ["groom"], {"start": 25, "end": 25}, None)]


def test_an_editors_hour_is_no_part_of_the_video(project: Studio, bring: Import, tmp_path: Path) -> None:
    (tmp_path / "night.edl").write_text(
        "001  A  V  C  01:00:00:10 01:00:00:11 01:00:00:10 01:00:00:11\n |M:groom |D:15\n"
    )
    bring(tmp_path / "night.edl")
    assert shown(project, 2) == [("what", ["groom"], {"start": 11, "end": 25}, None)], "a marker says how long it is"


def test_a_video_that_is_not_there_is_told_and_the_others_go_on(project: Studio, bring: Import, tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "other.mp4,,groom,0,1,", "night.mp4,,groom,0,1,")
    assert [(each.state, each.video) for each in bring(file)] == [("unmatched", "other.mp4"), ("imported", "night.mp4")]
    with pytest.raises(SettingsError, match="these are of 2"):
        bring(file, task=1)
    [named] = bring(table(file, "other.mp4,,groom,0,1,"), task=1)
    assert (named.state, named.task) == ("imported", 1)


def test_a_file_that_labels_nothing_leaves_its_task_alone(project: Studio, bring: Import, tmp_path: Path) -> None:
    (tmp_path / "Day one.csv").write_text("groom\n" + "0\n" * 50)
    found = bring(tmp_path / "Day one.csv", table(tmp_path / "x.csv", "night.mp4,,groom,0,1,"))
    assert {(each.task, each.state) for each in found} == {(1, "empty"), (2, "imported")}
    assert {each["task"] for each in project.predictions} == {2}


def test_two_observers_of_one_video_are_imported_one_by_one(project: Studio, bring: Import, tmp_path: Path) -> None:
    head = "Observation id,Media file name,Behavior,Start (s),Stop (s)\n"
    file = table(tmp_path / "x.csv", "Ann,night.mp4,groom,0,1", "Bob,night.mp4,rear,0,1", head=head)
    with pytest.raises(SettingsError, match="several of these are about task 2"):
        bring(file)
    with pytest.raises(SettingsError, match="no observation or video called “Eve”"):
        bring(file, only=["Eve"])
    for name in ("Ann", "Bob"):
        assert [each.state for each in bring(file, version=None, only=[name])] == ["imported"]
    assert [plain(each["result"])[0][1] for each in project.tasks[2]["annotations"]] == [["groom"], ["rear"]]


def test_a_project_without_timelines_says_so(project: Studio, context: JobContext) -> None:
    assert project.project is not None
    project.project["label_config"] = (
        '<View><VideoRectangle name="b" toName="v"/><Video name="v" value="$video"/></View>'
    )
    with pytest.raises(LabelConfigError, match="nowhere to put labels"):
        open_timelines(context, 7)


@pytest.mark.parametrize("form", [*FORMATS, "labelstudio"])
def test_what_was_exported_comes_back_as_it_was_also_of_a_phones_video(
    project: Studio, context: JobContext, bring: Import, tmp_path: Path, form: str
) -> None:
    assert project.project is not None
    encode(tmp_path / "phone.mp4", Recipe(phone(50), size=(64, 64)))
    add_video(project, 2, tmp_path / "phone.mp4", fps=30, name="night.mp4")
    for task in (1, 2):
        submit(project, task, *regions(task, form not in FORMATS or FORMATS[form].who))
    work, kind = open_timelines(context, 7), FORMATS.get(form)
    ending = ".json" if kind is None else "" if kind.each or not kind.endings else kind.endings[0]
    output = tmp_path / f"out{ending}"
    told = write_events(work, output, form, EventChoice(), lambda share: None)
    assert (told["videos"], told["events"]) == (2, 8)
    grids = {1: grid(tmp_path / "film.mp4", 25), 2: grid(tmp_path / "phone.mp4", 30)}
    before = {task: pictured(project, context, task, grids[task]) for task in (1, 2)}
    for task in (1, 2):
        project.tasks[task]["annotations"].clear()
    outcomes = bring(output, version=None)
    assert [each.state for each in outcomes] == ["imported", "imported"]
    for task in (1, 2):
        assert pictured(project, context, task, grids[task]) == before[task]


def grid(path: Path, rate: float) -> StudioGrid:
    return studio_grid(read_timeline(path), rate)


def pictured(project: Studio, context: JobContext, task: int, grid: StudioGrid) -> list[tuple[object, ...]]:
    """What a task's only annotation says of which pictures: several of Label Studio's frames may show the same."""
    [annotation] = project.tasks[task]["annotations"]
    return [
        (each.control, each.label, grid.index(each.start), grid.index(each.end), each.who, each.comment)
        for each in fingerprint(annotation["result"], open_timelines(context, 7).config)
    ]


def regions(task: int, who: bool) -> list[dict[str, Any]]:
    def region(name: str, control: str, label: str, start: int, end: int, *text: str) -> dict[str, Any]:
        value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
        head = {"id": name, "from_name": control, "to_name": "film", "type": "timelinelabels", "origin": "manual"}
        return {**head, "value": value, **({"meta": {"text": list(text)}} if text and who else {})}

    return [
        region("a", "what", "groom", 3 + task, 9, "who: mouse-1", "well seen"),
        region("b", "what", "rear", 12, 12),
        region("c", "where", "nest", 1, 20, "who: mouse-2"),
        region("d", "where", "nest", 30, 40),
    ]


def test_people_go_before_the_model_and_what_is_asked_for_is_taken(
    project: Studio, context: JobContext, tmp_path: Path
) -> None:
    assert project.project is not None
    project.project["model_version"] = "cold-v1"
    predicted = [{**item, "score": score} for item, score in zip(regions(2, True), (0.9, 0.2, 0.8, 0.1), strict=True)]
    for task in (1, 2):
        project.tasks[task]["predictions"] = [
            {"id": task, "task": task, "model_version": "cold-v1", "result": predicted}
        ]
    submit(project, 1, regions(1, True)[0])
    work = open_timelines(context, 7)

    def rows(name: str, **choice: Any) -> list[str]:
        write_events(work, tmp_path / name, "boris-aggregated", EventChoice(**choice), lambda share: None)
        return (tmp_path / name).read_text().splitlines()[1:]

    assert len(rows("both.csv")) == 5
    assert len(rows("human.csv", source="human")) == 1
    assert len(rows("sure.csv", source="model", min_confidence=0.5)) == 2
    told = write_events(work, tmp_path / "no.boris", "boris", EventChoice(), lambda share: None, preview=True)
    assert told["tree"] == ["no.boris"]
    assert told["skipped"] == ["This format cannot hold how sure the model is."]
    assert not (tmp_path / "no.boris").exists()
    with pytest.raises(SettingsError, match="already exists"):
        write_events(work, tmp_path / "both.csv", "boris-aggregated", EventChoice(), lambda share: None)
    for form, name in (("boris", "x.csv"), ("elan", "x.eaf"), ("fiftyone", "x.json"), ("noldus", "x")):
        with pytest.raises(SettingsError):
            write_events(work, tmp_path / name, form, EventChoice(), lambda share: None)


def test_a_dataset_of_fiftyone_has_its_videos(project: Studio, context: JobContext, tmp_path: Path) -> None:
    submit(project, 1, *regions(1, True))
    write_events(open_timelines(context, 7), tmp_path / "set", "fiftyone", EventChoice(), lambda share: None)
    labels = json.loads((tmp_path / "set" / "labels.json").read_text())
    assert labels["labels"]["Day one"][0]["support"] == [1, 20], "frames count from 1 there, too"
    assert (tmp_path / "set" / "data" / "Day one.mp4").read_bytes() == (tmp_path / "film.mp4").read_bytes()


@pytest.mark.parametrize("form", ["fiftyone", "boris", "boris-tabular", "boris-aggregated", "noldus"])
def test_videos_that_are_called_alike_stay_two(
    project: Studio, context: JobContext, bring: Import, tmp_path: Path, form: str
) -> None:
    for task in (1, 2):
        project.tasks[task]["data"]["name"] = "a/b.mp4"
        submit(project, task, *regions(task, False))
    output = tmp_path / {"fiftyone": "set", "boris": "set.boris"}.get(form, "set.csv")
    write_events(open_timelines(context, 7), output, form, EventChoice(), lambda share: None)
    if output.is_dir():
        assert sorted(each.name for each in (output / "data").iterdir()) == ["a_b_task1.mp4", "a_b_task2.mp4"]
    assert [(each.task, each.events) for each in bring(output, version=None)] == [(1, 4), (2, 4)]


@pytest.mark.parametrize("name", ["x.boris", "tabular.csv", "noldus.csv"])
def test_beginnings_and_ends_join_what_shares_frames_and_say_so(
    project: Studio, context: JobContext, bring: Import, tmp_path: Path, name: str
) -> None:
    first, second, third = (regions(1, False)[0] for _ in range(3))
    for at, (item, start, end) in enumerate(((first, 11, 30), (second, 21, 40), (third, 41, 45))):
        item |= {"id": str(at), "value": {**item["value"], "ranges": [{"start": start, "end": end}]}}
    submit(project, 1, first, second, third)
    form = {"x.boris": "boris", "tabular.csv": "boris-tabular"}.get(name, "noldus")
    told = write_events(open_timelines(context, 7), tmp_path / name, form, EventChoice(), lambda share: None)
    said = "This format cannot hold where one of a label begins before another of it and the same individual ends."
    assert told["skipped"] == [said]
    bring(tmp_path / name)
    assert [each[2] for each in shown(project)] == [{"start": 11, "end": 40}, {"start": 41, "end": 45}]


def test_what_label_studio_has_exported_of_another_project(project: Studio, bring: Import, tmp_path: Path) -> None:
    items = regions(1, True)
    for item in items:
        item["from_name"] = f"my {item['from_name']}"
    older = {"id": 1, "ground_truth": False, "updated_at": "2026-01-01T00:00:00Z", "result": items[:1]}
    newer = {"id": 2, "ground_truth": False, "updated_at": "2026-02-01T00:00:00Z", "result": items}
    skipped = {**newer, "updated_at": "2026-03-01T00:00:00Z", "was_cancelled": True, "result": items[:2]}
    video = {"video": "/data/upload/3/0123abcd-night.mp4"}
    file = tmp_path / "project-3.json"
    file.write_text(json.dumps([{"id": 77, "data": video, "annotations": [older, newer, skipped]}, {"data": {}}]))
    [outcome] = bring(file)
    assert (outcome.video, outcome.events) == ("night.mp4", 4)
    assert [(each[0], each[2]["start"], each[3]) for each in shown(project, 2)] == [
        ("what", 4, ["who: mouse-1", "well seen"]),
        ("what", 12, None),
        ("where", 1, ["who: mouse-2"]),
        ("where", 30, None),
    ]
    with pytest.raises(SettingsError, match=r"frame 30, and night\.mp4 has 20 at 10 a second"):
        bring(file, fps=10)
    bring(file, fps=50)
    assert shown(project, 2)[0][2] == {"start": 2, "end": 5}, "counted twice as fast there"
    for content, why in (("[1]", "item 1 is no task"), ("[", "no JSON"), ("[]", "none of its tasks")):
        file.write_text(content)
        with pytest.raises(SettingsError, match=why):
            bring(file)


def test_a_region_with_two_labels_is_two_events(context: JobContext, project: Studio) -> None:
    item = {**regions(1, True)[0], "value": {"ranges": [{"start": 2, "end": 5}], "timelinelabels": ["groom", "rear"]}}
    question = open_timelines(context, 7).question
    assert [event.label for event in read_events([item], question)] == ["groom", "rear"]
    assert [event.who for event in read_events([{**item, "meta": {"text": "Who: x\nwhat"}}], question)] == ["x", "x"]


@pytest.mark.parametrize(
    ("track", "who"),
    [
        ({"id": "coldblitz-track-2", "value": {"labels": ["mouse"]}}, "mouse-2"),
        ({"id": "coldblitz-track-2", "value": {}}, "track-2"),
        ({"id": "x1", "value": {"labels": ["mouse"]}}, "mouse"),
        ({"id": "x1", "value": {"labels": ["mouse"]}, "meta": {"text": ["who = Anna"]}}, "Anna"),
        ({"id": "x1"}, ""),
    ],
)
def test_a_region_below_a_track_is_about_that(
    context: JobContext, project: Studio, track: dict[str, Any], who: str
) -> None:
    below = {**regions(1, False)[0], "parentID": track["id"]}
    [event] = read_events([{**track, "type": "videorectangle"}, below], open_timelines(context, 7).question)
    assert event.who == who
    [event] = read_events([{**below, "meta": {"text": ["who: Bob"]}}], open_timelines(context, 7).question)
    assert event.who == "Bob"
