"""A registry as a real process: ours, or the Go registry where a test compares."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.integration.api import Api
from tests.integration.clients import SEARCH_PATH
from tests.integration.secrecy import SUITE
from tests.integration.waiting import wait_until
from tests.serving import free_port as free_port  # noqa: PLC0414  others take it from here

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

SECRET = "one secret for every server of a test"
START_SECONDS = 30
STOP_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Flavour:
    """A program that serves a registry when it is given a configuration file."""

    name: str
    command: tuple[str, ...]
    ours: bool = False


def ours() -> Flavour:
    """Give the registry under test; SERVER_UNDER_TEST names another program, to test the tests themselves."""
    other = os.environ.get("SERVER_UNDER_TEST")
    if other:
        return Flavour("under-test", tuple(shlex.split(other)))
    return Flavour("ours", (str(Path(sys.executable).with_name("registry")), "serve"), ours=True)


def debian() -> Flavour | None:
    """Give Debian's docker-registry (distribution 2.8), if installed."""
    program = shutil.which("docker-registry", path=SEARCH_PATH)
    return Flavour("debian", (program, "serve")) if program else None


def distribution_v3() -> Flavour | None:
    """Give distribution v3 if DISTRIBUTION_V3 names its program."""
    program = os.environ.get("DISTRIBUTION_V3")
    return Flavour("v3", (program, "serve")) if program else None


def configuration(root: Path, port: int, secret: str, storage: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Give a configuration that every flavour understands, with the directory `root` unless `storage` names another."""
    return {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {
            **(storage or {"filesystem": {"rootdirectory": str(root)}}),
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": secret},
    }


def merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give `document` with `changes` merged in, section by section."""
    result = dict(document)
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


@dataclass(slots=True)
class Server:
    """One registry process with its storage root, its port and its log.

    `settings` go into its configuration; `tls` is the client's side where they turn TLS on.
    """

    flavour: Flavour
    root: Path
    directory: Path
    secret: str = SECRET
    port: int = field(default_factory=free_port)
    settings: Mapping[str, Any] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    storage: Mapping[str, object] | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def api(self) -> Api:
        return Api("127.0.0.1", self.port, self.tls)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log_path(self) -> Path:
        return self.directory / f"{self.flavour.name}-{self.port}.log"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> Server:
        self.root.mkdir(parents=True, exist_ok=True)
        config_path = self._write_configuration()
        if self.flavour.ours:
            SUITE.logs.add(self.log_path)
        # A process group of its own, so that killing it also kills its workers, as the end of a container does.
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.flavour.command, str(config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
                start_new_session=True,
            )
        try:
            wait_until(f"{self.flavour.name} answers /v2/", self._is_up_or_ended, seconds=START_SECONDS)
            assert self._process.poll() is None, f"{self.flavour.name} ended at its start:\n{self.log}"
        except BaseException:
            self.kill()
            raise
        return self

    def reload(self, settings: Mapping[str, Any], until: str = "configuration read again") -> None:
        """Send SIGHUP with other settings; return when the log has `until` once more and all workers are new."""
        before, workers = self.log.count(until), set(self.workers())
        self.settings = settings
        self._write_configuration()
        os.kill(self.pid, signal.SIGHUP)
        wait_until(f"the log says {until}", lambda: self.log.count(until) > before)
        if until == "configuration read again":
            wait_until("all workers are new", lambda: self.workers() and not workers & set(self.workers()))

    def _write_configuration(self) -> Path:
        path = self.directory / f"{self.flavour.name}-{self.port}.yml"
        document = merged(configuration(self.root, self.port, self.secret, self.storage), self.settings)
        if self.flavour.ours:
            SUITE.add_configuration(document)
        path.write_text(yaml.safe_dump(document))
        return path

    def stop(self) -> int:
        """Ask the server to end and give its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def stop_cleanly(self) -> None:
        """End the server; ours must say 0 and must not have logged a traceback."""
        status = self.stop()
        if self.flavour.ours:
            assert status == 0, f"exit status {status}:\n{self.log[-4000:]}"
            assert "Traceback" not in self.log, self.log[-8000:]

    def kill(self) -> None:
        """End the process and its workers at once, as a power failure would."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """Give the pids of the server and of all its descendants."""
        found = [self.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            with contextlib.suppress(OSError):
                found += [int(child) for child in children.read_text().split()]
        return found

    def workers(self) -> list[int]:
        """Give the pids of the processes that serve."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def _is_up_or_ended(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        prefix = self.settings.get("http", {}).get("prefix", "").rstrip("/")
        with contextlib.suppress(OSError):
            return self.api.get(f"{prefix}/v2/").status in {200, 401}
        return False


def clean_environment() -> dict[str, str]:
    """Give our environment without REGISTRY_*; clients' REGISTRY_AUTH_FILE would stop the Go registry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    return kept | {"OTEL_TRACES_EXPORTER": "none"}
