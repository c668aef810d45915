"""What nobody looked at judges nothing, whichever way it became an annotation in a real Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.demo.loop import Loop

pytestmark = pytest.mark.e2e
OpenProject = Callable[..., Loop]

SCRIPTS = tuple(
    Script(f"short-{number}.mp4", 25, (("clear", 40), ("ball", 40), ("car", 40)), number) for number in (21, 22, 23)
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("short"), SCRIPTS)


def account(loop: Loop, task: int) -> dict[str, int]:
    """How many regions of a task came to what, as the last training read them."""
    found = loop.backend.get(f"/labels?project={loop.project}&task={task}")["labels"]
    assert found["regions"] == sum(row["regions"] for row in found["rows"])
    return {row["reason"]: row["regions"] for row in found["rows"]}


def label_report(loop: Loop) -> dict[str, Any]:
    (folder,) = (loop.backend.data / "projects").glob(f"{loop.project}.*")
    found: dict[str, Any] = json.loads((folder / "labelled" / "report.json").read_text())
    return found


def read_again(loop: Loop, tasks: Sequence[int], before: str) -> None:
    """Waits until a training has read the annotations of these tasks."""

    def read() -> bool:
        return loop.backend.idle and set(tasks) <= set(label_report(loop)["tasks"])

    loop.wait_for(f"training after {before}", read)


def test_copies_of_predictions_and_other_models_regions(open_project: OpenProject, clips: list[Clip]) -> None:
    loop = open_project(clips)
    first, second, third = loop.tasks
    loop.suggestions()
    answered = loop.answer(first, clips[0])
    _, timelines = loop.timelines()
    assert account(loop, first) == {"taught": len(answered.frames)}

    # The Data Manager's action, on a task that nobody has opened.
    selected = {"selectedItems": {"all": False, "included": [second]}}
    loop.studio.post(f"/api/dm/actions?id=predictions_to_annotations&project={loop.project}", selected)
    # Another model's prediction, submitted as it is and, once, changed at one edge.
    of_yolo = [
        {**region, "id": f"yolo-{number}", "origin": "prediction"} for number, region in enumerate(timelines[third])
    ]
    pushed = {"task": third, "result": of_yolo, "score": 0.5, "model_version": "yolo"}
    prediction = loop.studio.post("/api/predictions/", pushed)
    body = {"result": of_yolo, "parent_prediction": prediction["id"], "lead_time": 1.0}
    annotation = loop.studio.post(f"/api/tasks/{third}/annotations/", body)
    read_again(loop, loop.tasks, "copies")

    # It makes one annotation of each prediction: of the suggestions, too.
    made = loop.studio.get(f"/api/tasks/{second}")["annotations"]
    copied = [region for annotation in made for region in annotation["result"]]
    assert len(copied) > len(timelines[second])
    assert "untouched" not in account(loop, second), "a blind submit of our own timeline counts a little"
    assert account(loop, third) == {"untouched": len(of_yolo)}
    report = label_report(loop)
    assert report["reviewed"] == []
    assert all(set(sources) <= {"person", "accepted"} for sources in report["sources"].values()), report["sources"]
    assert loop.shown_version().startswith("cold-v"), "no Blitz from what nobody reviewed"
    cards = loop.backend.get(f"/models?project={loop.project}")["models"]
    assert {card["kind"] for card in cards} == {"cold"}
    newest = loop.backend.get(f"/models/{cards[-1]['name']}?project={loop.project}")
    assert newest["account"]["regions"] == len(answered.frames) + len(copied) + len(of_yolo)

    of_yolo[0]["value"]["ranges"][0]["end"] -= 3
    loop.studio.patch(f"/api/annotations/{annotation['id']}/", {"result": of_yolo})

    def changed() -> bool:
        return loop.backend.idle and account(loop, third).get("untouched") != len(of_yolo)

    loop.wait_for("training after an edge was dragged", changed)
    assert "taught" in account(loop, third), "whose edge was dragged is a person's word"
