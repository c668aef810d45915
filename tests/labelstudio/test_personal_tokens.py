"""Personal access tokens are exchanged for short-lived ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import jsonify, redirect
from loopback import serving
from told_studio import LEGACY, PROJECT, Studio, personal_token

from ml_backend.errors import ColdblitzError, LabelStudioError, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.labelstudio.studio import LabelStudio


class TestPersonalAccessTokens:
    def test_it_is_exchanged_for_a_short_lived_one(self, studio: Studio, url: str) -> None:
        access = personal_token(300, "access")
        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=access))
        studio.will("GET", "/api/projects/7/", lambda: jsonify(PROJECT))
        token = personal_token()
        client = LabelStudio(url, token)
        client.projects.get(7)
        client.projects.get(7)
        assert studio.authorization == f"Bearer {access}"
        refreshed = [body for _, path, _, body in studio.asked if path == "/api/token/refresh/"]
        assert refreshed == [{"refresh": token}]

    def test_an_expired_one_is_exchanged_again(self, studio: Studio, url: str) -> None:
        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=personal_token(-10, "access")))
        studio.will("GET", "/api/projects/7/", lambda: jsonify(PROJECT))
        client = LabelStudio(url, personal_token())
        client.projects.get(7)
        client.projects.get(7)
        assert sum(path == "/api/token/refresh/" for _, path, _, _ in studio.asked) == 2

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (lambda: (jsonify(detail="Token is invalid"), 401), LabelStudioRefused),
            (lambda: (jsonify(detail="database is locked"), 500), LabelStudioUnreachable),
            (lambda: ("<html>", 502), LabelStudioUnreachable),
            (lambda: jsonify(something="else"), LabelStudioError),
        ],
    )
    def test_a_failed_exchange_is_told_like_any_refusal(
        self, studio: Studio, url: str, answer: Callable[[], Any], error: type[ColdblitzError]
    ) -> None:
        studio.will("POST", "/api/token/refresh/", answer)
        token = personal_token()
        with pytest.raises(error) as refused:
            LabelStudio(url, token).projects.get(7)
        assert token not in str(refused.value)

    def test_one_that_ends_before_its_time_is_exchanged_again(self, studio: Studio, url: str) -> None:
        """So it looks after the clock was set back."""
        ended, fresh = personal_token(300, "ended"), personal_token(300, "fresh")
        exchanged = iter((ended, fresh))

        def project() -> Any:
            is_ended = studio.authorization == f"Bearer {ended}"
            return (jsonify(detail="Token is expired"), 401) if is_ended else jsonify(PROJECT)

        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=next(exchanged)))
        studio.will("GET", "/api/projects/7/", project)
        assert LabelStudio(url, personal_token()).projects.get(7).title == "A street"
        assert studio.authorization == f"Bearer {fresh}"

    def test_one_that_ends_while_a_video_is_fetched_is_exchanged_again(self, studio: Studio, url: str) -> None:
        ended, fresh = personal_token(300, "ended"), personal_token(300, "fresh")
        exchanged = iter((ended, fresh))
        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=next(exchanged)))
        address = LabelStudio(url, personal_token()).videos.address("/data/upload/7/film.mp4")
        assert address is not None
        assert address.headers == {"Authorization": f"Bearer {ended}"}
        assert address.renew is not None
        assert address.renew() == {"Authorization": f"Bearer {fresh}"}

    def test_for_a_legacy_token_and_for_another_host_there_is_no_other(self, url: str) -> None:
        ours, elsewhere = (
            LabelStudio(url, LEGACY).videos.address("/data/a.mp4"),
            LabelStudio(url, LEGACY).videos.address("http://x.y/a.mp4"),
        )
        assert ours is not None
        assert ours.renew is not None
        assert ours.renew() == {}
        assert elsewhere is not None
        assert elsewhere.renew is None

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_does_not_bring_it_to_another_host(self, studio: Studio, url: str, status: int) -> None:
        elsewhere = Studio()
        elsewhere.will("POST", "/api/token/refresh/", lambda: jsonify(access=personal_token(300, "access")))
        with serving(elsewhere) as other:
            studio.will("POST", "/api/token/refresh/", lambda: redirect(f"{other}/api/token/refresh/", status))
            with pytest.raises(LabelStudioError, match=f"{other}.*LABEL_STUDIO_URL"):
                LabelStudio(url, personal_token()).projects.get(7)
        assert elsewhere.asked == []

    def test_a_label_studio_below_a_path_is_asked_there(self, studio: Studio, url: str) -> None:
        studio.will("POST", "/studio/api/token/refresh/", lambda: jsonify(access=personal_token(300, "access")))
        studio.will("GET", "/studio/api/projects/7/", lambda: jsonify(PROJECT))
        assert LabelStudio(f"{url}/studio", personal_token()).projects.get(7).title == "A street"

    def test_an_expired_token_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(LabelStudioRefused, match="expired"):
            LabelStudio(url, personal_token(-10))
