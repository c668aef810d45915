"""Where a task's video is, and who is given the token."""

from __future__ import annotations

import pytest
from told_studio import LEGACY

from ml_backend.labelstudio.studio import LabelStudio


class TestVideoAddresses:
    @pytest.mark.parametrize(
        "value", ["/data/upload/7/4e2c-a.mp4", "/data/local-files/?d=films/a.mp4", "//elsewhere.example/a.mp4"]
    )
    def test_a_path_is_label_studios_and_gets_the_token(self, client: LabelStudio, value: str) -> None:
        address = client.videos.address(value)
        assert address is not None
        assert address.url == client.url + value
        assert address.headers == {"Authorization": f"Token {LEGACY}"}

    @pytest.mark.parametrize("value", ["/studio/data/upload/7/4e2c-a.mp4", "/data/upload/7/4e2c-a.mp4"])
    def test_of_a_label_studio_below_a_path_it_holds_that_path_or_does_not(
        self, client: LabelStudio, value: str
    ) -> None:
        address = LabelStudio(f"{client.url}/studio", LEGACY).videos.address(value)
        assert address is not None
        assert address.url == f"{client.url}/studio/data/upload/7/4e2c-a.mp4"

    def test_so_does_its_full_address(self, client: LabelStudio) -> None:
        address = client.videos.address(f" {client.url}/data/upload/7/a.mp4 ")
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
    def test_no_other_host_gets_the_token(self, client: LabelStudio, value: str) -> None:
        value = value.format(host=client.url.removeprefix("http://"))
        address = client.videos.address(value)
        assert address is not None
        assert address.url == value
        assert address.headers == {}

    @pytest.mark.parametrize(
        "value",
        [
            "https://label.example/tasks/5/resolve/?fileuri=czM6Ly9i",
            "https://label.example/below/projects/7/presign/?fileuri=czM6Ly9i&x=1",
            "http://127.0.0.1:1/tasks/5/resolve/?fileuri=czM6Ly9i",
        ],
    )
    def test_what_label_studio_fetches_from_a_bucket_is_asked_for_where_it_is_reached(
        self, client: LabelStudio, value: str
    ) -> None:
        """It writes its public name into these; whatever that is, the token goes to LABEL_STUDIO_URL alone."""
        address = client.videos.address(value)
        assert address is not None
        assert address.url == client.url + value[value.index("/tasks" if "/tasks" in value else "/projects") :]
        assert address.headers == {"Authorization": f"Token {LEGACY}"}

    @pytest.mark.parametrize(
        "value",
        [
            "https://elsewhere.example/tasks/5/resolve/",
            "ftp://elsewhere.example/tasks/5/resolve/?fileuri=czM6Ly9i",
            "https://elsewhere.example/tasks/x/resolve/?fileuri=czM6Ly9i",
            "https://elsewhere.example/a.mp4?of=/tasks/5/resolve/?fileuri=czM6Ly9i",
        ],
    )
    def test_what_only_looks_like_that_stays_where_it_is(self, client: LabelStudio, value: str) -> None:
        address = client.videos.address(value)
        assert address is not None
        assert (address.url, address.headers) == (value, {})

    def test_under_its_public_name_label_studio_is_the_same(self, client: LabelStudio) -> None:
        public = LabelStudio(client.url, LEGACY, public="https://label.example/ls/")
        found = public.videos.address("https://label.example/ls/data/upload/7/a.mp4")
        assert found is not None
        assert (found.url, len(found.headers)) == (f"{client.url}/data/upload/7/a.mp4", 1)
        beside = public.videos.address("https://label.example/films/a.mp4")
        assert beside is not None
        assert (beside.url, len(beside.headers)) == ("https://label.example/films/a.mp4", 1)
        for other in ("http://label.example/ls/data/a.mp4", "https://label.example.org/ls/data/a.mp4"):
            elsewhere = public.videos.address(other)
            assert elsewhere is not None
            assert (elsewhere.url, elsewhere.headers) == (other, {})

    @pytest.mark.parametrize("value", [None, "", "  ", 5, ["a.mp4"], {"url": "a.mp4"}])
    def test_a_task_without_an_address_has_none(self, client: LabelStudio, value: object) -> None:
        assert client.videos.address(value) is None
