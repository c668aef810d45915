"""Which versions' predictions are deleted: old ones, and late."""

from __future__ import annotations

import pytest

from ml_backend.jobs.predictions.retire import GRACE_SECONDS, retired

DAY = GRACE_SECONDS


NOW = 100.0 * DAY


class TestRetiring:
    """Deleting a version under somebody's hands makes their Submit fail, so it happens late."""

    def days_ago(self, **pinned: float) -> dict[str, float]:
        return {name.replace("_", "-"): NOW - days * DAY for name, days in pinned.items()}

    def test_all_but_the_last_two_go_a_day_after_the_last_was_pinned(self) -> None:
        pinned = self.days_ago(cold_v1=5, cold_v2=4, cold_v3=3, blitz_v4=2)
        assert retired(pinned, set(pinned), NOW) == ["cold-v1", "cold-v2"]

    def test_none_goes_within_a_day(self) -> None:
        pinned = self.days_ago(cold_v1=5, cold_v2=4, cold_v3=0.9)
        assert retired(pinned, set(pinned), NOW) == []

    def test_the_last_two_are_those_pinned_last_whatever_their_numbers(self) -> None:
        pinned = self.days_ago(cold_v1=2, cold_v2=4, cold_v3=3)
        assert retired(pinned, set(pinned), NOW) == ["cold-v2"]

    @pytest.mark.parametrize("pinned", [{}, {"cold_v1": 5.0}, {"cold_v1": 5.0, "cold_v2": 4.0}])
    def test_two_always_stay(self, pinned: dict[str, float]) -> None:
        days_ago = self.days_ago(**pinned)
        assert retired(days_ago, set(days_ago), NOW) == []

    def test_suggestions_and_others_versions_stay(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "keyframes-v1", "detector-7", "Coldblitz", ""}, NOW) == []

    def test_one_that_was_never_pinned_goes_when_it_is_older(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "cold-v1"}, NOW, made={"cold-v1"}) == ["cold-v1"]

    def test_one_that_is_named_like_ours_and_was_made_elsewhere_stays(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "cold-v1", "blitz-v1"}, NOW) == []

    def test_one_that_is_being_rolled_out_stays(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "cold-v4"}, NOW) == []

    def test_what_label_studio_no_longer_has_is_not_deleted(self) -> None:
        pinned = self.days_ago(cold_v1=5, cold_v2=4, cold_v3=3)
        assert retired(pinned, {"cold-v2", "cold-v3"}, NOW) == []
