"""One engine and one image for all of these tests: to build it takes minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.base_image import build_image
from tests.integration.clients import require_program, run
from tests.integration.engine import Engine
from tests.integration.image.containers import Container
from tests.integration.image.page import remove
from tests.integration.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.servers import Server


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    running = Engine(require_program("docker"), require_program("dockerd"), tmp_path_factory.mktemp("engine"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="package")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    build_image(engine, tmp_path_factory.mktemp("image"))
    return "registry"


@pytest.fixture
def container(engine: Engine, image: str) -> Iterator[Container]:
    yield Container(engine, image, free_port())
    engine.docker("container", "rm", "--force", "--volumes", "registry")


@pytest.fixture
def busybox(engine: Engine, samples: Samples, tmp_path: Path) -> str:
    """An image that the engine has, in the place of one from a public registry."""
    skopeo = require_program("skopeo")
    run(
        skopeo,
        "--insecure-policy",
        "copy",
        f"oci:{samples.layout.path}:amd64",
        f"docker-archive:{tmp_path}/b:busybox:1",
    )
    engine.docker("load", "--input", tmp_path / "b")
    return "busybox:1"


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


@pytest.fixture
def swarm(engine: Engine) -> Iterator[str]:
    """The name of the only node of a swarm."""
    engine.docker("swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1:0")
    yield engine.docker("node", "ls", "--format", "{{.Hostname}}").strip()
    engine.docker("swarm", "leave", "--force")
