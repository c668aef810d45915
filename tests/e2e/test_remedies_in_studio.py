"""Each remedy of the dashboard's checks once, in a real Label Studio: it changes what it says and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from ml_backend.demo.clips import LABELS, Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_config, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.labelstudio.label_config import parse_label_config

pytestmark = pytest.mark.e2e
_REVIEWED = re.compile(r"\s*<Choices name=\"reviewed\".*?</Choices>", re.DOTALL)


def page(loop: Loop, path: str = "") -> str:
    answer = requests.get(f"{loop.backend.url}/dashboard/projects/{loop.project}/checks{path}", timeout=60)
    answer.raise_for_status()
    return answer.text


def repair(loop: Loop, fix: str) -> None:
    """Confirms the question, and waits for the end."""
    asked = page(loop, f"/{fix}")
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked))
    address = f"{loop.backend.url}/dashboard/projects/{loop.project}/checks/{fix}"
    answer = requests.post(address, form, timeout=60, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    loop.wait_for(f"end of {fix}", lambda: not re.search("(Being|to be) done in Label Studio", page(loop)))
    said = re.search(r'id="repair"[^>]*>(.*?)</div>', page(loop), re.DOTALL)
    assert said is not None
    assert "Not done" not in said[1], said[1]


def project_of(loop: Loop) -> dict[str, Any]:
    return dict(loop.studio.get(f"/api/projects/{loop.project}/"))


def test_each_remedy_does_what_it_says(studio: Studio, backend: Backend, clips: list[Clip]) -> None:
    config = _REVIEWED.sub("", label_config(LABELS)).replace(' framerate="$fps"', "")
    project = studio.create_project("Patient", config)
    tasks = upload_tasks(studio, project, [(clips[0].path, clips[0].fps)])
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, tuple(tasks))
    loop.suggestions()
    loop.wait_for("checks", lambda: "at 24 frames per second because no framerate is set" in page(loop))

    repair(loop, "framerate")
    parsed = parse_label_config(project_of(loop)["label_config"])
    assert parsed.main.framerate_of({}) == float(clips[0].fps)
    loop.wait_for("what is missing now", lambda: "no choice that marks a timeline as reviewed" in page(loop))

    repair(loop, "reviewed")
    mended = project_of(loop)["label_config"]
    assert parse_label_config(mended).main.reviewed_control == "reviewed"
    assert parse_label_config(mended).main.labels == tuple(LABELS)
    loop.suggestions()

    [hook] = studio.get("/api/webhooks/", project=project)
    studio.patch(f"/api/webhooks/{hook['id']}/", {"url": hook["url"], "is_active": False})
    requests.post(f"{backend.url}/dashboard/projects/{project}/checks", timeout=60).raise_for_status()
    loop.wait_for("word of the webhook", lambda: "is off, or does not send every event" in page(loop))
    repair(loop, "webhook")
    [hook] = studio.get("/api/webhooks/", project=project)
    assert (hook["is_active"], hook["send_for_all_actions"], hook["send_payload"]) == (True, True, True)

    studio.patch(f"/api/projects/{project}/", {"model_version": ""})
    # Whoever looks at the checks has those done again that are about what was before.
    loop.wait_for("what can be shown", lambda: page(loop) and 'name="mark"' in page(loop, "/pin"))
    repair(loop, "pin")
    assert loop.shown_version() == SUGGESTIONS
    for word in ("faults", "Fault</span>"):
        assert word not in page(loop)

    # What the backend stands on, as a worker sees it.
    requests.get(f"{backend.url}/dashboard/start", timeout=60).raise_for_status()
    setup = loop.wait_for(
        "setup",
        lambda: (
            text if "Checked " in (text := requests.get(f"{backend.url}/dashboard/start", timeout=60).text) else None
        ),
    )
    assert "Label Studio accepts the personal access token." in setup
    assert "The backbone" in setup
