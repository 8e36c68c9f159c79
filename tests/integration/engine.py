"""A Docker engine that touches nothing but its own directory."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.clients import RUN_SECONDS, finish, run
from tests.integration.daemons import Daemon

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 60


@dataclass(slots=True)
class Engine:
    """dockerd on a socket in `directory`, without a network of its own; `mirror` is the URL of one of its registry."""

    client: str
    daemon: str
    directory: Path
    mirror: str = ""
    _running: Daemon | None = None

    @property
    def socket(self) -> str:
        return f"unix://{self.directory}/docker.sock"

    def docker(self, *arguments: str | Path, timeout_seconds: float = RUN_SECONDS) -> str:
        """Run the docker command against this engine and give its output."""
        command = (self.client, "--host", self.socket, *arguments)
        return run(*command, env={"DOCKER_BUILDKIT": "0"}, timeout_seconds=timeout_seconds)

    def logs(self, container: str) -> str:
        """Give what a container has said on both its outputs."""
        said = finish(self.client, "--host", self.socket, "container", "logs", container)
        return said.stdout + said.stderr

    def start(self) -> Engine:
        command = [
            self.daemon,
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            f"--data-root={self.directory}/data",
            f"--exec-root={self.directory}/exec",
            f"--pidfile={self.directory}/dockerd.pid",
            f"--host={self.socket}",
            "--insecure-registry=127.0.0.0/8",
            *([f"--registry-mirror={self.mirror}"] if self.mirror else []),
        ]
        self._running = Daemon("dockerd", self.directory / "dockerd.log")
        try:
            self._running.start(command, self._answers, seconds=START_SECONDS)
        except BaseException:
            self._clear()
            raise
        return self

    def stop(self) -> None:
        if self._running is None:
            return
        try:
            self._running.stop(STOP_SECONDS)
        finally:
            self._clear()

    def _clear(self) -> None:
        # The engine leaves its network name space mounted, and a mount cannot be removed.
        finish("umount", f"{self.directory}/exec/netns/default")
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def _answers(self) -> bool:
        return finish(self.client, "--host", self.socket, "version").returncode == 0
