"""Azurite, Microsoft's own emulator of Azure Blob Storage, behind what counts its calls."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from azure.storage.blob import ContainerClient, generate_container_sas

from drivers.azure.driver import AzureDriver
from drivers.base import PIECE_SIZE
from tests.drivers.cloud_servers import running
from tests.drivers.conformance import Medium
from tests.drivers.proxy import Proxy, serving
from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that Azurite documents; it opens nothing else."""

CONTAINER = "images"


@dataclass(frozen=True, slots=True)
class AzureServer:
    """A server and the container in it that tests use."""

    name: ClassVar[str] = "azure"
    url: str
    proxy: Proxy

    def parameters(self, root: str = "", **more: object) -> dict[str, object]:
        """Give the section ``storage.azure`` for the container."""
        return {
            "accountname": ACCOUNT,
            "accountkey": KEY,
            "container": CONTAINER,
            "serviceurl": self.url,
            "rootdirectory": root,
        } | more

    def client(self) -> ContainerClient:
        """Give a client that bypasses the driver."""
        return ContainerClient(self.url, CONTAINER, credential=KEY)

    def direct(self) -> dict[str, object]:
        """Give the parameters with which a driver bypasses the proxy before the server."""
        return {"serviceurl": f"http://{self.proxy.upstream}/{ACCOUNT}"}

    def medium(self) -> AzureMedium:
        """Give an empty place in the container."""
        return AzureMedium(self)


def find_program() -> str | None:
    """Give the path of azurite-blob, if installed: AZURITE names it, or make test-azure has put it into .azurite."""
    beside = Path(__file__).parents[3] / ".azurite/node_modules/.bin"
    return os.environ.get("AZURITE") or shutil.which("azurite-blob", path=f"{beside}{os.pathsep}{os.environ['PATH']}")


def program() -> str:
    """Give the path of azurite-blob; a test fails without."""
    found = find_program()
    if not found:
        pytest.fail("azurite-blob is missing: npm install azurite")
    return found


class AzureMedium(Medium):
    """A key prefix of its own in the server's container."""

    def __init__(self, server: AzureServer) -> None:
        self.server = server
        self.root = f"roots/{uuid.uuid4().hex}"
        self.client = server.client()

    def everything(self) -> set[str]:
        names = self.client.list_blob_names(name_starts_with=f"{self.root}/")
        return {name.removeprefix(self.root) for name in names}

    def content(self, path: str) -> bytes:
        content: bytes = self.client.download_blob(self.root + path).readall()
        return content

    def write(self, path: str, content: bytes) -> None:
        self.client.upload_blob(self.root + path, content)

    def sas_token(self) -> str:
        """Give a token for everything in the container."""
        return generate_container_sas(
            ACCOUNT,
            CONTAINER,
            account_key=KEY,
            permission="racwdl",
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )

    def driver(self, **more: object) -> AzureDriver:
        driver = AzureDriver.from_parameters(self.server.parameters(self.root, **more))
        driver._block_size = PIECE_SIZE  # there is no such parameter in the Go registry, nor need for it
        return driver


def command(port: int, *more: str) -> list[str]:
    """Give the command that runs the server."""
    # It refuses versions of the protocol younger than itself; what it cannot do in them it ignores.
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    return [program(), "--blobPort", str(port), *options, *more]


@contextlib.contextmanager
def azurite(directory: Path) -> Iterator[AzureServer]:
    """Run the server, with its log in `directory`."""
    port, behind = free_port(), free_port()
    with running(command(behind), behind, directory), serving(Proxy(port, f"127.0.0.1:{behind}")) as proxy:
        server = AzureServer(f"http://127.0.0.1:{port}/{ACCOUNT}", proxy)
        with server.client() as client:
            client.create_container()
        yield server
