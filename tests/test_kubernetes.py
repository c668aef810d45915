"""`examples/kubernetes`, validated against the API's own schemas, as a cluster would read it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from ml_backend.cli import app
from ml_backend.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "kubernetes"
VERSIONS = ("1.30", "1.34", "1.37")
CUSTOMIZED = ("Kustomization", "Component")


def documents(folder: Path, ending: str = "**/*.yaml") -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(ending)):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


OBJECTS = [each for each in documents(FOLDER) if each.get("kind") not in (*CUSTOMIZED, None)]
NAMED = {f"{each['kind']} {each['metadata']['name']}": each for each in OBJECTS}
OURS = ("Deployment web", "Deployment worker", "Deployment worker-gpu")


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = NAMED[name]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    [found] = pod(name)["containers"]
    return dict(found)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMED)
def test_every_object_is_what_the_api_takes(name: str, version: str) -> None:
    kubernetes_validate.validate(NAMED[name], version, strict=True)


def test_the_schemas_refuse_what_the_api_does_not_know() -> None:
    wrong = {**NAMED["Deployment web"], "spec": {**NAMED["Deployment web"]["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_file_is_named_by_a_kustomization() -> None:
    named = set()
    for path in FOLDER.glob("**/kustomization.yaml"):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        named |= {(path.parent / each).resolve() for each in (*told.get("resources", ()), *told.get("components", ()))}
    files = {path.resolve() for path in FOLDER.glob("*/*.yaml") if path.name != "kustomization.yaml"}
    assert files <= named
    assert all(each.exists() for each in named)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="There is no kubectl on this machine.")
def test_kubectl_renders_it(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "kustomization.yaml"
    file.write_text(file.read_text().replace("  # - gpu\n", "  - gpu\n"))
    told = subprocess.run(
        ["kubectl", "kustomize", str(file.parent)], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == 0, told.stderr
    rendered = list(yaml.safe_load_all(told.stdout))
    assert {f"{each['kind']} {each['metadata']['name']}" for each in rendered} == NAMED.keys()
    for each in rendered:
        kubernetes_validate.validate(each, VERSIONS[-1], strict=True)
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "coldblitz"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="There is no kubectl on this machine.")
def test_with_a_store_nothing_is_on_a_shared_disk(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "kustomization.yaml"
    file.write_text(file.read_text().replace("  # - gpu\n", "  - gpu\n").replace("  # - store #", "  - store #"))
    told = subprocess.check_output(["kubectl", "kustomize", str(file.parent)], text=True, timeout=60)
    rendered = {f"{each['kind']} {each['metadata']['name']}": each for each in yaml.safe_load_all(told)}
    assert NAMED.keys() - rendered.keys() == {"PersistentVolumeClaim data"}
    for name in OURS:
        kubernetes_validate.validate(rendered[name], VERSIONS[-1], strict=True)
        assert [each for each in rendered[name]["spec"]["template"]["spec"]["volumes"] if each["name"] == "data"] == [
            {"name": "data", "emptyDir": {"sizeLimit": "80Gi"}}
        ]
    said = rendered["ConfigMap coldblitz"]["data"]
    assert Settings.from_environment({**said, "LABEL_STUDIO_API_KEY": "x", "BASIC_AUTH_PASS": "x"}).store_url


@pytest.mark.parametrize("name", [*OURS, "StatefulSet redis"])
def test_nobody_is_root_or_writes_outside_of_the_volumes(name: str) -> None:
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["automountServiceAccountToken"] is False
    rights = container(name)["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert container(name)["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", OURS)
def test_ours_run_a_command_that_exists_with_settings_that_exist(name: str) -> None:
    program, command = container(name)["command"]
    assert program == "coldblitz"
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    sources = [reference["name"] for each in container(name)["envFrom"] for reference in each.values()]
    assert sources == ["coldblitz", "coldblitz"]
    told = {each["name"]: each["value"] for each in container(name).get("env", ())}
    environment = {**NAMED["ConfigMap coldblitz"]["data"], **told, "LABEL_STUDIO_API_KEY": "x", "BASIC_AUTH_PASS": "x"}
    settings = Settings.from_environment(environment)
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.device == ("cuda" if name.endswith("gpu") else "auto")
    assert set(environment) <= {each.upper() for each in Settings.__dataclass_fields__} | {"LOG_FORMAT"}


@pytest.mark.parametrize("name", OURS)
def test_the_probes_are_programs_that_parse_and_addresses_that_exist(name: str) -> None:
    routes = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))["paths"]
    probes = [probe for key, probe in container(name).items() if key.endswith("Probe")]
    assert probes
    for probe in probes:
        if "httpGet" in probe:
            assert probe["httpGet"]["path"] == "/health"
            assert "/health" in routes
        else:
            program, option, text = probe["exec"]["command"]
            assert (program, option) == ("python", "-c")
            compile(text, "probe", "exec")
    if name == "Deployment web":
        assert "/ready" in container(name)["readinessProbe"]["exec"]["command"][-1]


def test_only_the_gpu_worker_asks_for_a_gpu() -> None:
    asked = [name for name in OURS if "nvidia.com/gpu" in container(name)["resources"]["limits"]]
    assert asked == ["Deployment worker-gpu"]


def test_workers_are_as_many_as_the_queue_is_long() -> None:
    scaler = NAMED["HorizontalPodAutoscaler worker"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "worker"
    # One that the scaler counts must not have a number of its own: each `apply` would set it back.
    assert "replicas" not in NAMED["Deployment worker"]["spec"]
    [rule] = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["external"]
    assert scaler["metrics"][0]["external"]["metric"]["name"] == rule["name"]["as"]
    assert 'coldblitz_jobs{state="queued"}' in rule["seriesQuery"]
    assert "`coldblitz_jobs`" in (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
