"""A containerd of a test's own, which reaches registries as its ``hosts.toml`` files say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.clients import finish, run
from tests.integration.daemons import Daemon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(slots=True)
class Containerd:
    """containerd on a socket in `directory`."""

    daemon: str
    client: str
    directory: Path
    _running: Daemon | None = None

    def mirror(self, registry: str, mirrors: Sequence[str], server: str) -> None:
        """Have images of `registry`, a host name, be asked of the URLs `mirrors`, in turn, and then of `server`."""
        hosts = self.directory / "hosts" / registry
        hosts.mkdir(parents=True, exist_ok=True)
        sections = [f'[host."{each}"]\n  capabilities = ["pull", "resolve"]\n' for each in mirrors]
        (hosts / "hosts.toml").write_text("\n".join([f'server = "{server}"', "", *sections]))

    def pull(self, image: str) -> None:
        """Pull the amd64 image and unpack it."""
        hosts = f"--hosts-dir={self.directory}/hosts"
        self.ctr("images", "pull", hosts, "--snapshotter=native", "--platform=linux/amd64", image)

    def ctr(self, *arguments: str | Path) -> str:
        """Run the command of containerd's own and give its output."""
        return run(self.client, f"--address={self.directory}/containerd.sock", *arguments)

    def forget(self) -> None:
        """Remove all images and what they hold."""
        for image in self.ctr("images", "list", "--quiet").split():
            self.ctr("images", "remove", "--sync", image)
        for digest in self.ctr("content", "list", "--quiet").split():
            self.ctr("content", "remove", digest)

    def start(self) -> Containerd:
        settings = self.directory / "config.toml"
        settings.write_text(
            f"""
            version = 2
            root = "{self.directory}/root"
            state = "{self.directory}/state"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
            address = "{self.directory}/containerd.sock"
            """
        )
        command = [self.daemon, f"--config={settings}"]
        self._running = Daemon("containerd", self.directory / "containerd.log")
        self._running.start(command, self._answers, seconds=_START_SECONDS)
        return self

    def stop(self) -> None:
        if self._running:
            self._running.stop(_STOP_SECONDS)

    def _answers(self) -> bool:
        return finish(self.client, f"--address={self.directory}/containerd.sock", "version").returncode == 0
