from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml
from hypothesis import HealthCheck, settings

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.config.loading import parse
from registry.observation import formats
from registry.services import build_services
from tests.drivers.stores import STORES, running_store
from tests.integration.clients import require_seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from tests.drivers.stores import Store

# A shell starts what runs in the background with SIGINT ignored, and all that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere, so that what fails here fails for whoever looks at it.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# A JSON web token, credentials, an upload state, a bcrypt hash.
SECRET = re.compile(
    r"\beyJ[\w-]{8,}\.eyJ|\b(?:Basic|Bearer) [\w+/=.-]{8,}|_state=[\w%-]{9,}|\$2[aby]\$\d\d\$[\w./]{22}"
)

FORMATTER = formats.TextFormatter({}, reportcaller=False)

DEFAULTS: dict[str, dict[str, Any]] = {
    "storage": {"inmemory": {}, "delete": {"enabled": True}, "redirect": {"disable": True}},
    "http": {"secret": "a secret of the cluster"},
}


class Configure(Protocol):
    def __call__(self, **sections: dict[str, Any]) -> Configuration: ...


class Serve(Protocol):
    def __call__(self, other: StorageDriver | None = None, **sections: dict[str, Any]) -> FlaskClient: ...


@pytest.fixture
def configuration() -> Configure:
    """Build a configuration from sections as an operator writes them; each adds to that of DEFAULTS."""

    def build(**sections: dict[str, Any]) -> Configuration:
        document: dict[str, Any] = {"version": 0.1, **DEFAULTS}
        for name, section in sections.items():
            document[name] = {**DEFAULTS.get(name, {}), **section}
        return parse(yaml.safe_dump(document), "config.yml", {})

    return build


@pytest.fixture
def driver() -> InMemoryDriver:
    return InMemoryDriver(lock_seconds=0.1)


@pytest.fixture(scope="session", params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """Each object store, one server for all tests of a process."""
    running: Store = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    require_seaweedfs()
    with running_store("s3", tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store("gcs", tmp_path_factory.mktemp("gcs")) as running:
        yield running


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store("azure", tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture
def filesystem(tmp_path: Path) -> FilesystemDriver:
    return FilesystemDriver(str(tmp_path), lock_seconds=0.1)


@pytest.fixture
def serve(driver: InMemoryDriver, configuration: Configure) -> Serve:
    """Build an application over `driver`, or another one, and return a client of it."""

    def build(other: StorageDriver | None = None, **sections: dict[str, Any]) -> FlaskClient:
        return create_app(build_services(configuration(**sections), driver=other or driver)).test_client()

    return build


@pytest.fixture
def client(serve: Serve) -> FlaskClient:
    return serve()


@pytest.fixture
def filesystem_client(serve: Serve, filesystem: FilesystemDriver) -> FlaskClient:
    return serve(filesystem)


@pytest.fixture(autouse=True)
def no_log_line_holds_a_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Search every line that any test has logged for what only a secret looks like."""
    yield
    for record in caplog.get_records("call"):
        line = FORMATTER.format(record)
        assert not SECRET.search(line), f"{record.name} logged a secret"
