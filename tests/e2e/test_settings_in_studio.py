"""Settings that are changed on the dashboard are in Label Studio, take effect, and overwrite nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, upload_tasks

pytestmark = pytest.mark.e2e
OpenProject = Callable[..., Loop]


def send(loop: Loop, mark: str | None = None, **typed: str) -> requests.Response:
    """Fills in the form, as it is now or as it was when it had `mark`."""
    address = f"{loop.backend.url}/dashboard/projects/{loop.project}/settings/change"
    opened = requests.get(address, timeout=60).text
    form = {"mark": mark or marked(opened), **typed}
    return requests.post(address, form, timeout=60, allow_redirects=False)


def marked(html: str) -> str:
    found = re.search(r'name="mark" value="(\w+)"', html)
    assert found is not None
    return found[1]


def entry(loop: Loop) -> dict[str, Any]:
    """The connected model as Label Studio has it; its own list of models would have it write back what it knew before."""
    path = f"/api/projects/{loop.project}/model-versions/"
    [found] = loop.studio.get(path, extended="true", include_live_models="true")["live"]
    return dict(found)


def test_a_change_is_stored_in_label_studio_takes_effect_and_overwrites_nothing(
    open_project: OpenProject, clips: list[Clip]
) -> None:
    loop = open_project(clips[:1], extra_params={"made by others": [1], "samplin": "x"})
    assert len(loop.suggestions()[loop.tasks[0]]) > 2
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)

    asked = send(loop, frames_per_video="2")
    assert asked.status_code == 303
    seen = requests.get(f"{loop.backend.url}{asked.headers['Location']}", timeout=60)
    assert "1 video keeps the suggestions that it has." in seen.text
    assert entry(loop)["extra_params"] == {"made by others": [1], "samplin": "x"}, "it is a preview"
    assert send(loop, frames_per_video="2", do="save").status_code == 303
    wanted = {"made by others": [1], "samplin": "x", "frames_per_video": 2}
    stored = loop.wait_for(
        "saved settings", lambda: text if isinstance(text := entry(loop)["extra_params"], str) else None
    )
    assert json.loads(stored) == wanted

    [task] = upload_tasks(loop.studio, loop.project, [(clips[1].path, clips[1].fps)])
    later = Loop(loop.studio, loop.backend, loop.project, (task,))
    assert len(later.suggestions()[task]) == 2
    assert len(loop.regions(SUGGESTIONS)[loop.tasks[0]]) > 2  # type: ignore[index]

    refused = send(loop, default_label="a label that there is not", do="save")
    assert refused.status_code == 422
    assert "but the label config has no such label" in refused.text

    # Somebody writes others in Label Studio while the form is open.
    opened = marked(
        requests.get(f"{loop.backend.url}/dashboard/projects/{loop.project}/settings/change", timeout=60).text
    )
    changed = {"url": loop.backend.url, "project": loop.project, "extra_params": '{"min_frames": 4}'}
    loop.studio.patch(f"/api/ml/{entry(loop)['id']}", changed)
    stale = send(loop, mark=opened, frames_per_video="7", do="save")
    assert stale.status_code == 409
    assert "changed elsewhere since you opened this page" in stale.text
    assert json.loads(entry(loop)["extra_params"]) == {"min_frames": 4}

    # The same sentence as the form's, of what was written there.
    loop.studio.patch(f"/api/ml/{entry(loop)['id']}", {**changed, "extra_params": '{"max_tracks": 4}'})
    told = loop.wait_for("word to the admin", lambda: problem_with(loop, "Extra param 'max_tracks' has"))
    assert told.startswith("Extra param 'max_tracks' has no effect, since the label config has no <VideoRectangle>.")


def problem_with(loop: Loop, words: str) -> str | None:
    every = [
        each
        for key, told in dict(loop.backend.jobs()["problems"]).items()
        if key.startswith(f"{loop.project}.")
        for each in told
    ]
    return next((each for each in every if words in each), None)
