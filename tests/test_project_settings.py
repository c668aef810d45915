"""What an administrator may write into the extra params of a project."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.detector_names import UNKNOWN
from ml_backend.project_settings import BlitzSettings, ProjectSettings, parse_project_settings


class TestExtraParams:
    @pytest.mark.parametrize("nothing", [None, "", {}])
    def test_without_any_the_defaults_apply(self, nothing: object) -> None:
        assert parse_project_settings(nothing) == (ProjectSettings(), ())

    def test_all_of_them_may_be_given(self) -> None:
        given: dict[str, Any] = {
            "sampling": "uniform",
            "frames_per_video": 5,
            "sample_fps": 4,
            "hash_threshold": 12,
            "mode": "cold",
            "default_label": "nothing",
            "min_frames": 10,
            "fill_gaps": 3,
            "dense": True,
            "blitz": {
                "fit": "finetune",
                "cycles": 3,
                "validation_split": 0.3,
                "early_stopping": 2,
                "image_size": 224,
                "frame_step": 10,
            },
            "resolution": 320,
            "roi": (25, 10, 50, 60),
            "detector": "people",
            "smallest_box": 1,
            "largest_box": 40.5,
            "max_tracks": 4,
            "track_iou": 0.8,
            "model_score_threshold": 0,
        }
        settings, problems = parse_project_settings(given)
        assert problems == ()
        assert {name: value for name, value in asdict(settings).items() if name in given} == given

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("sampling", "by chance"),
            ("sampling", None),
            ("sampling", ["uniform"]),
            ("frames_per_video", 0),
            ("frames_per_video", 2.5),
            ("frames_per_video", "ten"),
            ("frames_per_video", True),
            ("sample_fps", float("nan")),
            ("sample_fps", 0),
            ("sample_fps", -1),
            ("hash_threshold", 65),
            ("hash_threshold", 0),
            ("mode", "hot"),
            ("default_label", 5),
            ("min_frames", -3),
            ("min_frames", {"jump": 0}),
            ("min_frames", {"jump": 2, "run": "three"}),
            ("fill_gaps", -1),
            ("fill_gaps", {"jump": True}),
            ("fill_gaps", ["jump", 3]),
            ("dense", "yes"),
            ("dense", 1),
            ("blitz", "finetune"),
            ("frames", 10),
            ("resolution", 200),
            ("resolution", "320"),
            ("resolution", 224.0),
            ("roi", [50, 50, 60, 60]),
            ("roi", "left"),
            ("smallest_box", 101),
            ("largest_box", "40%"),
            ("max_tracks", 0),
            ("track_iou", 1),
            ("follower", "sam2"),
            ("follower", "hf/../x"),
            ("follower", 2),
            ("model_score_threshold", 1.5),
            ("model_score_threshold", True),
            ("model_score_threshold", float("nan")),
        ],
    )
    def test_a_wrong_one_is_named_and_the_others_apply(self, name: str, value: object) -> None:
        settings, (problem,) = parse_project_settings({name: value, "default_label": "none"} | {name: value})
        assert repr(name) in problem
        assert settings == ProjectSettings(default_label=None if name == "default_label" else "none")

    def test_a_detector_that_there_is_not_is_none_of_the_others(self) -> None:
        settings, (problem,) = parse_project_settings({"detector": "yolo", "default_label": "none"})
        assert problem.startswith("Extra param 'detector' cannot be used, and tracks stay as they are: 'yolo'")
        assert settings == ProjectSettings(default_label="none", detector=UNKNOWN)

    def test_a_wrong_region_is_said_with_what_to_write(self) -> None:
        _, (problem,) = parse_project_settings({"roi": [50, 50, 60, 60]})
        assert problem == (
            "Extra param 'roi' was ignored: [50, 50, 60, 60] reaches beyond the picture: write [x, y, width, height] in "
            "percent of the picture, such as [25, 10, 50, 60], without the brackets in a table."
        )

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ({"Roi": [0, 0, 50, 50]}, "roi"),
            ({"samplin": "unique"}, "sampling"),
            ({"blitz": {"cycle": 3}}, "blitz.cycles"),
            ({"detectors": "motion"}, "detector"),
        ],
    )
    def test_of_a_key_that_is_nearly_right_the_right_one_is_named(self, given: dict[str, Any], meant: str) -> None:
        _, (problem,) = parse_project_settings(given)
        assert problem.endswith(f"is unknown and was ignored; did you mean {meant!r}?")

    def test_the_smallest_box_is_not_above_the_largest(self) -> None:
        settings, (problem,) = parse_project_settings({"smallest_box": 30, "largest_box": 20})
        assert problem == "Extra param 'smallest_box' was ignored: 30 is above 'largest_box', 20."
        assert (settings.smallest_box, settings.largest_box) == (0, 20)

    def test_what_is_about_boxes_alone_trains_nothing_anew(self) -> None:
        assert ProjectSettings(detector="people", max_tracks=3).taught == ProjectSettings().taught

    def test_how_keyframes_are_picked_trains_nothing_anew(self) -> None:
        other = ProjectSettings(sampling="shots", frames_per_video=4, sample_fps=1.0, hash_threshold=9)
        assert other.taught == ProjectSettings().taught
        assert ProjectSettings(min_frames=4).taught != ProjectSettings().taught

    def test_versions_of_before_keep_their_marks(self) -> None:
        assert ProjectSettings(min_frames=4).taught == repr(ProjectSettings(min_frames=4))

    def test_of_one_that_is_like_no_other_all_are_listed(self) -> None:
        _, (problem,) = parse_project_settings({"xyz": 1})
        assert "the known ones are blitz, companion, custom_model," in problem

    def test_frames_may_be_given_for_each_label(self) -> None:
        given = {"min_frames": {"jump": 5, "run": 12}, "fill_gaps": {"run": 0}}
        settings, problems = parse_project_settings(given)
        assert problems == ()
        assert (settings.min_frames, settings.fill_gaps) == ({"jump": 5, "run": 12}, {"run": 0})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("fit", "all"),
            ("cycles", 0),
            ("validation_split", 0.9),
            ("early_stopping", 1.5),
            ("image_size", 16),
            ("frame_step", "5"),
            ("epochs", 3),
        ],
    )
    def test_a_wrong_one_of_blitz_is_named_and_its_others_apply(self, name: str, value: object) -> None:
        settings, (problem,) = parse_project_settings({"blitz": {"fit": "finetune", "cycles": 7} | {name: value}})
        assert repr(f"blitz.{name}") in problem
        given = {"fit": "finetune", "cycles": 7}
        given.pop(name, None)
        assert settings == ProjectSettings(blitz=replace(BlitzSettings(), **given))  # type: ignore[arg-type]

    @pytest.mark.parametrize("other", [[], "sampling: uniform", 5, True, [{"sampling": "uniform"}]])
    def test_what_is_no_object_is_said_to_be_none(self, other: object) -> None:
        settings, problems = parse_project_settings(other)
        assert settings == ProjectSettings()
        assert len(problems) == 1

    @given(
        st.dictionaries(
            st.sampled_from([field.name for field in fields(ProjectSettings)]) | st.text(),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
        )
    )
    def test_each_key_is_either_taken_or_told(self, given: dict[str, Any]) -> None:
        settings, problems = parse_project_settings(given)
        taken = [name for name, value in given.items() if getattr(settings, name, object()) is value]
        assert len(problems) >= len(given) - len(taken)
        told = replace(settings, detector="motion") if settings.detector == UNKNOWN else settings
        assert parse_project_settings(asdict(told)) == (told, ())
