"""compose.cluster.yml as it is, except for host networking (there are no bridges here) and thus for addresses."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.drivers.s3.servers import weed_port
from tests.integration.api import Api
from tests.integration.base_image import PROJECT
from tests.integration.image.compose import compose
from tests.integration.image.containers import push_and_pull, serves
from tests.integration.image.programs import import_nginx, import_redis, import_seaweedfs
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine import Engine

pytestmark = [pytest.mark.timeout(1500), pytest.mark.usefixtures("image")]

START_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Cluster:
    """The services of the file, through nginx and directly."""

    front: Api
    registries: list[Api]


@pytest.fixture(scope="module")
def programs(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("programs")
    for make in (import_nginx, import_redis, import_seaweedfs):
        make(engine, directory)


@pytest.fixture
def cluster(engine: Engine, programs: None, tmp_path: Path) -> Iterator[Cluster]:
    del programs
    authority = Authority.create(tmp_path / "authority")
    port, registries = free_port(), [free_port(), free_port()]
    write_certificates(authority, tmp_path / "certs")
    (tmp_path / "nginx.conf").write_text(nginx_configuration(port, registries))
    file = tmp_path / "compose.yml"
    file.write_text(yaml.safe_dump(on_the_host(registries)))
    compose(engine, file, "up", "-d")
    try:
        running = Cluster(
            Api("localhost", port, authority.trusting_client()), [Api("127.0.0.1", each) for each in registries]
        )
        for api in (*running.registries, running.front):
            wait_until("it serves", lambda: serves(api), seconds=START_SECONDS)  # noqa: B023
        yield running
    finally:
        print(compose(engine, file, "logs", "--no-color")[-20_000:])
        compose(engine, file, "down", "--volumes")


def write_certificates(authority: Authority, directory: Path) -> None:
    directory.mkdir()
    pair = authority.issue("nginx")
    shutil.copy(pair.certificate, directory / "domain.crt")
    shutil.copy(pair.key, directory / "domain.key")


def nginx_configuration(port: int, registries: list[int]) -> str:
    """Do what the comment of the compose file says."""
    text = (PROJECT / "deploy/nginx/registry.conf").read_text()
    lines = "\n".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in registries)
    for old, new in {
        "server unix:/run/registry/registry.sock fail_timeout=0;": lines,
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "    listen [::]:443 ssl http2;\n": "",
        "registry.example.com": "localhost",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def on_the_host(registries: list[int]) -> Any:
    """Give the file with free ports of this machine instead of the services' own addresses."""
    redis, s3 = free_port(), free_port()
    text = (PROJECT / "deploy/compose/compose.cluster.yml").read_text()
    for old, new in {"http://seaweedfs:8333": f"http://127.0.0.1:{s3}", "redis:6379": f"127.0.0.1:{redis}"}.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    document = yaml.safe_load(text)
    services = document["services"]
    for service in services.values():
        service.pop("build", None)
        service.pop("ports", None)
        service["network_mode"] = "host"
    for name, port in zip(("one", "two"), registries, strict=True):
        services[name]["environment"] = services[name]["environment"] | {"REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}"}
    services["redis"]["command"] += ["--bind", "127.0.0.1", "--port", str(redis)]
    services["seaweedfs"]["command"] += [f"-s3.port={s3}", *other_ports_of_seaweedfs()]
    document["version"] = "3.8"
    return document


def other_ports_of_seaweedfs() -> list[str]:
    named = [f"-{name}.port={weed_port()}" for name in ("master", "volume", "filer", "admin")]
    return ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", *named]


def test_docker_pushes_and_pulls_through_the_cluster_and_when_one_registry_is_stopped(
    engine: Engine, cluster: Cluster, busybox: str
) -> None:
    host = f"127.0.0.1:{cluster.front.port}"
    push_and_pull(engine, busybox, host)
    for number, registry in enumerate(cluster.registries):
        digest = cluster.front.push_blob("compose/cluster", bytes([number]))
        engine.docker("container", "stop", f"page_{('one', 'two')[number]}_1")
        assert not serves(registry)
        assert cluster.front.blob("compose/cluster", digest).body == bytes([number])
        push_and_pull(engine, busybox, f"{host}/without/{number}")
        engine.docker("container", "start", f"page_{('one', 'two')[number]}_1")
        wait_until("it serves again", lambda: serves(registry), seconds=START_SECONDS)  # noqa: B023
