"""The files of deploy/ against the tools and the code that read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.config import load

DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS = [each for each in yaml.safe_load_all((DEPLOY / "kubernetes/registry.yaml").read_text()) if each]
LARGEST_EXPOSURE = 20


def of_kind(kind: str) -> Any:
    (found,) = (each for each in MANIFESTS if each["kind"] == kind)
    return found


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["config-dev.yml", "config-example.yml", "docker/config.yml"])
def test_every_configuration_loads_without_a_warning(name: str) -> None:
    assert load(str(DEPLOY / name), {}).warnings == ()


def test_the_configuration_of_the_kubernetes_manifests_loads_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(of_kind("ConfigMap")["data"]["config.yml"])
    configuration = load(str(path), {"REGISTRY_HTTP_SECRET": "from the secret"})
    assert configuration.warnings == ()
    http = configuration.http
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["ports"][0]["containerPort"] == int(http.addr.removeprefix(":"))
    assert pod["terminationGracePeriodSeconds"] > http.draindelay_seconds + http.draintimeout_seconds
    assert container["volumeMounts"][0]["mountPath"] == configuration.storage.parameters["rootdirectory"]


def test_everything_in_the_kubernetes_manifests_finds_its_pods() -> None:
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("Service")["spec"]["selector"] == labels
    assert all(each["metadata"]["labels"] == labels for each in MANIFESTS)


def test_the_systemd_units_are_well_formed(tmp_path: Path) -> None:
    for name in ("registry.service", "registry.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/registry/bin/registry", "/bin/true"))
    done = analyze("verify", tmp_path / "registry.service", tmp_path / "registry.socket")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_systemd_service_is_hardened() -> None:
    done = analyze("security", "--offline=true", f"--threshold={LARGEST_EXPOSURE}", DEPLOY / "systemd/registry.service")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/a.yml"], ["/bin/registry", "serve", "/a.yml"]),
        (["/a.yaml", "x"], ["/bin/registry", "serve", "/a.yaml", "x"]),
        (["serve", "/a.yml"], ["/bin/registry", "serve", "/a.yml"]),
        (["garbage-collect", "--dry-run", "/a.yml"], ["/bin/registry", "garbage-collect", "--dry-run", "/a.yml"]),
        (["--version"], ["/bin/registry", "--version"]),
        (["sh", "-c", "x y"], ["sh", "-c", "x y"]),
    ],
)
def test_the_entrypoint_has_the_argument_rules_of_registry_2(
    tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    text = (DEPLOY / "docker/entrypoint.sh").read_text()
    script = tmp_path / "entrypoint.sh"
    script.write_text(text.replace('exec "$@"', "printf '%s\\n' \"$@\""))
    said = subprocess.run(["/bin/sh", str(script), *arguments], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == expected
    assert os.access(DEPLOY / "docker/entrypoint.sh", os.X_OK)
