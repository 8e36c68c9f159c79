"""A registry over an object store that is going to fail."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from registry.oci.media_types import JSON
from tests.drivers.stores import storage_of
from tests.integration.api import Answer, Api
from tests.integration.servers import Server, free_port, ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.drivers.s3.servers import S3Server


@contextmanager
def registry_over(
    store: S3Server, directory: Path, settings: Mapping[str, Any], debug: Mapping[str, Any], **storage: object
) -> Iterator[tuple[Server, Api]]:
    """Run a registry with these settings, whose debug server has those of `debug`, and give that, too."""
    port = free_port()
    http = {**settings.get("http", {}), "debug": {"addr": f"127.0.0.1:{port}", **debug}}
    section = storage_of(store, directory.name, **storage)
    server = Server(ours(), directory / "none", directory, storage=section, settings={**settings, "http": http}).start()
    try:
        yield server, Api("127.0.0.1", port)
        server.stop_cleanly()
    finally:
        if server.is_running():
            server.kill()


def assert_unavailable(answer: Answer) -> None:
    """Check that a client is told that the store does not work, and when to come again."""
    assert answer.status == 503
    assert answer.headers["Content-Type"] == JSON
    assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
    assert int(answer.headers["Retry-After"]) > 0
