"""Real servers and real content for real clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.integration.clients import missing, require_program
from tests.integration.content import Samples, debian_rootfs, make_samples
from tests.integration.engine import Engine
from tests.integration.secrecy import SUITE
from tests.integration.servers import SECRET, Flavour, Server, debian, ours

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping


HERE = Path(__file__).parent


class StartServer(Protocol):
    """Start a server; what still runs at the test's end is stopped and must end cleanly."""

    def __call__(
        self,
        flavour: Flavour | None = None,
        *,
        root: Path | None = None,
        secret: str = SECRET,
        settings: Mapping[str, Any] = ...,
        tls: ssl.SSLContext | None = None,
    ) -> Server: ...


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Run tests that share servers, an engine or an image in one process: those of a file, and all of ``image/``."""
    for item in items:
        inside = item.path.relative_to(HERE).parts if item.path.is_relative_to(HERE) else ()
        if inside and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(inside[0]))
    yield
    if getattr(config.option, "loadgroup", False):  # with --dist loadgroup, in a process that xdist has started
        grouped = [item for item in items if item.get_closest_marker("xdist_group")]
        assert all("@" in item.nodeid for item in grouped), "this pytest and this pytest-xdist do not group tests"


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samples]:
    made = make_samples(tmp_path_factory.mktemp("samples") / "layout", debian_rootfs())
    yield made
    shutil.rmtree(made.layout.path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One registry for all tests of a module."""
    directory = tmp_path_factory.mktemp("server")
    running = Server(ours(), directory / "root", directory).start()
    try:
        yield running
    finally:
        running.stop_cleanly()
        shutil.rmtree(running.root)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    started: list[Server] = []

    def start(
        flavour: Flavour | None = None,
        *,
        root: Path | None = None,
        secret: str = SECRET,
        settings: Mapping[str, Any] = MappingProxyType({}),
        tls: ssl.SSLContext | None = None,
    ) -> Server:
        running = Server(flavour or ours(), root or tmp_path / "root", tmp_path, secret, settings=settings, tls=tls)
        started.append(running)
        return running.start()

    try:
        yield start
        for running in started:
            if running.is_running():
                running.stop_cleanly()
    finally:
        for running in started:
            if running.is_running():
                running.kill()
            shutil.rmtree(running.root, ignore_errors=True)


@pytest.fixture(scope="session")
def debian_flavour() -> Flavour:
    flavour = debian()
    if flavour is None:
        missing("docker-registry")
    assert flavour is not None
    return flavour


@pytest.fixture(scope="module")
def short_directory() -> Iterator[Path]:
    """Give a directory for podman and buildah, which take no more than 50 characters: that of a test may have more."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A Docker engine of the test's own, separate from one that the machine may run."""
    running = Engine(require_program("docker"), require_program("dockerd"), tmp_path_factory.mktemp("engine"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session", autouse=True)
def client_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the clients away from the credentials and the settings of the user who runs the tests."""
    home = tmp_path_factory.mktemp("home")
    registries = home / "registries.conf"
    registries.write_text("unqualified-search-registries = []\n")
    credentials = home / "auth.json"
    credentials.write_text("{}")
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", cache)
        patch.setenv("REGISTRY_AUTH_FILE", str(credentials))
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(registries))
        patch.setenv("DOCKER_CONFIG", str(home / "docker"))
        patch.setenv("REGCTL_CONFIG", str(home / "regctl.json"))
        patch.setenv("BUILDAH_ISOLATION", "chroot")
        yield


@pytest.fixture(scope="session", autouse=True)
def secrecy() -> Iterator[None]:
    """Fail if a secret that a test uses is in a line that our servers log."""
    yield
    leaks = SUITE.leaks()
    print(f"{len(SUITE.secrets)} secrets looked for in {len(SUITE.logs)} logs")
    assert not leaks, f"{len(leaks)} lines with secrets, {leaks[:20]}"


def pytest_report_header() -> str:
    """Say which server is tested."""
    flavour = ours()
    version = subprocess.run([flavour.command[0], "--version"], capture_output=True, text=True, check=False)
    return f"registry under test: {' '.join(flavour.command)} ({version.stdout.strip()})"
