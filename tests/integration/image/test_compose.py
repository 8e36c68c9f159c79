"""The compose files and the swarm stack, with host networking, because there are no bridges here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.api import Api
from tests.integration.base_image import PROJECT
from tests.integration.image.compose import compose
from tests.integration.image.containers import CREDENTIALS, add_user, certificates, owned, serves
from tests.integration.servers import free_port, merged
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine import Engine

pytestmark = [pytest.mark.timeout(1500), pytest.mark.usefixtures("image")]


def adapted(source: str, target: Path, port: int, replacements: dict[str, str] | None = None) -> Path:
    """Write a compose file for host networking: without ports, because there is no bridge."""
    text = (PROJECT / "deploy/compose" / source).read_text()
    for old, new in (replacements or {}).items():
        assert old in text
        text = text.replace(old, new)
    document = yaml.safe_load(text)
    for service in document["services"].values():
        service.pop("build", None)
        service.pop("ports", None)
        service["network_mode"] = "host"
        service["environment"] = merged(service["environment"], {"REGISTRY_HTTP_ADDR": f"0.0.0.0:{port}"})
    target.write_text(yaml.safe_dump(document))
    return target


def test_compose_starts_one_registry(engine: Engine, tmp_path: Path) -> None:
    port = free_port()
    file = adapted("compose.yml", tmp_path / "compose.yml", port)
    compose(engine, file, "up", "-d")
    try:
        api = Api("localhost", port)
        wait_until("it serves", lambda: serves(api))
        api.push_blob("compose/one", b"content")
    finally:
        compose(engine, file, "down", "--volumes")


def test_compose_starts_a_registry_with_tls_and_users(engine: Engine, tmp_path: Path) -> None:
    port, authority = free_port(), Authority.create(tmp_path / "ca")
    owned(tmp_path / "data")
    certificates(tmp_path / "certs", authority)
    add_user(engine, owned(tmp_path / "auth"))
    file = adapted("compose.tls.yml", tmp_path / "compose.yml", port, {"/path/": f"{tmp_path}/"})
    compose(engine, file, "up", "-d")
    try:
        api = Api("localhost", port, authority.trusting_client())
        wait_until("it serves", lambda: serves(api))
        assert api.get("/v2/").status == 401
        assert api.get("/v2/", Authorization=f"Basic {CREDENTIALS}").status == 200
    finally:
        compose(engine, file, "down", "--volumes")


@pytest.fixture
def swarm(engine: Engine) -> Iterator[None]:
    engine.docker("swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1:0")
    yield
    engine.docker("swarm", "leave", "--force")


@pytest.fixture
def certs(engine: Engine, swarm: None, tmp_path: Path) -> Authority:
    """The secrets and the label of the page; the authority that clients need to trust."""
    del swarm
    authority = Authority.create(tmp_path / "ca")
    directory = certificates(tmp_path / "certs", authority)
    for name in ("domain.crt", "domain.key"):
        engine.docker("secret", "create", name, directory / name)
    node = engine.docker("node", "ls", "--format", "{{.Hostname}}").strip()
    engine.docker("node", "update", "--label-add", "registry=true", node)
    return authority


def test_a_swarm_stack_is_deployed(engine: Engine, certs: Authority, tmp_path: Path) -> None:
    port, root = free_port(), owned(tmp_path / "mnt")
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")
    engine.docker("secret", "create", "registry-http-secret", secret)
    document: Any = yaml.safe_load((PROJECT / "deploy/swarm/stack.yml").read_text())
    service = document["services"]["registry"]
    del service["ports"]
    service["networks"] = ["hostnet"]
    service["environment"]["REGISTRY_HTTP_ADDR"] = f"0.0.0.0:{port}"
    service["volumes"][0]["source"] = str(root)
    document["networks"] = {"hostnet": {"external": True, "name": "host"}}
    file = tmp_path / "stack.yml"
    file.write_text(yaml.safe_dump(document))
    engine.docker("stack", "deploy", "--resolve-image=never", "--compose-file", file, "registry")
    api = Api("localhost", port, certs.trusting_client())
    wait_until("the stack serves", lambda: serves(api), seconds=90)
    api.push_blob("swarm/stack", b"content")
    log = engine.logs(engine.docker("ps", "--quiet", "--filter", "name=registry_registry").strip())
    assert "listening on" in log
    assert "No HTTP secret provided" not in log
