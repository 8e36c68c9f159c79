from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from registry.container.health import configuration_path, is_healthy, place, remember

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Configure


class Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in the base
        del format, args


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Well) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_server_is_asked_where_it_was_remembered_to_listen(
    tmp_path: Path, port: int, configuration: Configure
) -> None:
    file = tmp_path / "health"
    remember(file, "/a.yml", configuration(http={"addr": f":{port}"}).http)
    assert is_healthy(file)
    assert configuration_path(file) == "/a.yml"
    remember(file, "/b.yml", configuration(http={"addr": "127.0.0.1:1"}).http)
    assert not is_healthy(file)
    assert configuration_path(file) == "/b.yml"
    assert [path.name for path in tmp_path.iterdir()] == ["health"]


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"net": "tcp"}', b"\xff"])
def test_without_anything_remembered_the_configuration_has_to_be_read(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "health"
    if content is not None:
        file.write_bytes(content)
    assert not is_healthy(file)
    assert configuration_path(file) is None


def test_nothing_can_be_remembered_in_a_directory_that_is_missing(tmp_path: Path, configuration: Configure) -> None:
    remember(tmp_path / "missing/health", "/a.yml", configuration().http)
    assert list(tmp_path.iterdir()) == []


def test_every_container_has_a_place_of_its_own_in_memory() -> None:
    assert place().parent.name == "shm"
    assert place().name.startswith("registry-health-")
