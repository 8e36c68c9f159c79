"""The Azure driver against Azurite: run with ``make test-azure``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from drivers.base import PIECE_SIZE
from tests.drivers.conformance import DriverConformance

pytest.importorskip("azure.storage.blob", reason="the azure extra is not installed")
pytest.importorskip("azure.identity", reason="the azure extra is not installed")

from tests.drivers.azure.server import ACCOUNT, AzureMedium, AzureServer

if TYPE_CHECKING:
    from drivers.azure.driver import AzureDriver
    from drivers.base import StorageDriver

pytestmark = pytest.mark.azure


class TestAzureDriver(DriverConformance):
    examples: ClassVar[int] = 6
    # For a download of 4 MiB the SDK holds two of them and reserves, without touching it, a list of 32 MiB:
    # list() takes the length of the SDK's generator, which is in bytes, for a number of items.
    memory_bound: ClassVar[int] = 48 * PIECE_SIZE

    @pytest.fixture
    def medium(self, azure: AzureServer) -> AzureMedium:
        return AzureMedium(azure)

    @pytest.fixture
    def driver(self, medium: AzureMedium) -> AzureDriver:
        return medium.driver()

    @pytest.fixture
    def colleague(self, medium: AzureMedium) -> AzureDriver:
        return medium.driver()

    def test_a_large_upload_and_its_download_need_little_memory(self, driver: StorageDriver) -> None:
        del driver  # whose requests pass through a proxy in this process
        super().test_a_large_upload_and_its_download_need_little_memory(self.direct)

    @pytest.fixture(autouse=True)
    def _direct(self, medium: AzureMedium) -> None:
        self.direct = medium.driver(serviceurl=f"http://{medium.server.proxy.upstream}/{ACCOUNT}")
