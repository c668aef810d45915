"""What an answer that is none says: whose fault it is, and whether trying again helps."""

from __future__ import annotations

import pickle
import time

import pytest
from flask import jsonify, redirect
from loopback import closed_port
from told_studio import LEGACY, PROJECT, Studio

from ml_backend.errors import (
    ColdblitzError,
    LabelStudioError,
    LabelStudioInvalid,
    LabelStudioMissing,
    LabelStudioRefused,
    LabelStudioUnreachable,
)
from ml_backend.labelstudio.studio import LabelStudio


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, LabelStudioInvalid),
            (409, LabelStudioError),
            (413, LabelStudioInvalid),
            (401, LabelStudioRefused),
            (403, LabelStudioRefused),
            (404, LabelStudioMissing),
            (429, LabelStudioUnreachable),
            (500, LabelStudioUnreachable),
            (502, LabelStudioUnreachable),
            (503, LabelStudioUnreachable),
        ],
    )
    def test_each_status_says_whether_trying_again_helps(
        self, studio: Studio, client: LabelStudio, status: int, error: type[ColdblitzError]
    ) -> None:
        studio.will("GET", "/api/projects/7/", lambda: (jsonify(detail="the reason"), status))
        with pytest.raises(LabelStudioError, match="the reason") as refused:
            client.projects.get(7)
        assert type(refused.value) is error
        assert refused.value.passes == (error is LabelStudioUnreachable)

    def test_an_error_page_is_cut_short(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/projects/7/", lambda: ("<html>" + "Bad gateway. " * 1000, 502))
        with pytest.raises(LabelStudioUnreachable) as refused:
            client.projects.get(7)
        assert len(str(refused.value)) < 500

    @pytest.mark.parametrize(
        "answer", ["<html>Welcome to nginx</html>", "[]", "{}", '{"id": 7}', '"OK"', "null", '{"results": 3}']
    )
    def test_a_server_that_is_not_label_studio_is_told_by_its_answers(
        self, studio: Studio, client: LabelStudio, answer: str
    ) -> None:
        studio.will("GET", "/api/projects/7/", lambda: answer)
        studio.will("GET", "/api/projects/", lambda: answer)
        for ask in (lambda: client.projects.get(7), lambda: list(client.projects.all())):
            with pytest.raises(LabelStudioError, match="LABEL_STUDIO_URL"):
                ask()

    def test_a_redirect_is_an_address_to_correct(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/projects/7/", lambda: redirect("https://studio.example/api/projects/7/"))
        with pytest.raises(LabelStudioError, match=r"https://studio\.example.*LABEL_STUDIO_URL"):
            client.projects.get(7)

    def test_no_answer_passes(self) -> None:
        client = LabelStudio(f"http://127.0.0.1:{closed_port()}", LEGACY, timeout=2)
        with pytest.raises(LabelStudioUnreachable, match="does not answer"):
            client.projects.get(7)

    def test_an_answer_that_takes_too_long_passes(self, studio: Studio, url: str) -> None:
        studio.will("GET", "/api/projects/7/", lambda: time.sleep(0.6) or jsonify(PROJECT))
        with pytest.raises(LabelStudioUnreachable, match="does not answer"):
            LabelStudio(url, LEGACY, timeout=0.2).projects.get(7)

    def test_errors_reach_other_processes_whole(self) -> None:
        error = pickle.loads(pickle.dumps(LabelStudioRefused("No.", "Ask again.")))
        assert (type(error), error.message, error.remedy) == (LabelStudioRefused, "No.", "Ask again.")
