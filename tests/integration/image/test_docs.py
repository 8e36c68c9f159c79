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
from tests.integration.clients import run
from tests.integration.image.containers import owned, serves
from tests.integration.image.page import certificates, places, remove
from tests.integration.image.test_compose import adapted
from tests.integration.pages import PROJECT, Reader, blocks
from tests.integration.servers import configuration
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine import Engine

pytestmark = [pytest.mark.timeout(1500), pytest.mark.usefixtures("image")]

PAGES: Final = ("README.md", "containers.md", "deploying.md")


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


def test_readme(engine: Engine, hub: str, port: int, environment: dict[str, str], tmp_path: Path) -> None:
    copy, config = tmp_path / "project", tmp_path / "config.yml"
    left = shutil.ignore_patterns(".*", "build", "data", "*.egg-info", "__pycache__")
    shutil.copytree(PROJECT, copy, ignore=left)
    config.write_text(yaml.safe_dump(configuration(tmp_path / "root", port, "secret")))
    owned(tmp_path / "mnt/registry")

    def after(command: str) -> None:
        if command.startswith("docker run"):
            wait_until(f"it serves: {command}", lambda: serves(Api("localhost", port)), seconds=90)
            remove(engine, "registry")

    reader = Reader(
        copy,
        {
            r"docker build": "docker build --network=host",
            r"(?<=--tag registry) \.$": f" {PROJECT}",
            r"-p 5000:5000": f"--network=host -e REGISTRY_HTTP_ADDR=0.0.0.0:{port}",
            r"/mnt/registry": f"{tmp_path}/mnt/registry",
            r"^make run$": f"make -C {PROJECT} run ADDR=127.0.0.1:{port} DATA={tmp_path}/data",
            r"docker pull alpine": f"docker pull {hub}/alpine && docker tag {hub}/alpine alpine",
            r"localhost:5000": hub,
            r"/opt/registry": f"{tmp_path}/opt",
            r"/etc/distribution/config.yml": str(config),
        },
        environment=environment,
        skipped={"make test": "the tests would run themselves"},
        after=after,
        serves=lambda: serves(Api("localhost", port)),
    )
    said = reader.work_through("README.md")
    assert list(said.values())[-1].strip() == "0 referrers in 0 repositories"
