"""What was measured of a model is the same on disk, over HTTP and in the program; what another release wrote is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ml_backend.cards.measurements import (
    MEASURED,
    Calibration,
    Comparison,
    ConfusionTable,
    EvaluationScheme,
    LabelScore,
    Measurements,
    Metrics,
    ReliabilityBin,
    SegmentCounts,
    TrainingCurves,
)
from ml_backend.cards.model_card import ModelCard, Network, QuestionCard

FULL: dict[str, Any] = {
    "judgement": "Measured on 3 recordings, each predicted by a model that had not seen it (leave one video out).",
    "scheme": "leave one video out",
    "videos": 3,
    "frames": 57,
    "macro_f1": 0.9,
    "macro_f1_error": None,
    "macro_f1_interval": [0.8, 1.0],
    "labels": {"cat": {"precision": 0.9, "recall": 1.0, "f1": 0.94, "support": 19, "f1_interval": None}},
    "confusion": {"labels": ["cat", "none of the labels"], "counts": [[19, 0], [2, 36]]},
    "segment_f1": None,
    "segments": {"found": 0, "predicted": 0, "true": 0},
    "boundary_error_frames": None,
    "calibration_error": 0.01,
    "reliability": [{"from": 0.933, "to": 1.0, "decisions": 57, "confidence": 0.99, "right": 0.96}],
    "temperature": 1.1,
}
AGAINST = {"version": "cold-v1", "worse": False, "said": "its macro-F1 is 0.900"}


def again(data: dict[str, Any]) -> dict[str, Any]:
    """What is read of metrics and written again, with the order of its keys."""
    return json.loads(json.dumps(Metrics.from_json(data).as_json()))


class TestReading:
    def test_every_number_has_its_name(self) -> None:
        found = Metrics.from_json(FULL)
        assert found.scheme is EvaluationScheme.LEAVE_ONE_OUT
        assert (found.macro_f1, found.macro_f1_interval) == (0.9, (0.8, 1.0))
        assert found.labels["cat"] == LabelScore(0.9, 1.0, 0.94, 19)
        assert found.confusion == ConfusionTable(("cat", "none of the labels"), ((19, 0), (2, 36)))
        assert found.segments == SegmentCounts(0, 0, 0)
        assert found.reliability == (ReliabilityBin(0.933, 1.0, 57, 0.99, 0.96),)

    def test_what_was_not_measured_is_none(self) -> None:
        found = Metrics.from_json({})
        assert (found.judgement, found.macro_f1, found.labels, found.reliability) == ("", None, {}, ())

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("scheme", "a scheme of a later release"),
            ("macro_f1", "much"),
            ("macro_f1_interval", [0.1]),
            ("labels", ["cat"]),
            ("confusion", {"labels": ["cat"]}),
            ("reliability", [{"from": 0}]),
            ("videos", True),
        ],
    )
    def test_a_value_that_cannot_be_read_counts_as_none_and_is_kept(self, key: str, value: object) -> None:
        found = Metrics.from_json({**FULL, key: value})
        assert getattr(found, key) in (None, {}, (), 0)
        assert found.as_json()[key] == value


class TestWriting:
    def test_is_what_was_read_in_its_order(self) -> None:
        assert list(again(FULL).items()) == list(FULL.items())

    def test_makes_up_no_key_that_was_not_there(self) -> None:
        assert again({"macro_f1": None}) == {"macro_f1": None}
        assert again({}) == {}

    def test_keeps_what_a_later_release_has_added(self) -> None:
        assert again({**FULL, "kappa": {"cat": 0.8}})["kappa"] == {"cat": 0.8}

    def test_of_a_measurement_states_every_metric_even_if_there_is_nothing_to_say(self) -> None:
        assert list(Metrics(judgement="Measured.", stated=MEASURED).as_json()) == list(FULL)

    def test_of_none_says_why_and_on_how_much(self) -> None:
        said = Metrics.nothing("Not measured.", EvaluationScheme.BLOCKS, 1).as_json()
        assert said == {"judgement": "Not measured.", "scheme": "blocks of one video", "videos": 1, "frames": 0}

    def test_of_a_quick_check_leaves_out_how_far_to_believe_it(self) -> None:
        left_out = FULL.keys() - Metrics.from_json(FULL).about_answers().as_json().keys()
        assert left_out == {"calibration_error", "reliability", "temperature"}

    def test_beside_a_frozen_network_says_its_score_be_it_none(self) -> None:
        assert Metrics(macro_f1=0.9).beside_frozen(None).as_json() == {"macro_f1": 0.9, "frozen_macro_f1": None}


def test_newer_metrics_stand_before_those_of_before_and_what_they_do_not_tell_of_stays() -> None:
    found = Metrics.from_json(FULL).renewed(Metrics(macro_f1=0.95))
    assert (found.macro_f1, found.videos) == (0.95, 3)


class TestMeasurements:
    def test_the_quick_check_and_the_comparison_stand_before_the_full_metrics(self) -> None:
        stored = {"quick": {"macro_f1": 0.8}, "against": AGAINST, **FULL}
        found = Measurements.from_json(stored)
        assert found.against == Comparison("cold-v1", False, "its macro-F1 is 0.900")
        assert list(json.loads(json.dumps(found.as_json())).items()) == list(stored.items())

    @pytest.mark.parametrize("stored", [{}, {"quick": {}, "against": {}}, {"quick": {"macro_f1": 0.8}}, FULL])
    def test_a_comparison_that_found_nothing_is_told_from_none(self, stored: dict[str, Any]) -> None:
        assert json.loads(json.dumps(Measurements.from_json(stored).as_json())) == stored

    def test_a_comparison_of_another_release_is_none_and_is_kept(self) -> None:
        found = Measurements.from_json({"against": {"verdict": 3}})
        assert found.against is None
        assert found.as_json() == {"against": {"verdict": 3}}

    def test_the_full_metrics_go_before_the_quick_ones(self) -> None:
        quick = {"judgement": "Quick.", "macro_f1": 0.8}
        assert Measurements.from_json({"quick": quick}).best.macro_f1 == 0.8
        assert Measurements.from_json({"quick": quick, **FULL}).best.macro_f1 == 0.9
        assert Measurements().best == Metrics()


class TestEvaluationScheme:
    def test_its_value_is_what_cards_have_and_people_read(self) -> None:
        assert [str(scheme) for scheme in EvaluationScheme] == [
            "leave one video out",
            "leave out videos",
            "blocks of one video",
            "videos that the network was not fine-tuned on",
            "one held-out fold",
            "videos of another project than it was trained on",
        ]

    @pytest.mark.parametrize("scheme", EvaluationScheme)
    def test_two_recordings_are_too_few_to_judge_by_and_three_are_not(self, scheme: EvaluationScheme) -> None:
        assert scheme.judgement(2).startswith("Not enough videos to judge: ")
        assert scheme.judgement(3).startswith("Measured on 3 ")

    def test_what_flatters_is_said(self) -> None:
        assert "flatters" in EvaluationScheme.BLOCKS.judgement(1)
        assert "flatters" in EvaluationScheme.NOT_FINE_TUNED_ON.judgement(9)
        assert "learned from them too" in EvaluationScheme.ONE_FOLD.judgement(9)


def test_a_head_that_says_nothing_of_its_doubt_is_not_said_to_confuse_labels() -> None:
    assert Calibration(1.0).as_json() == {"temperature": 1.0}
    told = {"temperature": 1.0, "told_apart": False, "confused": [["cat", "dog"]]}
    assert Calibration.from_json(told).confused == (("cat", "dog"),)
    assert Calibration.from_json(told).as_json() == told
    assert Calibration.from_json(told).renewed(Calibration(2.0)).as_json() == {**told, "temperature": 2.0}


def test_the_curves_of_a_network_that_was_not_fine_tuned_are_empty() -> None:
    assert TrainingCurves().as_json() == {}
    told = {"epochs": [{"epoch": 0, "train_loss": 1.1}], "best": 0}
    assert TrainingCurves.from_json(told).as_json() == told


class TestModelCard:
    CARD = ModelCard("cold-v1", "cold", ("cat",), True, "mobilenet_v2", "2026-01-31T12:00:00+00:00")

    def test_has_every_key_be_it_empty(self) -> None:
        said = self.CARD.as_json()
        assert list(said)[:7] == ["name", "kind", "labels", "exclusive", "backbone", "created", "seed"]
        empty = (
            "settings",
            "annotations",
            "metrics",
            "calibration",
            "curves",
            "structure",
            "network",
            "others",
            "account",
        )
        assert [said[name] for name in empty] == [{}] * len(empty)

    def test_is_read_as_it_was_written(self) -> None:
        network = Network("abc", "resnet18-def-160", {"labels": ["cat"]}, (1, 2), (3,))
        other = QuestionCard("cold", ("busy",), False, "mobilenet_v2", metrics=Measurements(Metrics.from_json(FULL)))
        card = replace(self.CARD, network=network, others={"clip": other})
        assert ModelCard.from_json(json.loads(json.dumps(card.as_json()))) == card
        about = card.about("clip")
        assert about is not None
        assert (about.name, about.labels, about.measured.macro_f1, about.network) == ("cold-v1", ("busy",), 0.9, None)

    def test_of_a_later_release_keeps_what_is_new(self) -> None:
        assert ModelCard.from_json({**self.CARD.as_json(), "license": "MIT"}).as_json()["license"] == "MIT"

    @pytest.mark.parametrize("lacking", ["name", "kind", "labels", "exclusive", "backbone", "created"])
    def test_without_what_every_card_has_is_none(self, lacking: str) -> None:
        with pytest.raises(KeyError, match=lacking):
            ModelCard.from_json({name: value for name, value in self.CARD.as_json().items() if name != lacking})
