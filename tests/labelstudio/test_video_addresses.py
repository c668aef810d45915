"""Where a task's video is, and who is given the token."""

from __future__ import annotations

import pytest
from told_studio import LEGACY

from ml_backend.labelstudio.client import Client


class TestVideoAddresses:
    @pytest.mark.parametrize(
        "value", ["/data/upload/7/4e2c-a.mp4", "/data/local-files/?d=films/a.mp4", "//elsewhere.example/a.mp4"]
    )
    def test_a_path_is_label_studios_and_gets_the_token(self, client: Client, value: str) -> None:
        address = client.video_address(value)
        assert address is not None
        assert address.url == client.url + value
        assert address.headers == {"Authorization": f"Token {LEGACY}"}

    @pytest.mark.parametrize("value", ["/studio/data/upload/7/4e2c-a.mp4", "/data/upload/7/4e2c-a.mp4"])
    def test_of_a_label_studio_below_a_path_it_holds_that_path_or_does_not(self, client: Client, value: str) -> None:
        address = Client(f"{client.url}/studio", LEGACY).video_address(value)
        assert address is not None
        assert address.url == f"{client.url}/studio/data/upload/7/4e2c-a.mp4"

    def test_so_does_its_full_address(self, client: Client) -> None:
        address = client.video_address(f" {client.url}/data/upload/7/a.mp4 ")
        assert address is not None
        assert "Authorization" in address.headers

    @pytest.mark.parametrize(
        "value",
        [
            "http://elsewhere.example/a.mp4",
            "https://{host}/a.mp4",
            "http://{host}.elsewhere.example/a.mp4",
            "http://{host}@elsewhere.example/a.mp4",
            "http://user@{host}/a.mp4",
            "http://127.0.0.1:1/a.mp4",
            "s3://bucket/a.mp4",
            "http://[bad/a.mp4",
        ],
    )
    def test_no_other_host_gets_the_token(self, client: Client, value: str) -> None:
        value = value.format(host=client.url.removeprefix("http://"))
        address = client.video_address(value)
        assert address is not None
        assert address.url == value
        assert address.headers == {}

    @pytest.mark.parametrize("value", [None, "", "  ", 5, ["a.mp4"], {"url": "a.mp4"}])
    def test_a_task_without_an_address_has_none(self, client: Client, value: object) -> None:
        assert client.video_address(value) is None
