from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.drivers.stores import STORES, storage_of
from tests.integration.clients import require_program
from tests.integration.content import debian_rootfs
from tests.integration.proxies import Proxy, start_nginx
from tests.integration.servers import Server, ours
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drivers.stores import Store
    from tests.integration.api import Api
    from tests.integration.content import Samples
    from tests.integration.engine import Engine

# One engine for all of these tests, whatever other tests run in parallel.
pytestmark = [pytest.mark.timeout(500), pytest.mark.xdist_group("docker")]


class Registry(Protocol):
    """What a client reaches: a server, or the proxy in front of several."""

    @property
    def host(self) -> str: ...

    @property
    def api(self) -> Api: ...


@pytest.fixture(scope="module", params=["directory", *STORES])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One registry over a directory; over each object store two, to which nginx sends requests in turn."""
    if request.param == "directory":
        yield request.getfixturevalue("server")
        return
    directory = tmp_path_factory.mktemp("registries")
    store: Store = request.getfixturevalue(request.param)
    storage = storage_of(store, directory.name, **store.direct())
    servers = [Server(ours(), directory / "none", directory, storage=storage) for _ in range(2)]
    proxy = Proxy("nginx", directory, Authority.create(directory / "authority"))
    try:
        yield start_nginx(proxy, [server.start().host for server in servers])
        proxy.stop()  # or the servers would wait for its connections
        for server in servers:
            assert " /v2/docker/" in server.log, "it had its turn"
            server.stop_cleanly()
    finally:
        proxy.stop()
        for server in servers:
            if server.is_running():
                server.kill()


def repo_digests(engine: Engine, image: str) -> list[str]:
    found: list[str] = json.loads(engine.docker("image", "inspect", image))[0]["RepoDigests"]
    return found


def test_debian_image_with_a_layer_built_on_top_survives_push_and_pull(
    engine: Engine, registry: Registry, tmp_path: Path
) -> None:
    base, image = f"{registry.host}/docker/debian:base", f"{registry.host}/docker/debian:v1"
    engine.docker("import", debian_rootfs(), base)
    (tmp_path / "Dockerfile").write_text(
        f'FROM {base}\nRUN ["/bin/sh", "-c", "echo built > /made"]\nCMD ["cat", "/made", "/etc/debian_version"]\n'
    )
    engine.docker("build", "--network=host", "--tag", image, tmp_path)
    built = json.loads(engine.docker("image", "inspect", image))[0]
    engine.docker("push", image)
    digest = registry.api.manifest("docker/debian", "v1").digest
    assert repo_digests(engine, image) == [f"{registry.host}/docker/debian@{digest}"]

    engine.docker("rmi", "--force", built["Id"], base)
    engine.docker("pull", image)
    pulled = json.loads(engine.docker("image", "inspect", image))[0]
    assert pulled["Id"] == built["Id"]
    assert pulled["RootFS"] == built["RootFS"]
    assert engine.docker("run", "--rm", "--network=host", image).startswith("built\n")


def test_image_is_pulled_by_digest_out_of_an_index(engine: Engine, registry: Registry, samples: Samples) -> None:
    samples.layout.push(registry.api, "docker/multi", samples.multi, "v1")
    for reference in (":v1", f"@{samples.multi['digest']}"):
        image = f"{registry.host}/docker/multi{reference}"
        engine.docker("pull", image)
        assert repo_digests(engine, image) == [f"{registry.host}/docker/multi@{samples.multi['digest']}"]
        assert engine.docker("run", "--rm", "--network=host", image) == "ran\n"
        engine.docker("rmi", image)


def test_retagged_image_is_pushed_to_another_repository_by_mounting(
    engine: Engine, registry: Registry, samples: Samples
) -> None:
    samples.layout.push(registry.api, "docker/origin", samples.amd64, "v1")
    engine.docker("pull", f"{registry.host}/docker/origin:v1")
    engine.docker("tag", f"{registry.host}/docker/origin:v1", f"{registry.host}/docker/mounted:v1")
    said = engine.docker("push", f"{registry.host}/docker/mounted:v1")
    assert "Mounted from docker/origin" in said


def test_busybox_is_built_pushed_and_run_from_the_pulled_image(
    engine: Engine, registry: Registry, tmp_path: Path
) -> None:
    image = f"{registry.host}/docker/busybox:v1"
    shutil.copy(require_program("busybox"), tmp_path)
    lines = [
        "FROM scratch",
        "COPY busybox /bin/busybox",
        'RUN ["/bin/busybox", "mkdir", "/made"]',
        'CMD ["/bin/busybox", "ls", "/"]',
    ]
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    engine.docker("build", "--network=host", "--tag", image, tmp_path)
    engine.docker("push", image)
    engine.docker("rmi", image)
    assert "made" in engine.docker("run", "--rm", "--network=host", image).split()
