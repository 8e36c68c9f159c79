"""What real clients attach to images is on the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples

pytestmark = pytest.mark.timeout(120)


def test_markdown_that_oras_pushes_or_attaches_is_the_readme(
    start_server: StartServer, samples: Samples, tmp_path: Path
) -> None:
    server = start_server(settings={"ui": {"enabled": True}})
    oras = require_module("oras.client").OrasClient(hostname=server.host, insecure=True)
    subject_of = require_module("oras.oci").Subject
    samples.layout.push(server.api, "team/app", samples.amd64, "latest")
    subject = subject_of(samples.amd64["mediaType"], samples.amd64["digest"], samples.amd64["size"])
    texts = {"attached": "# It is attached\n", "readme": "# It has the tag\n"}
    found = []
    for tag, text in texts.items():
        readme = tmp_path / "README.md"
        readme.write_text(text)
        more = {"subject": subject} if tag == "attached" else {}
        oras.push(
            target=f"{server.host}/team/app:{tag}",
            files=[f"{readme}:text/markdown"],
            disable_path_validation=True,
            manifest_annotations={"org.opencontainers.image.title": "README.md"},
            **more,
        )
        found.append(server.api.get("/ui/_readme?repository=team/app").body.decode())

    assert "<h3>It is attached</h3>" in found[0]
    assert "<h3>It has the tag</h3>" in found[1]
