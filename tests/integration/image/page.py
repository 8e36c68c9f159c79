"""What a page about containers presupposes, and what of it is another here: host networking, as there is no bridge."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

from tests.integration.clients import finish
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine import Engine

PEM: Final = re.compile(r"-----BEGIN.*?-----END[^\n]*\n", re.DOTALL)


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
