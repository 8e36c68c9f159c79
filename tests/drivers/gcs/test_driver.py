"""The GCS driver against fake-gcs-server: run with ``make test-gcs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.drivers.conformance import DriverConformance

pytest.importorskip("google.cloud.storage", reason="the gcs extra is not installed")

from tests.drivers.gcs.server import GcsMedium, GcsServer

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from drivers.gcs.driver import GcsDriver

pytestmark = pytest.mark.gcs


class TestGcsDriver(DriverConformance):
    examples: ClassVar[int] = 6

    @pytest.fixture
    def medium(self, gcs: GcsServer) -> GcsMedium:
        return GcsMedium(gcs)

    @pytest.fixture
    def driver(self, medium: GcsMedium) -> GcsDriver:
        return medium.driver()

    @pytest.fixture
    def colleague(self, medium: GcsMedium) -> GcsDriver:
        return medium.driver()

    def test_a_large_upload_and_its_download_need_little_memory(self, driver: StorageDriver) -> None:
        del driver  # whose requests pass through a proxy in this process
        super().test_a_large_upload_and_its_download_need_little_memory(self.direct)

    @pytest.fixture(autouse=True)
    def _direct(self, medium: GcsMedium) -> None:
        self.direct = medium.driver(endpoint=f"http://{medium.server.proxy.upstream}")
