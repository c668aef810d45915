"""What names of model versions and ids of regions say, and what is none of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.provenance import (
    ModelVersion,
    RegionId,
    companion_id,
    predicted_id,
    question_id,
    suggestion_id,
    track_id,
)

numbers = st.integers(1, 10**18 - 1)
kinds = st.sampled_from(["cold", "blitz"]) | st.from_regex(r"custom-[A-Za-z0-9_]{1,200}", fullmatch=True)
versions = st.builds(ModelVersion, kinds, numbers)


class TestModelVersion:
    @given(versions)
    def test_what_is_written_is_read_again(self, version: ModelVersion) -> None:
        assert ModelVersion.parse(str(version)) == version

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "",
                "cold",
                "cold-v",
                "cold-v0",
                "cold-v01",
                "cold-v-1",
                "cold-v1-old",
                "Cold-v1",
                "cold-v1\n",
                "my-cold-v1",
            ),
            *("keyframes-v1", "undefined", "yolo-v8", "custom--v1", "custom-a b-v1", "custom-v1", "custom-a-v1-v2"),
            *(
                "../cold-v1",
                "cold-v1/..",
                "custom-../../etc-v1",
                "custom-x/../y-v1",
                "custom-\u00e9-v1",
                "cold-v\u0661",
            ),
            *("cold-v" + "1" * 19, "custom-" + "a" * 300 + "-v1"),
        ],
    )
    def test_other_names_are_none(self, name: str) -> None:
        assert ModelVersion.parse(name) is None

    @given(st.text(max_size=40) | st.from_regex(r"(cold|custom-\S+)-v\d+"))
    def test_whatever_is_read_is_one_plain_file_name(self, name: str) -> None:
        version = ModelVersion.parse(name)
        if version is not None:
            assert str(version) == name
            assert Path("/models", str(version)).resolve().parent == Path("/models")
            assert len(str(version).encode()) < 255

    def test_cold_and_blitz_are_one_line_and_each_file_another(self) -> None:
        found = {str(v): v.line for v in map(ModelVersion.parse, ["cold-v1", "blitz-v2", "custom-pose-v1"]) if v}
        assert found == {"cold-v1": "learnt", "blitz-v2": "learnt", "custom-pose-v1": "custom-pose"}

    def test_the_newest_comes_last(self) -> None:
        assert ModelVersion("cold", 9) < ModelVersion("cold", 10)


class TestRegionId:
    @given(versions, numbers, numbers, numbers)
    def test_what_is_written_is_read_again(self, version: ModelVersion, number: int, start: int, end: int) -> None:
        assert RegionId.parse(suggestion_id(start)) == RegionId("suggestion")
        assert RegionId.parse(question_id(str(version), start)) == RegionId("question", version)
        assert RegionId.parse(companion_id(number)) == RegionId("suggestion")
        drawn = RegionId.parse(predicted_id(str(version), number, start, end))
        assert drawn == RegionId("predicted", version, (start, end))
        assert RegionId.parse(track_id(number)) == RegionId("track", number=number)
        assert RegionId.parse(f"{track_id(number)}_0a1b2c3d") == RegionId("track", number=number)

    @pytest.mark.parametrize(
        ("text", "kind", "version", "span"),
        [
            ("cold-v3-17", "predicted", ModelVersion("cold", 3), None),
            ("cold-v3-17_120_340", "predicted", ModelVersion("cold", 3), (120, 340)),
            ("custom-my_9_9-v2-12_1_6", "predicted", ModelVersion("custom-my_9_9", 2), (1, 6)),
            ("kf-120", "suggestion", None, None),
            ("kf-cold-v3-120", "question", ModelVersion("cold", 3), None),
            ("kf-../../x-v1-120", "suggestion", None, None),
        ],
    )
    def test_ids_of_every_time(
        self, text: str, kind: str, version: ModelVersion | None, span: tuple[int, int] | None
    ) -> None:
        found = RegionId.parse(text)
        assert found is not None
        assert (found.kind, found.version, found.span) == (kind, version, span)
        assert found.is_asked == (kind != "predicted")
        assert RegionId("track").is_asked is False

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "fZk3_x1PqQ",
            "cold",
            "cold-v3",
            "../cold-v3-1",
            "custom-../..-v1-3_1_2",
            "trk-1",
            "track-1",
            "coldblitz-track-0",
            "coldblitz-track-1_zz",
        ],
    )
    def test_what_people_and_other_models_draw_is_not_ours(self, text: str) -> None:
        assert RegionId.parse(text) is None

    @given(st.text(max_size=60) | st.from_regex(r"(kf-)?(cold|custom-\S+)-v\d+-\S*"))
    def test_no_version_read_from_an_id_leaves_its_folder(self, text: str) -> None:
        found = RegionId.parse(text)
        if found is not None and found.version is not None:
            assert ModelVersion.parse(str(found.version)) == found.version
