"""One engine and one image for all of these tests: to build it takes minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.base_image import build_image
from tests.integration.clients import require_program, run
from tests.integration.engine import Engine
from tests.integration.image.containers import Container
from tests.integration.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.content import Samples


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
