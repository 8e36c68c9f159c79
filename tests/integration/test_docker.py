from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_program
from tests.integration.content import debian_rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.engine import Engine
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(500)


def repo_digests(engine: Engine, image: str) -> list[str]:
    found: list[str] = json.loads(engine.docker("image", "inspect", image))[0]["RepoDigests"]
    return found


def test_debian_image_with_a_layer_built_on_top_survives_push_and_pull(
    engine: Engine, server: Server, tmp_path: Path
) -> None:
    base, image = f"{server.host}/docker/debian:base", f"{server.host}/docker/debian:v1"
    engine.docker("import", debian_rootfs(), base)
    (tmp_path / "Dockerfile").write_text(
        f'FROM {base}\nRUN ["/bin/sh", "-c", "echo built > /made"]\nCMD ["cat", "/made", "/etc/debian_version"]\n'
    )
    engine.docker("build", "--network=host", "--tag", image, tmp_path)
    built = json.loads(engine.docker("image", "inspect", image))[0]
    engine.docker("push", image)
    digest = server.api.manifest("docker/debian", "v1").digest
    assert repo_digests(engine, image) == [f"{server.host}/docker/debian@{digest}"]

    engine.docker("rmi", "--force", built["Id"], base)
    engine.docker("pull", image)
    pulled = json.loads(engine.docker("image", "inspect", image))[0]
    assert pulled["Id"] == built["Id"]
    assert pulled["RootFS"] == built["RootFS"]
    assert engine.docker("run", "--rm", "--network=host", image).startswith("built\n")


def test_image_is_pulled_by_digest_out_of_an_index(engine: Engine, server: Server, samples: Samples) -> None:
    samples.layout.push(server.api, "docker/multi", samples.multi, "v1")
    for reference in (":v1", f"@{samples.multi['digest']}"):
        image = f"{server.host}/docker/multi{reference}"
        engine.docker("pull", image)
        assert repo_digests(engine, image) == [f"{server.host}/docker/multi@{samples.multi['digest']}"]
        assert engine.docker("run", "--rm", "--network=host", image) == "ran\n"
        engine.docker("rmi", image)


def test_retagged_image_is_pushed_to_another_repository_by_mounting(
    engine: Engine, server: Server, samples: Samples
) -> None:
    samples.layout.push(server.api, "docker/origin", samples.amd64, "v1")
    engine.docker("pull", f"{server.host}/docker/origin:v1")
    engine.docker("tag", f"{server.host}/docker/origin:v1", f"{server.host}/docker/mounted:v1")
    said = engine.docker("push", f"{server.host}/docker/mounted:v1")
    assert "Mounted from docker/origin" in said


def test_busybox_is_built_pushed_and_run_from_the_pulled_image(engine: Engine, server: Server, tmp_path: Path) -> None:
    image = f"{server.host}/docker/busybox:v1"
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
