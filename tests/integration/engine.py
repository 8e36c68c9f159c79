"""A Docker engine that touches nothing but its own directory."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.clients import RUN_SECONDS, finish, run
from tests.integration.waiting import wait_until

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
    _process: subprocess.Popen[bytes] | None = None

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
        with (self.directory / "dockerd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
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
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until("dockerd answers", self._answers, seconds=START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            # The engine leaves its network name space mounted, and a mount cannot be removed.
            finish("umount", f"{self.directory}/exec/netns/default")
            shutil.rmtree(self.directory / "data", ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self.directory / "dockerd.log").read_text(errors="replace")
            raise AssertionError(f"dockerd ended at its start:\n{log[-4000:]}")
        return finish(self.client, "--host", self.socket, "version").returncode == 0
