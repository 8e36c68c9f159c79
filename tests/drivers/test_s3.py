"""The S3 driver against real servers: run with ``make test-s3``."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.drivers.conformance import DriverConformance, Medium

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from drivers.s3 import S3Driver
from tests.drivers.s3_servers import BUCKET, S3Server, moto, seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.s3


class _Bucket(Medium):
    """A key prefix of its own in the server's bucket."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.root = f"roots/{uuid.uuid4().hex}"
        self.client: Any = server.client()

    def everything(self) -> set[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self.root}/")
        keys = {entry["Key"].removeprefix(self.root) for page in pages for entry in page.get("Contents", ())}
        uploads = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{self.root}/").get("Uploads", ())
        return keys | {f"multipart upload of {entry['Key']}" for entry in uploads if self.root in entry["Key"]}

    def content(self, path: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=self.root + path)["Body"].read()
        return content

    def write(self, path: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=self.root + path, Body=content)


@pytest.fixture(scope="module", params=[seaweedfs, moto], ids=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with request.param(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def medium(server: S3Server) -> _Bucket:
    return _Bucket(server)


@pytest.fixture
def driver(medium: _Bucket) -> S3Driver:
    return S3Driver.from_parameters(medium.server.parameters(medium.root))


class TestS3Driver(DriverConformance):
    examples: ClassVar[int] = 8

    @pytest.fixture
    def medium(self, server: S3Server) -> _Bucket:
        return _Bucket(server)

    @pytest.fixture
    def driver(self, medium: _Bucket) -> S3Driver:
        return S3Driver.from_parameters(medium.server.parameters(medium.root))

    @pytest.fixture
    def colleague(self, medium: _Bucket) -> S3Driver:
        return S3Driver.from_parameters(medium.server.parameters(medium.root))
