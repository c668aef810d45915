"""The web process never opens a video and never runs a researcher's file: it has not even loaded what could."""

from __future__ import annotations

import subprocess
import sys

from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

CALLS = """
import sys
from pathlib import Path
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

app = create_app(Settings("http://studio.invalid", "x", data_dir=Path(sys.argv[1]), redis_url=sys.argv[2]))
client, project = app.test_client(), "7.1769860800"
choices = '<Choices name="c" toName="v"><Choice value="x"/><Choice value="y"/></Choices>'
config = f'<View>{choices}<Video name="v" value="$video"/></View>'
described = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": "<View/>"}
for path, body in (
    ("/setup", {"project": project, "schema": config, "extra_params": {"mode": "custom", "custom_model": "x.py"}}),
    ("/predict", {"project": project, "tasks": [{"id": 1, "data": {"video": "http://files.example/a.mp4"}}]}),
    ("/webhook", {"action": "ANNOTATION_CREATED", "project": described}),
    ("/webhook", {"action": "START_TRAINING", "project": described}),
):
    assert client.post(path, json=body).status_code == (201 if path == "/webhook" else 200), path
for rule in app.url_map.iter_rules():
    if "GET" in rule.methods and not rule.arguments:
        assert client.get(rule.rule).status_code < 500 or rule.rule == "/ready", rule
print(*sorted(sys.modules))
"""


def test_it_has_loaded_nothing_that_decodes_or_runs_files(redis_settings: Settings) -> None:
    command = [sys.executable, "-c", CALLS, str(redis_settings.data_dir), redis_url(redis_settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "ml_backend.server.app" in loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("ml_backend.")}
    assert not rooms & {"features", "learning"}
    assert not loaded & {
        f"ml_backend.video.{name}" for name in ("container", "demux", "decode", "inspection", "source")
    }
    assert not {name.split(".")[0] for name in loaded} & {"av", "cv2", "torch", "openvino", "sklearn", "onnx"}
