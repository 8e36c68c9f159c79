"""The S3 driver against real servers: run with ``make test-s3``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.drivers.conformance import DriverConformance

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from tests.drivers.s3.servers import S3Medium, S3Server, moto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.s3.driver import S3Driver

pytestmark = pytest.mark.s3


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(params=["s3", "moto_server"], ids=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    running: S3Server = request.getfixturevalue(request.param)
    return running


class TestS3Driver(DriverConformance):
    examples: ClassVar[int] = 4

    @pytest.fixture
    def medium(self, server: S3Server) -> S3Medium:
        return S3Medium(server)

    @pytest.fixture
    def driver(self, medium: S3Medium) -> S3Driver:
        return medium.driver()

    @pytest.fixture
    def colleague(self, medium: S3Medium) -> S3Driver:
        return medium.driver()
