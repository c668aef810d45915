"""The dashboard's pages of model versions: what each learnt and scored, which is shown, and how the next one is trained."""

from __future__ import annotations

import re

import dashboard_scene as scene
import pytest
from dashboard_html import HTML, at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import registry, training_choice
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings

__all__ = ["at_work", "client", "settings"]


class TestModels:
    def test_each_version_with_its_scores(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/models")
        assert all(score in found.text for score in ("0.620", "0.810", "0.930"))
        assert "412 kB" in found.text
        assert any("Learning curve" in str(chart.get("aria-label")) for chart in found.all("svg"))

    def test_one_in_full(self, client: FlaskClient, at_work: None) -> None:
        found = page(client, "/dashboard/projects/7/models/cold-v3")
        charts = " ".join(str(chart.get("aria-label")) for chart in found.all("svg"))
        assert all(name in charts for name in ("Calibration", "Learning curve", "Loss", "F1 of ball"))
        assert "none of the labels" in found.text
        assert "mobilenet_v2:default" in found.text
        assert "belong to a control that is not predicted" in found.text
        older = page(client, "/dashboard/projects/7/models/cold-v2").text
        assert "How the labels were used" not in older

    def test_one_that_was_not_measured(self, client: FlaskClient, redis: Redis, settings: Settings) -> None:
        from ml_backend.learning.versions import ModelCard, publish

        registry.remember(redis, registry.Known(scene.P, "<View/>"))
        root = settings.data_dir / "projects" / scene.P / "models"
        root.mkdir(parents=True)
        publish(root, ModelCard("custom-bird-v1", "custom-bird", ("a",), True, "none", "2026-01-01T00:00:00"), {})
        assert "not measured" in page(client, "/dashboard/projects/7/models").text
        assert "Not measured yet." in page(client, "/dashboard/projects/7/models/custom-bird-v1").text

    def test_activating_rolling_back_training_and_deleting(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        found = page(client, "/dashboard/projects/7/models")
        actions = [form["action"] for form in found.all("form")]
        assert "/dashboard/projects/7/models/cold-v2/activate" in actions
        assert "Roll back to cold-v2" in found.text
        client.post("/dashboard/projects/7/models/cold-v2/activate")
        assert registry.wanted_version(redis, scene.P) == "cold-v2"
        client.post("/dashboard/projects/7/train")
        assert {row["kind"] for row in listing(redis)["queued"]} >= {"rollout", "train"}
        client.post("/dashboard/projects/7/models/cold-v1/delete")
        assert not (settings.data_dir / "projects" / scene.P / "models" / "cold-v1").exists()

    def test_it_is_said_why_a_version_is_shown(self, client: FlaskClient, at_work: None) -> None:
        for path in ("models", "models/cold-v3"):
            assert f"cold-v3 is rolled out: {scene.DECIDED}" in page(client, f"/dashboard/projects/7/{path}").text
        assert "rolled out:" not in page(client, "/dashboard/projects/7/models/cold-v1").text

    def test_a_card_says_what_it_was_trained_with(self, client: FlaskClient, at_work: None) -> None:
        assert "mode auto, min_frames 3" in page(client, "/dashboard/projects/7/models/cold-v3").text

    def test_how_to_train_is_chosen_in_a_form_and_shown_from_then_on(
        self, client: FlaskClient, redis: Redis, settings: Settings, at_work: None
    ) -> None:
        form = page(client, "/dashboard/projects/7/models")
        assert [box["value"] for box in form.all("input") if "checked" in box] == ["extra-params", "head"]
        numbers = {box["name"]: (box["min"], box["value"], box["max"]) for box in form.all("input") if "min" in box}
        assert numbers["cycles"] == ("1", "10", "100")
        assert numbers["validation_split"] == ("0.05", "0.2", "0.5")
        sent = {"kind": "blitz", "fit": "finetune", "cycles": "25", "validation_split": "0.25", "image_size": " 96 "}
        answer = client.post("/dashboard/projects/7/train", data=sent, follow_redirects=True, headers=HTML)
        assert "This training and those after it are Blitz" in answer.get_data(as_text=True)
        assert [row["kind"] for row in listing(redis)["queued"]].count("train") == 1

        form = page(client, "/dashboard/projects/7/models")
        assert [box["value"] for box in form.all("input") if "checked" in box] == ["blitz", "finetune"]
        assert [box["value"] for box in form.all("input") if "min" in box] == ["25", "0.25", "3", "96", "5"]
        shown = page(client, "/dashboard/projects/7/settings").text
        assert re.search(r"blitz\.\s*cycles\s*25\s*models page", shown)
        assert re.search(r"sample_\s*fps\s*2\.0\s*default", shown)
        answer = client.post("/dashboard/projects/7/train", data={"kind": "extra-params"}, follow_redirects=True)
        assert "Training uses the extra params again." in answer.get_data(as_text=True)
        known = registry.recall(redis, scene.P)
        assert known is not None
        assert training_choice.in_force(settings.data_dir, known) is None

    def test_a_model_file_is_chosen_by_its_name(self, client: FlaskClient, settings: Settings, at_work: None) -> None:
        assert 'name="file"' not in page(client, "/dashboard/projects/7/models").text
        folder = settings.data_dir / "custom_models"
        folder.mkdir()
        for name in ("bird.py", "cat <b>.py"):
            (folder / name).write_text("")
        form = page(client, "/dashboard/projects/7/models")
        assert "Custom: your own model file" in form.text
        assert "cat <b>.py" in form.text
        answer = client.post(
            "/dashboard/projects/7/train",
            data={"kind": "custom", "file": "bird.py"},
            follow_redirects=True,
            headers=HTML,
        )
        assert "are custom (bird.py)" in answer.get_data(as_text=True)
        shown = page(client, "/dashboard/projects/7/settings").text
        assert re.search(r"custom_\s*model\s*bird\.py\s*models page", shown)
        refused = client.post(
            "/dashboard/projects/7/train", data={"kind": "custom", "file": "../bird.py"}, headers=HTML
        )
        assert refused.status_code == 400

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            ({"kind": "blitz", "cycles": "1000"}, "blitz.cycles cannot be set: 1000 is not between 1 and 100."),
            ({"kind": "blitz", "cycles": "ten"}, "blitz.cycles cannot be set: &#39;ten&#39; has the wrong type."),
            ({"kind": "blitz", "fit": "<b>"}, "&#39;&lt;b&gt;&#39; is not one of"),
            ({"kind": "warm"}, "The kind &#39;warm&#39; cannot be trained."),
            ({"kind": "custom"}, "No model file is named for this project."),
        ],
    )
    def test_what_cannot_be_trained_is_said_in_one_sentence_and_not_tried(
        self, client: FlaskClient, redis: Redis, at_work: None, sent: dict[str, str], said: str
    ) -> None:
        answer = client.post("/dashboard/projects/7/train", data=sent, headers=HTML)
        assert (answer.status_code, answer.mimetype) == (400, "text/html")
        assert said in answer.get_data(as_text=True)
        assert "train" not in [row["kind"] for row in listing(redis)["queued"]]

    def test_a_form_of_another_site_starts_no_training(self, client: FlaskClient, redis: Redis, at_work: None) -> None:
        foreign = {**HTML, "Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
        assert client.post("/dashboard/projects/7/train", data={"kind": "cold"}, headers=foreign).status_code == 403
        assert "train" not in [row["kind"] for row in listing(redis)["queued"]]

    def test_the_active_one_is_not_deleted(self, client: FlaskClient, at_work: None) -> None:
        answer = client.post("/dashboard/projects/7/models/cold-v3/delete", headers=HTML)
        assert answer.status_code == 400
        assert "cold-v3 is the active version." in answer.get_data(as_text=True)
