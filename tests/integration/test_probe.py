from __future__ import annotations

import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.servers import clean_environment, free_port, ours
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(120)


def probe(config: Path) -> subprocess.CompletedProcess[str]:
    command = [ours().command[0], "probe", str(config)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False, timeout=60)


def config_of(server: Server) -> Path:
    return server.directory / f"{server.flavour.name}-{server.port}.yml"


def test_a_server_that_answers_is_well_and_one_that_is_gone_is_not(start_server: StartServer) -> None:
    server = start_server()
    assert probe(config_of(server)).returncode == 0
    server.stop_cleanly()
    ended = probe(config_of(server))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"no answer at {server.host}: ")
    assert ended.stderr.count("\n") == 1


def test_a_server_that_demands_client_certificates_is_well(start_server: StartServer, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "authority")
    pair = authority.issue("server")
    tls = {"certificate": str(pair.certificate), "key": str(pair.key), "clientcas": [str(authority.path)]}
    server = start_server(settings={"http": {"tls": tls}}, tls=authority.trusting_client(authority.issue("client")))
    assert probe(config_of(server)).returncode == 0


def test_something_else_on_the_port_is_not_well(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "config.yml"
    config.write_text(f"version: 0.1\nstorage: inmemory\nhttp: {{addr: '0.0.0.0:{port}'}}\n")

    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example.com ESMTP\r\n")

    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=greet)
        thread.start()
        ended = probe(config)
        thread.join()
    assert ended.returncode == 1
    assert ended.stderr.startswith("no answer at 0.0.0.0:")
    assert ended.stderr.count("\n") == 1
