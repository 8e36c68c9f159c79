"""A registry in a container, run as the deployment page says: with host networking instead of -p."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.integration.api import Api
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine import Engine

UID = 1000
CREDENTIALS = base64.b64encode(b"testuser:testpassword").decode()


@dataclass(slots=True)
class Container:
    """A registry in a container, on a port of this machine."""

    engine: Engine
    image: str
    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.engine.logs("registry")

    def run(self, *arguments: str | Path, tls: Authority | None = None, secret: str = "s") -> Api:
        """Run it detached, as ``docker run -d ... --name registry registry``, until it answers."""
        self.engine.docker(
            *("run", "-d", "--network=host", "--name=registry", "-e", f"REGISTRY_HTTP_SECRET={secret}"),
            *("-e", f"REGISTRY_HTTP_ADDR=0.0.0.0:{self.port}", *arguments, self.image),
        )
        api = Api("localhost", self.port, tls.trusting_client() if tls else None)
        wait_until("the container serves", lambda: self.answers(api))
        return api

    def state(self) -> Any:
        return json.loads(self.engine.docker("container", "inspect", "registry"))[0]["State"]

    def answers(self, api: Api) -> bool:
        assert self.state()["Running"], self.log
        return serves(api)


def push_and_pull(engine: Engine, image: str, host: str) -> None:
    """Do what the page does with ubuntu:16.04."""
    remote = f"{host}/my-{image}"
    engine.docker("tag", image, remote)
    engine.docker("push", remote)
    engine.docker("image", "remove", remote)
    engine.docker("pull", remote)
    assert engine.docker("run", "--rm", "--network=host", remote) == "ran\n"
    engine.docker("image", "remove", remote)


def owned(directory: Path) -> Path:
    """Make a directory of the host that the image's user may write to."""
    directory.mkdir(parents=True)
    os.chown(directory, UID, 0)
    return directory


def add_user(engine: Engine, directory: Path) -> None:
    """Write an entry for testuser with the image's own command."""
    command = "echo testpassword | registry htpasswd --file /auth/htpasswd --password-stdin testuser"
    mount = f"{directory}:/auth"
    engine.docker("run", "--rm", "--network=host", "-v", mount, "registry", "sh", "-c", command)


def certificates(directory: Path, authority: Authority) -> Path:
    """Write domain.crt and domain.key, with an intermediate, readable by the image's user only."""
    owned(directory)
    pair = Authority.create(directory.parent / "intermediate", parent=authority).issue("server")
    for source, name in ((pair.certificate, "domain.crt"), (pair.key, "domain.key")):
        (directory / name).write_bytes(source.read_bytes())
        os.chown(directory / name, UID, 0)
        (directory / name).chmod(0o400)
    return directory


def serves(api: Api) -> bool:
    """Tell whether a registry answers."""
    try:
        return api.get("/").status == 200
    except OSError:
        return False
