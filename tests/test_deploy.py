"""The files of deploy/ against the tools and the code that read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registry import __version__
from registry.cli import commands
from registry.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS = [each for each in yaml.safe_load_all((DEPLOY / "kubernetes/registry.yaml").read_text()) if each]
LARGEST_EXPOSURE = 16


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


def test_the_network_policy_of_the_kubernetes_manifests_admits_to_the_port_of_the_service_only() -> None:
    policy = of_kind("NetworkPolicy")["spec"]
    pod = of_kind("Deployment")["spec"]["template"]
    assert policy["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    assert rule["from"]
    (service_port,) = of_kind("Service")["spec"]["ports"]
    assert [port["port"] for port in rule["ports"]] == [service_port["targetPort"]]
    assert service_port["targetPort"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}


def limited_services() -> Iterator[Any]:
    """Give every service of a registry in a file for compose or a swarm, as its environment and its limit of memory."""
    for file in sorted(DEPLOY.glob("*/*.yml")):
        for name, service in (yaml.safe_load(file.read_text()).get("services") or {}).items():
            if service["image"] == "registry":
                limit = service.get("mem_limit") or service["deploy"]["resources"]["limits"]["memory"]
                yield pytest.param(service["environment"], limit.upper(), id=f"{file.name}-{name}")


@pytest.mark.parametrize(("environment", "limit"), list(limited_services()))
def test_where_memory_is_limited_by_a_number_the_workers_are_numbered_too(
    environment: dict[str, str], limit: str
) -> None:
    assert (environment["REGISTRY_HTTP_WORKERS"], limit) == ("4", "2G")


def test_the_pod_has_the_memory_and_the_workers_that_compose_has() -> None:
    (container,) = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert yaml.safe_load(of_kind("ConfigMap")["data"]["config.yml"])["http"]["workers"] == 4


def test_the_systemd_service_is_limited_and_outlives_a_worker() -> None:
    text = (DEPLOY / "systemd/registry.service").read_text()
    service = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line))
    assert int(service["LimitNOFILE"]) >= 65536
    assert int(service["TasksMax"]) >= 8192
    assert service["MemoryMax"].endswith("%")
    assert service["OOMPolicy"] == "continue"
    assert service["LimitCORE"] == "0"


def test_the_systemd_units_are_well_formed(tmp_path: Path) -> None:
    for name in ("registry.service", "registry.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/registry/bin/registry", "/bin/true"))
    done = analyze("verify", tmp_path / "registry.service", tmp_path / "registry.socket")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_systemd_service_is_hardened() -> None:
    done = analyze("security", "--offline=true", f"--threshold={LARGEST_EXPOSURE}", DEPLOY / "systemd/registry.service")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_labelled_with_the_version_of_the_registry() -> None:
    assert f"\nARG VERSION={__version__}\n" in (DEPLOY.parent / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/a.yml"], ["/bin/registry", "serve", "/a.yml"]),
        (["/a.yaml", "x"], ["/bin/registry", "serve", "/a.yaml", "x"]),
        (["serve", "/a.yml"], ["/bin/registry", "serve", "/a.yml"]),
        (["garbage-collect", "--dry-run", "/a.yml"], ["/bin/registry", "garbage-collect", "--dry-run", "/a.yml"]),
        (["--version"], ["/bin/registry", "--version"]),
        (["sh", "-c", "x y"], ["sh", "-c", "x y"]),
        ([".*"], [".*"]),
        *([[name, "x"], ["/bin/registry", name, "x"]] for name in commands.commands),
    ],
)
def test_the_entrypoint_has_the_argument_rules_of_registry_2(
    tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    text = (DEPLOY / "docker/entrypoint.sh").read_text()
    (tmp_path / "commands").write_text("".join(f"{name}\n" for name in commands.commands))
    assert "/opt/registry/share/commands" in text
    text = text.replace("/opt/registry/share/commands", str(tmp_path / "commands"))
    script = tmp_path / "entrypoint.sh"
    script.write_text(text.replace('exec "$@"', "printf '%s\\n' \"$@\""))
    said = subprocess.run(["/bin/sh", str(script), *arguments], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == expected
    assert os.access(DEPLOY / "docker/entrypoint.sh", os.X_OK)
