"""The containers, built and run: what is in the image, the demo's loop through a Label Studio beside them, deaths, ends, and an upgrade.

Skipped where no Docker engine answers; `make containers` starts one. The tests stand in the order in which they are run.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Installation, clips_in
from engine import ROOT, Compose, build, docker, eventually, has, layer_sizes, layers, run, studio_of, web_of

from ml_backend.commands.compose import BACKEND
from ml_backend.demo.clips import LABELS
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_config, right_frames, upload_tasks
from ml_backend.demo.process import free_port

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3000)]
Say = Callable[[str], None]

SERVICES = ("web", "worker", "redis", "label-studio")
MEGABYTE = 10**6
# What containers of earlier releases are called; `make containers` builds one.
OLD_IMAGE = os.environ.get("COLDBLITZ_OLD_IMAGE", "")
OLD_FOLDER = Path(os.environ.get("COLDBLITZ_OLD_FOLDER", ROOT))


class TestImage:
    def test_it_is_at_most_two_gigabytes_where_torch_is_without_cuda(self, image: str, say: Say) -> None:
        sizes = layer_sizes(image)
        for what, size in sizes.items():
            say(f"  {size / MEGABYTE:7.1f} MB {what[:90]}")
        whole = int(docker("image", "inspect", "--format={{.Size}}", image))
        say(f"The image has {whole / MEGABYTE:.0f} MB.")
        if "nvidia" in docker("run", "--rm", image, "ls", "/srv/coldblitz/lib/python3.11/site-packages").split():
            cuda = ("nvidia", "cuda", "torch")
            found = docker("run", "--rm", image, "du", "--summarize", "--block-size=1MB", *_packages(*cuda))
            say(f"It has torch with CUDA, since TORCH_INDEX was empty: {found.split()} MB of it.")
            pytest.skip("TORCH_INDEX is empty, so torch is the one for GPUs.")
        assert whole <= 2000 * MEGABYTE

    def test_who_runs_in_it_is_not_root_and_finds_no_compiler(self, image: str) -> None:
        program = "id -u; for name in cc gcc g++ clang make ld; do command -v $name; done; true"
        assert docker("run", "--rm", image, "sh", "-c", program).split() == ["10001"]

    def test_every_module_of_ours_finds_what_it_imports(self, image: str) -> None:
        program = (
            "import importlib, pkgutil, ml_backend, sampling\n"
            "for package in (ml_backend, sampling):\n"
            "    for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
            "        each.name == 'ml_backend._wsgi' or importlib.import_module(each.name)\n"
            "import torchvision, openvino, scipy.stats, pandas, pyarrow.parquet, sympy, networkx\n"
        )
        docker("run", "--rm", "--read-only", "--tmpfs=/tmp", image, "python", "-c", program)

    def test_a_change_of_our_code_is_a_layer_of_a_few_megabytes(self, image: str, say: Say, tmp_path: Path) -> None:
        for name in ("ml_backend", "sampling", "requirements"):
            shutil.copytree(ROOT / name, tmp_path / name)
        for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(ROOT / name, tmp_path / name)
        with (tmp_path / "ml_backend" / "wording.py").open("a") as file:
            print("# one line more", file=file)
        begun = time.monotonic()
        build("cpu", "coldblitz:changed", tmp_path)
        before, after = layers(image), layers("coldblitz:changed")
        assert before[:-1] == after[:-1]
        assert before[-1] != after[-1]
        size = next(iter(layer_sizes("coldblitz:changed").values()))
        say(
            f"One line changed: built in {time.monotonic() - begun:.0f} s, the one new layer has {size / MEGABYTE:.1f} MB."
        )
        assert size < 10 * MEGABYTE
        docker("image", "rm", "coldblitz:changed")


def _packages(*names: str) -> list[str]:
    return [f"/srv/coldblitz/lib/python3.11/site-packages/{name}" for name in names]


class TestBesideLabelStudio:
    def test_one_project_is_connected_and_tells_of_its_events(self, installation: Installation) -> None:
        [entry] = installation.studio.get("/api/ml/", project=installation.loop.project)
        assert entry["url"].rstrip("/") == BACKEND
        assert entry["readable_state"] == "Connected"
        assert entry["auth_method"] == "BASIC_AUTH"
        hooks = eventually(
            "webhook", lambda: installation.studio.get("/api/webhooks/", project=installation.loop.project) or None
        )
        assert [hook["url"] for hook in hooks] == [f"{BACKEND}/webhook"]

    def test_the_name_that_upstream_uses_leads_to_the_backend_too(self, installation: Installation) -> None:
        program = (
            "import urllib.request; print(urllib.request.urlopen('http://ml-backend:9090/health', timeout=5).status)"
        )
        studio = installation.compose.container("label-studio")["Id"]
        assert docker("exec", studio, "python3", "-c", program).strip() == "200"

    def test_the_log_says_where_to_go_and_how_to_get_in(self, installation: Installation) -> None:
        assert installation.studio.url in installation.told
        assert installation.studio.password in installation.told
        assert installation.studio.token not in installation.told
        form = f"email={installation.studio.user}&password={installation.studio.password}"
        # It leads on who may come in.
        assert self._submit(installation, "/user/login/", form) == "302"
        assert self._submit(installation, "/user/login/", form + "x") == "200"

    def test_strangers_cannot_sign_up(self, installation: Installation) -> None:
        form = "email=stranger@example.com&password=a-long-password"
        assert self._submit(installation, "/user/signup/", form) == "403"

    def _submit(self, installation: Installation, page: str, form: str) -> str:
        """The status of Label Studio's answer to the form on one of its pages, as a browser sends it."""
        program = (
            "jar=$(mktemp); page=$(curl --silent --cookie-jar $jar $1$3); "
            'token=$(echo "$page" | sed -n \'s/.*csrfmiddlewaretoken" value="\\([^"]*\\).*/\\1/p\' | head -1); '
            'curl --silent --output /dev/null --write-out "%{http_code}" --cookie $jar --referer $1 '
            '--data "csrfmiddlewaretoken=$token&$2" $1$3; rm $jar'
        )
        return run("sh", "-c", program, "sh", installation.studio.url, form, page).stdout.strip()

    def test_all_of_ours_are_without_rights(self, installation: Installation) -> None:
        for service in ("web", "worker"):
            host = installation.compose.container(service)["HostConfig"]
            assert host["ReadonlyRootfs"] is True
            assert host["CapDrop"] == ["ALL"]

    def test_the_loop_of_the_demo_goes_through(self, installation: Installation, say: Say) -> None:
        loop, begun = installation.loop, time.monotonic()
        suggested = eventually("suggestions in every video", lambda: loop.regions(SUGGESTIONS))
        say(
            f"{sum(map(len, suggested.values()))} suggestions in {len(suggested)} videos after {time.monotonic() - begun:.0f} s."
        )
        clip_of = dict(zip(loop.tasks, installation.clips, strict=True))
        labeled = {task: loop.answer(task, clip_of[task]).frames for task in loop.tasks[:2]}
        version = eventually("trained model", loop.trained_version)
        timelines = eventually("timelines", lambda: loop.regions(version))
        counts = [right_frames(timelines[task], clip_of[task], labeled.get(task, ())) for task in loop.tasks]
        right, asked = (sum(column) for column in zip(*counts, strict=True))
        say(
            f"{version}: {right} of {asked} frames that nobody labeled are right, after {time.monotonic() - begun:.0f} s."
        )
        assert right / asked >= 0.95


class TestDeaths:
    @pytest.mark.parametrize("service", SERVICES)
    def test_who_is_killed_comes_back_and_nothing_is_lost(
        self, installation: Installation, say: Say, service: str
    ) -> None:
        loop, compose = installation.loop, installation.compose
        eventually("idle backend", lambda: installation.web.idle)
        versions = installation.studio.get(f"/api/projects/{loop.project}/model-versions/")
        clip = installation.clips[SERVICES.index(service)]
        # A video is under way when it happens.
        [task] = upload_tasks(installation.studio, loop.project, [(clip.path, clip.fps)])
        began = compose.container(service)["State"]["StartedAt"]
        compose.crash(service)
        begun = time.monotonic()
        eventually(f"new start of {service}", lambda: compose.container(service)["State"]["StartedAt"] != began)
        eventually(f"healthy {service}", lambda: compose.is_healthy(service))
        healthy = time.monotonic() - begun
        version = eventually("shown version", loop.shown_version)
        alone = Loop(installation.studio, installation.web, loop.project, (task,))
        # Its first suggestions give way to what is predicted of it.
        eventually(f"timeline of {version}", lambda: alone.regions(version), 360)
        whole = time.monotonic() - begun
        say(
            f"{service} killed: healthy again after {healthy:.0f} s, the new video has its timeline after {whole:.0f} s."
        )
        now = installation.studio.get(f"/api/projects/{loop.project}/model-versions/")
        assert all(now.get(name, 0) >= count for name, count in versions.items())


class TestEnds:
    def test_compose_ends_each_within_its_grace_also_the_worker_that_works(
        self, installation: Installation, say: Say
    ) -> None:
        loop, compose = installation.loop, installation.compose
        clip = installation.clips[0]
        upload_tasks(installation.studio, loop.project, [(clip.path, clip.fps)] * 4)
        eventually("running job", lambda: bool(installation.web.jobs()["running"]), 60)
        for service, grace in (("worker", 120), ("web", 10), ("redis", 10)):
            there, begun = compose.container(service), time.monotonic()
            docker("stop", f"--time={grace}", there["Id"], seconds=grace + 30)
            took, code = time.monotonic() - begun, compose.container(service)["State"]["ExitCode"]
            say(f"{service} ends {took:.1f} s after `docker stop` with code {code}.")
            assert code == 0, compose.logs(service)
            assert took < grace
        compose("up", "--detach", "--no-build")
        eventually("healthy worker", lambda: compose.is_healthy("worker"))
        eventually("all of it done", lambda: installation.web.idle, 360)

    def test_serve_alone_is_healthy_on_a_read_only_root_and_ends(self, image: str, say: Say) -> None:
        settings = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "x", "BACKBONE_WEIGHTS": "none"}
        login = {"BASIC_AUTH_USER": "a", "BASIC_AUTH_PASS": "b"}
        environment = [f"--env={name}={value}" for name, value in {**settings, **login}.items()]
        limits = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--init", "--health-interval=2s")
        name = docker("run", "--detach", *limits, *environment, image).strip()
        try:
            state = "{{.State.Health.Status}}"
            eventually("healthy serve", lambda: docker("inspect", f"--format={state}", name).strip() == "healthy", 90)
            begun = time.monotonic()
            docker("stop", name)
            took, code = time.monotonic() - begun, docker("inspect", "--format={{.State.ExitCode}}", name).strip()
            say(f"serve ends {took:.1f} s after `docker stop` with code {code}.")
            assert (code, took < 10) == ("0", True), docker("logs", name)
        finally:
            docker("rm", "--force", "--volumes", name)

    def test_half_of_another_label_studio_is_refused_with_what_is_missing(self, image: str) -> None:
        compose = Compose("coldblitz-half", {"LABEL_STUDIO_URL": "http://studio.example", "PORT": str(free_port())})
        try:
            compose("up", "--detach", "--no-build", check=False)
            assert "LABEL_STUDIO_API_KEY is not" in compose.logs("settings")
        finally:
            compose("down", "--volumes", check=False)


@pytest.mark.skipif(
    not OLD_IMAGE, reason="COLDBLITZ_OLD_IMAGE names no image of an earlier release; `make containers` builds one."
)
class TestUpgrade:
    def test_what_an_earlier_release_kept_is_used_on(self, image: str, say: Say, tmp_path: Path) -> None:
        assert has(OLD_IMAGE)
        port, studio_port = free_port(), free_port()
        environment = {"PORT": str(port), "STUDIO_PORT": str(studio_port)}
        new = Compose("coldblitz-upgrade", environment, profiles=["studio"])
        new("down", "--volumes", "--remove-orphans")
        try:
            new("up", "--detach", "--no-build", "label-studio", seconds=900)
            eventually("healthy label-studio", lambda: new.is_healthy("label-studio"))
            studio, login = studio_of(new, studio_port), ("labelstudio", "chosen")
            own = {
                **environment,
                "LABEL_STUDIO_URL": "http://label-studio:8080",
                "LABEL_STUDIO_HOST": studio.url,
                "LABEL_STUDIO_API_KEY": studio.token,
                "BASIC_AUTH_PASS": login[1],
            }
            old = Compose("coldblitz-upgrade", own, file=tmp_path / "docker-compose.yml")
            text = (OLD_FOLDER / "docker-compose.yml").read_text()
            old.file.write_text(text.replace("image: coldblitz\n", f"image: {OLD_IMAGE}\n"))
            old("up", "--detach", "--no-build")
            for service in ("web", "worker"):
                eventually(f"healthy {service}", lambda service=service: old.is_healthy(service))  # type: ignore[misc]
            web = web_of(old, port, login)
            project = studio.create_project("Upgrade", label_config(LABELS))
            with_login = {"auth_method": "BASIC_AUTH", "basic_auth_user": login[0], "basic_auth_pass": login[1]}
            # The host, as containers see it: a name without a dot would get no webhook.
            query = "{{(index .IPAM.Config 0).Gateway}}"
            host = docker("network", "inspect", f"--format={query}", "coldblitz-upgrade_default").strip()
            studio.connect(project, f"http://{host}:{port}", **with_login)
            clips = clips_in(tmp_path / "clips")
            tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
            loop = Loop(studio, web, project, tuple(tasks))
            eventually("suggestions", lambda: loop.regions(SUGGESTIONS))
            for task, clip in list(zip(tasks, clips, strict=True))[:2]:
                loop.answer(task, clip)
            version = eventually("trained model", loop.trained_version)
            before = eventually("timelines", lambda: loop.regions(version))
            say(f"The old image has trained {version}.")

            # Only the image and the compose file are others: the same volumes, the same variables.
            now = Compose("coldblitz-upgrade", own)
            begun = time.monotonic()
            now("up", "--detach", "--no-build")
            for service in ("web", "worker"):
                eventually(f"healthy {service}", lambda service=service: now.is_healthy(service))  # type: ignore[misc]
            # A release that learns otherwise trains anew by itself; until then the timelines of the old one stay.
            shown = eventually("model after the upgrade", loop.trained_version)
            after = eventually("timelines after the upgrade", lambda: loop.regions(shown))
            say(f"Upgraded: {shown} is shown after {time.monotonic() - begun:.0f} s.")
            assert now.container("worker")["Config"]["Image"] == image != OLD_IMAGE
            assert set(after) == set(before)
            assert int(shown.rpartition("-v")[2]) >= int(version.rpartition("-v")[2])
            assert not web.jobs()["failed"]
            loop.answer(tasks[2], clips[2])
            newer = eventually("newer model", lambda: loop.trained_version(shown))
            timelines = eventually("timelines", lambda: loop.regions(newer))
            counts = [right_frames(timelines[task], clip) for task, clip in zip(tasks, clips, strict=True)]
            right, asked = (sum(column) for column in zip(*counts, strict=True))
            say(f"The new image has trained {newer} from three videos: {right} of {asked} frames are right.")
            assert right / asked >= 0.95
        finally:
            new("down", "--volumes", "--remove-orphans", check=False)
