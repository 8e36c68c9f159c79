"""The pages about containers, worked through with a Docker engine: with host networking, because it has no bridge."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from tests.integration.api import Api
from tests.integration.base_image import base_name
from tests.integration.clients import finish, require_program, run
from tests.integration.image.containers import owned, serves
from tests.integration.image.test_compose import adapted
from tests.integration.pages import PROJECT, Reader, blocks
from tests.integration.servers import Server, configuration, free_port
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.engine import Engine

pytestmark = [pytest.mark.timeout(1500), pytest.mark.usefixtures("image")]

PAGES: Final = ("README.md", "containers.md", "deploying.md")
PEM: Final = re.compile(r"-----BEGIN.*?-----END[^\n]*\n", re.DOTALL)


@pytest.fixture
def hub(server: Server, samples: Samples) -> str:
    """A registry instead of the public one, with everything that the pages pull."""
    for name in ("ubuntu:16.04", "alpine"):
        source, target = f"oci:{samples.layout.path}:amd64", f"docker://{server.host}/{name}"
        run(require_program("skopeo"), "--insecure-policy", "copy", "--dest-tls-verify=false", source, target)
    return server.host


@pytest.fixture
def environment(engine: Engine, tmp_path: Path) -> dict[str, str]:
    return {"DOCKER_HOST": engine.socket, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(tmp_path / "docker")}


@pytest.fixture
def port(engine: Engine) -> Iterator[int]:
    """The port that containers of the page get; they are gone afterwards."""
    yield free_port()
    remove(engine, "registry")
    remove(engine, "registry-test")


def remove(engine: Engine, container: str) -> None:
    finish(engine.client, "--host", engine.socket, "container", "rm", "--force", "--volumes", container)


def places(hub: str, port: int, directory: Path) -> dict[str, str]:
    """Map the page's names to the test's: the host has one port for all, and images come from the hub."""
    return {
        r"docker pull ubuntu:16.04$": f"docker pull {hub}/ubuntu:16.04 && docker tag {hub}/ubuntu:16.04 ubuntu:16.04",
        r"REGISTRY_HTTP_ADDR=0.0.0.0:\d+": f"REGISTRY_HTTP_ADDR=0.0.0.0:{port}",
        r"-p (5001:5001|443:443)": "--network=host",
        r"-p 500[01]:5000": f"--network=host -e REGISTRY_HTTP_ADDR=0.0.0.0:{port}",
        r"docker run --rm": "docker run --network=host --rm",
        r"--publish published=443,target=443": "--network=host --detach --no-resolve-image",
        r"(localhost:5000|registry.example.com(:5000)?)/": f"localhost:{port}/",
        r"registry.example.com:5000": f"localhost:{port}",
        r"/mnt/registry": f"{directory}/mnt/registry",
    }


def test_deploying_page(
    engine: Engine, hub: str, port: int, environment: dict[str, str], swarm: str, tmp_path: Path
) -> None:
    authority = certificates(tmp_path)

    def before(command: str) -> None:
        if re.match("docker (run -d|service create)", command):
            remove(engine, "registry")
            remove(engine, "registry-test")

    def after(command: str) -> None:
        if re.match("docker (run -d|service create)", command):
            tls = authority.trusting_client() if "TLS_CERTIFICATE" in command else None
            wait_until(f"it serves: {command}", lambda: serves(Api("localhost", port, tls)), seconds=90)
            answer = Api("localhost", port, tls).get("/v2/")
            assert answer.status == (401 if "REGISTRY_AUTH" in command else 200)
            assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"

    reader = Reader(
        tmp_path,
        {**places(hub, port, tmp_path), r"\bnode1\b": swarm},
        answers={"Username: ?$": "testuser", "(Password|Repeat for confirmation): ?$": "testpassword"},
        environment=environment,
        before=before,
        after=after,
    )
    reader.work_through("deploying.md")
    (daemon,) = (block.text for block in blocks("deploying.md") if block.language == "json")
    options = run(engine.daemon, "--help")
    assert [key for key in json.loads(daemon) if f"--{key} list" not in options] == []


def certificates(directory: Path) -> Authority:
    """Write what an authority supplies: domain.crt, domain.key, and intermediate-certificates.pem."""
    authority = Authority.create(directory / "ca")
    pair = Authority.create(directory / "intermediate", parent=authority).issue("server")
    own, *intermediates = PEM.findall(pair.certificate.read_text())
    assert intermediates
    (directory / "domain.crt").write_text(own)
    (directory / "intermediate-certificates.pem").write_text("".join(intermediates))
    shutil.copy(pair.key, directory / "domain.key")
    (directory / "domain.key").chmod(0o644)
    return authority


@pytest.fixture
def swarm(engine: Engine) -> Iterator[str]:
    """The name of the only node of a swarm."""
    engine.docker("swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1:0")
    yield engine.docker("node", "ls", "--format", "{{.Hostname}}").strip()
    engine.docker("swarm", "leave", "--force")


def test_containers_page(engine: Engine, hub: str, port: int, environment: dict[str, str], tmp_path: Path) -> None:
    owned(tmp_path / "mnt/registry")
    (tmp_path / "certs").mkdir()
    file = adapted("compose.yml", tmp_path / "compose.yml", port)
    composed = f"docker-compose --project-name page --file {file}"

    def after(command: str) -> None:
        if re.match("docker( run -d|-compose.* up)", command):
            wait_until(f"it serves: {command}", lambda: serves(Api("localhost", port)), seconds=90)
            remove(engine, "registry")

    reader = Reader(
        tmp_path,
        {
            **places(hub, port, tmp_path),
            r"docker build": "docker build --network=host",
            r" \.$": f" {PROJECT}",
            r"debian@sha256:…": partial(by_digest, engine, hub),
            r"docker compose --file compose.yml": composed,
        },
        environment={**environment, "REGISTRY_HTTP_SECRET": "a long random string"},
        skipped={"systemctl": "systemd is not what runs this machine; test_systemd.py does what the unit does"},
        after=after,
    )
    try:
        reader.work_through("containers.md")
    finally:
        reader.type(f"{composed} down --volumes")


def by_digest(engine: Engine, hub: str) -> str:
    """Name the base image by its digest, which it has once it was pushed."""
    name = f"{hub}/debian"
    engine.docker("tag", base_name(), f"{name}:base")
    pushed = engine.docker("push", f"{name}:base")
    (digest,) = re.findall(r"digest: (sha256:[0-9a-f]{64})", pushed)
    return f"{name}@{digest}"


def test_readme(hub: str, port: int, environment: dict[str, str], tmp_path: Path) -> None:
    copy, config = tmp_path / "project", tmp_path / "config.yml"
    left = shutil.ignore_patterns(".*", "build", "data", "*.egg-info", "__pycache__")
    shutil.copytree(PROJECT, copy, ignore=left)
    config.write_text(yaml.safe_dump(configuration(tmp_path / "root", port, "secret")))
    reader = Reader(
        copy,
        {
            r"^make run$": f"make -C {PROJECT} run ADDR=127.0.0.1:{port} DATA={tmp_path}/data",
            r"docker pull alpine": f"docker pull {hub}/alpine && docker tag {hub}/alpine alpine",
            r"localhost:5000": hub,
            r"/opt/registry": f"{tmp_path}/opt",
            r"/etc/distribution/config.yml": str(config),
        },
        environment=environment,
        skipped={"make test": "the tests would run themselves"},
        serves=lambda: serves(Api("localhost", port)),
    )
    said = reader.work_through("README.md")
    assert list(said.values())[-1].strip() == "0 referrers in 0 repositories"
