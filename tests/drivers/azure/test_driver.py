"""The Azure driver against Azurite: run with ``make test-azure``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

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
