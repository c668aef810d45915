"""What may be set, how, and what is said when it is set wrongly."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from ml_backend.errors import SettingsError
from ml_backend.settings import Settings, notes, own_address

NEEDED = {"LABEL_STUDIO_URL": "http://localhost:8080", "LABEL_STUDIO_API_KEY": "the-token"}


class TestEnvironment:
    def test_two_variables_are_enough(self) -> None:
        settings = Settings.from_environment(NEEDED)
        assert (settings.label_studio_url, settings.port, settings.host) == ("http://localhost:8080", 9090, "127.0.0.1")
        assert settings.redis_url is None
        assert settings.data_dir == Path("data").absolute()

    def test_every_variable_is_read(self) -> None:
        settings = Settings.from_environment(
            {
                "LABEL_STUDIO_URL": " https://studio.example/ ".strip(),
                "LABEL_STUDIO_API_KEY": " the-token\n",
                "PORT": "9191",
                "HOST": "0.0.0.0",
                "DATA_DIR": "/srv/data",
                "REDIS_URL": "redis://redis:6379/0",
                "BASIC_AUTH_USER": "studio",
                "BASIC_AUTH_PASS": "secret",
                "ALLOW_NO_LOGIN": "true",
                "VIDEO_HOSTS": "files.example, 10.1.2.3 10.2.0.0/16",
                "BACKBONE": "resnet18",
                "BACKBONE_WEIGHTS": "none",
                "BACKBONE_LICENSE": "cc-by-nc-4.0",
                "DETECTOR_LICENSE": "agpl-3.0",
                "DEVICE": "cpu",
                "EMBEDDING_RUNTIME": "f32",
                "CUSTOM_MODEL": "/srv/model.py",
                "TEXT_MODEL": "/srv/clip",
                "WORKERS": "3",
                "VIDEO_PART_MINUTES": "20",
                "CACHE_MAX_BYTES": "1000",
                "MAX_VIDEO_BYTES": "100",
                "LABEL_STUDIO_HOST": "https://label.example/",
                "PUBLIC_HOSTS": "coldblitz.example",
                "STORE_URL": "s3://bucket/coldblitz/",
            }
        )
        assert settings.label_studio_url == "https://studio.example"
        assert settings.label_studio_api_key == "the-token"
        assert settings.data_dir == Path("/srv/data")
        unset = Settings("", "")
        changed = [
            field.name for field in fields(Settings) if getattr(settings, field.name) != getattr(unset, field.name)
        ]
        assert changed == [field.name for field in fields(Settings)]

    def test_videos_may_be_kept_whole(self) -> None:
        assert Settings.from_environment({**NEEDED, "VIDEO_PART_MINUTES": "0"}).video_part_minutes == 0
        with pytest.raises(SettingsError, match="VIDEO_PART_MINUTES"):
            Settings.from_environment({**NEEDED, "VIDEO_PART_MINUTES": "-1"})

    def test_an_empty_variable_is_as_good_as_none(self) -> None:
        empty = dict.fromkeys(("PORT", "HOST", "REDIS_URL", "BASIC_AUTH_USER", "BASIC_AUTH_PASS", "DEVICE"), "")
        assert Settings.from_environment({**NEEDED, **empty}) == Settings.from_environment(NEEDED)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"LABEL_STUDIO_URL": ""}, "LABEL_STUDIO_URL is not set"),
            ({"LABEL_STUDIO_URL": "localhost:8080"}, "LABEL_STUDIO_URL"),
            ({"LABEL_STUDIO_URL": "http://"}, "LABEL_STUDIO_URL"),
            ({"LABEL_STUDIO_URL": "http://[x"}, "LABEL_STUDIO_URL"),
            ({"LABEL_STUDIO_URL": "https://secret@studio.example"}, "LABEL_STUDIO_URL holds a login"),
            ({"LABEL_STUDIO_API_KEY": " "}, "LABEL_STUDIO_API_KEY is not set"),
            ({"PORT": "http"}, "PORT"),
            ({"PORT": "0"}, "PORT"),
            ({"PORT": "65536"}, "PORT"),
            ({"PORT": "²"}, "PORT"),
            ({"WORKERS": "-1"}, "WORKERS"),
            ({"WORKERS": "1.5"}, "WORKERS"),
            ({"CACHE_MAX_BYTES": "9" * 5000}, "CACHE_MAX_BYTES"),
            ({"ALLOW_NO_LOGIN": "perhaps"}, "ALLOW_NO_LOGIN"),
            ({"VIDEO_HOSTS": "files.example,http://files.example/"}, "VIDEO_HOSTS has 'http://files.example/'"),
            ({"VIDEO_HOSTS": "10.0.0.0/33"}, "VIDEO_HOSTS"),
            ({"VIDEO_HOSTS": "10.0.0.256"}, "VIDEO_HOSTS"),
            ({"BASIC_AUTH_USER": "studio"}, "BASIC_AUTH_PASS"),
            ({"BASIC_AUTH_USER": "studio", "BASIC_AUTH_PASS": "secret€"}, "character that Label Studio cannot send"),
            ({"BASIC_AUTH_USER": "a:b", "BASIC_AUTH_PASS": "secret"}, "BASIC_AUTH_USER contains a colon"),
            ({"PUBLIC_HOSTS": "http://coldblitz.example"}, "PUBLIC_HOSTS"),
            ({"BASIC_AUTH_PASS": "secret"}, "BASIC_AUTH_USER"),
        ],
    )
    def test_what_is_wrong_is_named_with_what_to_do(self, change: dict[str, str], named: str) -> None:
        with pytest.raises(SettingsError, match=named) as refused:
            Settings.from_environment({**NEEDED, **change})
        assert refused.value.remedy
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("copied", "read"),
        [
            ("https://studio.example/projects/1/data?tab=2", "https://studio.example"),
            ("https://studio.example/projects/1", "https://studio.example"),
            ("https://studio.example/projects/", "https://studio.example"),
            ("https://studio.example/user/login/?next=/projects/", "https://studio.example"),
            ("http://studio:8080/organization/", "http://studio:8080"),
            ("https://example.org/label/projects/12/settings/ml#x", "https://example.org/label"),
            (" https://example.org/label/?x=1 ", "https://example.org/label"),
            ("https://example.org/projectsroom/label", "https://example.org/projectsroom/label"),
        ],
    )
    def test_label_studios_address_may_be_that_of_one_of_its_pages(self, copied: str, read: str) -> None:
        environment = {**NEEDED, "LABEL_STUDIO_URL": copied}
        assert Settings.from_environment(environment).label_studio_url == read
        assert notes(environment) == ([f"LABEL_STUDIO_URL was read as {read}."] if copied != read else [])

    def test_names_that_other_backends_use_are_understood_and_that_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("the-token\n")
        environment = {
            "LABEL_STUDIO_HOST": "https://studio.example",
            "LABEL_STUDIO_ACCESS_TOKEN_FILE": str(tmp_path / "token"),
            "MODEL_DIR": "/srv/models",
        }
        settings = Settings.from_environment(environment)
        assert (settings.label_studio_url, settings.label_studio_host) == ("https://studio.example", None)
        assert (settings.label_studio_api_key, settings.data_dir) == ("the-token", Path("/srv/models"))
        assert [note.partition(" is used as ")[::2] for note in notes(environment)] == [
            ("LABEL_STUDIO_HOST", "LABEL_STUDIO_URL, which is not set."),
            ("LABEL_STUDIO_ACCESS_TOKEN", "LABEL_STUDIO_API_KEY, which is not set."),
            ("MODEL_DIR", "DATA_DIR, which is not set."),
        ]

    def test_ours_go_first(self) -> None:
        environment = {**NEEDED, "DATA_DIR": "/srv/data", "LABEL_STUDIO_ACCESS_TOKEN": "another", "MODEL_DIR": "/srv/x"}
        settings = Settings.from_environment(environment)
        assert (settings.label_studio_api_key, settings.data_dir) == ("the-token", Path("/srv/data"))
        assert notes(environment) == [
            "LABEL_STUDIO_ACCESS_TOKEN is ignored, since LABEL_STUDIO_API_KEY is set.",
            "MODEL_DIR is ignored, since DATA_DIR is set.",
        ]

    def test_what_servers_of_other_backends_make_of_workers_and_threads_is_explained(self) -> None:
        (note,) = notes({**NEEDED, "WORKERS": "2", "THREADS": "8"})
        assert note.startswith("THREADS is ignored")
        assert "WORKERS is the number of processes that train and predict" in note

    def test_beside_the_address_the_host_is_label_studios_public_name(self) -> None:
        """Label Studio itself calls it so: under it people open its pages, and it writes it into addresses of videos."""
        settings = Settings.from_environment({**NEEDED, "LABEL_STUDIO_HOST": "https://label.example/"})
        assert settings.label_studio_url == "http://localhost:8080"
        assert settings.label_studio_host == settings.label_studio_pages == "https://label.example"
        assert Settings.from_environment(NEEDED).label_studio_pages == "http://localhost:8080"

    def test_a_host_that_is_no_address_is_ignored_as_label_studio_does(self) -> None:
        environment = {**NEEDED, "LABEL_STUDIO_HOST": "label.example"}
        assert Settings.from_environment(environment) == Settings.from_environment(NEEDED)
        assert notes(environment) == ["LABEL_STUDIO_HOST is ignored, since it is not an http(s) address."]
        assert notes(NEEDED) == []

    def test_secrets_never_show(self) -> None:
        secrets = {"BASIC_AUTH_USER": "studio", "BASIC_AUTH_PASS": "secret", "REDIS_URL": "redis://:secret@redis/0"}
        shown = repr(Settings.from_environment({**NEEDED, **secrets}))
        assert "the-token" not in shown
        assert "secret" not in shown


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://127.0.0.1:9090"),
        ({"PORT": "9191"}, "http://127.0.0.1:9191"),
        ({"HOST": "0.0.0.0", "PORT": ""}, "http://127.0.0.1:9090"),
        ({"HOST": "::"}, "http://[::1]:9090"),
        ({"HOST": "10.1.2.3"}, "http://10.1.2.3:9090"),
    ],
)
def test_where_the_backend_of_this_machine_answers(environment: dict[str, str], address: str) -> None:
    assert own_address(environment) == address


SECRETS = ["LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS", "REDIS_URL"]


class TestSecretsInFiles:
    """As container platforms hand them in: `LABEL_STUDIO_API_KEY_FILE=/run/secrets/token`."""

    @pytest.mark.parametrize("name", SECRETS)
    def test_each_may_be_in_a_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "secret").write_text("from-the-file\n")
        given = {
            **NEEDED,
            "BASIC_AUTH_USER": "studio",
            "BASIC_AUTH_PASS": "x",
            f"{name}_FILE": str(tmp_path / "secret"),
        }
        given.pop(name, None)
        settings = Settings.from_environment(given)
        assert getattr(settings, name.lower()) == "from-the-file"
        assert "from-the-file" not in repr(settings)

    @pytest.mark.parametrize("name", SECRETS)
    def test_not_in_two_places(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "secret").write_text("from-the-file")
        with pytest.raises(SettingsError, match=f"{name}_FILE") as refused:
            Settings.from_environment({**NEEDED, name: "from-outside", f"{name}_FILE": str(tmp_path / "secret")})
        assert "from-" not in str(refused.value)

    @pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
    def test_a_file_that_holds_none_is_named(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "secret").write_bytes(content)
        with pytest.raises(SettingsError, match="REDIS_URL_FILE"):
            Settings.from_environment({**NEEDED, "REDIS_URL_FILE": str(tmp_path / "secret")})


class TestSettingsInAFolder:
    """A file each, called like the variable, as a volume of secrets is mounted."""

    def test_what_the_environment_does_not_set_is_read_there(self, tmp_path: Path) -> None:
        (tmp_path / "LABEL_STUDIO_API_KEY").write_text("from-the-folder\n")
        (tmp_path / "WORKERS").write_text("3")
        (tmp_path / "PORT").write_text("9999")
        given = {
            "SETTINGS_DIR": str(tmp_path),
            "LABEL_STUDIO_URL": NEEDED["LABEL_STUDIO_URL"],
            "PORT": "9091",
            "WORKERS": "",
        }
        settings = Settings.from_environment(given)
        assert settings.label_studio_api_key == "from-the-folder"
        assert (settings.workers, settings.port) == (3, 9091)

    def test_a_secret_in_a_file_of_its_own_counts_more(self, tmp_path: Path) -> None:
        (tmp_path / "LABEL_STUDIO_API_KEY").write_text("from-the-folder")
        (tmp_path / "own").write_text("from-its-own-file")
        given = {**NEEDED, "SETTINGS_DIR": str(tmp_path), "LABEL_STUDIO_API_KEY_FILE": str(tmp_path / "own")}
        del given["LABEL_STUDIO_API_KEY"]
        assert Settings.from_environment(given).label_studio_api_key == "from-its-own-file"

    def test_a_folder_that_is_not_there_yet_holds_nothing(self, tmp_path: Path) -> None:
        given = {**NEEDED, "SETTINGS_DIR": str(tmp_path / "none")}
        assert Settings.from_environment(given) == Settings.from_environment(NEEDED)

    def test_a_file_without_anything_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "REDIS_URL").touch()
        with pytest.raises(SettingsError, match=r"SETTINGS_DIR has .*REDIS_URL, which is empty"):
            Settings.from_environment({**NEEDED, "SETTINGS_DIR": str(tmp_path)})
