"""Registries with one storage, one secret and one Redis, and a proxy in front of them."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.drivers.s3.servers import BUCKET
from tests.drivers.stores import storage_of
from tests.integration.api import digest_of
from tests.integration.proxies import Proxy
from tests.integration.servers import Server, merged, ours
from tests.integration.storage_tree import faults
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from tests.drivers.s3.servers import S3Server
    from tests.drivers.stores import Store
    from tests.integration.api import Api
    from tests.integration.servers import Flavour

CHUNK = bytes(range(256)) * 1024
CHUNKS = 6


@dataclass(frozen=True, slots=True)
class SharedStorage:
    """What the registries have in common: a directory, or a bucket under the prefix of the same name.

    `settings` are those that go with it; `faults` lists what is wrong in it.
    """

    root: Path
    storage: Mapping[str, object] | None
    settings: Mapping[str, Any]
    faults: Callable[[], list[str]]


@dataclass(slots=True)
class Cluster:
    """The proxy, the registries behind it, and a directory with what clients need to trust the proxy."""

    proxy: Proxy
    servers: list[Server]
    certificates: Path
    shared: SharedStorage


def shared_directory(root: Path) -> SharedStorage:
    """Share a directory, whose blobs nginx sends itself."""
    settings = {"http": {"accelredirect": {"prefix": "/_registry_blobs"}}}
    return SharedStorage(root, None, settings, partial(faults, root))


def shared_bucket(s3: S3Server, root: Path) -> SharedStorage:
    """Share a bucket, whose blobs the registries send."""
    return SharedStorage(root, storage_of(s3, root.name), {}, partial(_bucket_faults, s3, root.name))


def shared_store(store: Store, root: Path) -> SharedStorage:
    """Share an object store, whose blobs the registries send; what is wrong in it is for the test to find."""
    return SharedStorage(root, storage_of(store, root.name), {}, list)


@contextmanager
def running_cluster(
    directory: Path,
    shared: SharedStorage,
    start_proxy: Callable[[Proxy, Sequence[str]], Proxy],
    settings: Mapping[str, Any],
    *,
    flavour: Flavour | None = None,
    count: int = 2,
) -> Iterator[Cluster]:
    """Run `count` registries with `settings` and the proxy; the registries must end cleanly."""
    settings = merged(merged(shared.settings, {"http": {"draintimeout": "30s"}}), settings)
    servers = [
        Server(flavour or ours(), shared.root, directory, settings=settings, storage=shared.storage)
        for _ in range(count)
    ]
    proxy = Proxy("proxy", directory / "proxy", Authority.create(directory / "proxy/authority"))
    certificates = directory / "certs"
    certificates.mkdir()
    shutil.copy(proxy.authority.path, certificates / "ca.crt")
    try:
        for server in servers:
            server.start()
        yield Cluster(start_proxy(proxy, [server.host for server in servers]), servers, certificates, shared)
        for server in servers:
            server.stop_cleanly()
    finally:
        proxy.stop()
        for server in servers:
            if server.is_running():
                server.kill()
        shutil.rmtree(shared.root, ignore_errors=True)


def push_in_chunks(api: Api, repository: str, seed: int) -> str:
    """Push a blob in requests that go to whatever registry the proxy chooses; nothing is retried."""
    content = CHUNK * CHUNKS + seed.to_bytes(8, "big")
    location = api.begin_upload(repository).location
    for number in range(CHUNKS):
        answer = api.send_chunk(location, number * len(CHUNK), CHUNK)
        assert answer.status == 202, answer
        location = answer.location
    answer = api.finish_upload(location, digest_of(content), seed.to_bytes(8, "big"))
    assert answer.status == 201, answer
    pulled = api.blob(repository, answer.digest)
    assert (pulled.status, pulled.body) == (200, content), pulled.body[:200]
    return answer.digest


def _bucket_faults(s3: S3Server, prefix: str) -> list[str]:
    """List what is wrong below `prefix`, read without the driver."""
    client = s3.client()
    with tempfile.TemporaryDirectory() as directory:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
            for found in page.get("Contents", ()):
                path = Path(directory, found["Key"])
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    shutil.copyfileobj(client.get_object(Bucket=BUCKET, Key=found["Key"])["Body"], file)
        assert Path(directory, prefix, "docker/registry/v2/blobs").is_dir()
        return faults(Path(directory, prefix))
