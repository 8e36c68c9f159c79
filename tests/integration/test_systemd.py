"""What systemd does for the units in deploy/systemd: it hands over sockets and waits to be notified."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.integration.api import Api
from tests.integration.clients import missing, require_program
from tests.integration.servers import Flavour, clean_environment, configuration, free_port, ours
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer

pytestmark = pytest.mark.timeout(120)

# What MemoryDenyWriteExecute does, for this process and what it becomes.
DENY_WRITE_EXECUTE = """
import ctypes, mmap, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    print("not known to the kernel", flush=True)
else:
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except PermissionError:
        pass
    else:
        sys.exit("it is not denied")
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_systemd_is_told_of_the_start_of_a_reload_and_of_the_end(start_server: StartServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, pytest.MonkeyPatch.context() as patch:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(60)
        patch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = start_server()
        assert notified.recv(1024).startswith(b"READY=1")

        os.kill(server.pid, signal.SIGHUP)
        assert notified.recv(1024).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert notified.recv(1024) == b"READY=1"
        assert server.api.get("/v2/").status == 200

        server.stop_cleanly()
        assert notified.recv(1024) == b"STOPPING=1"
        notified.setblocking(False)
        with pytest.raises(BlockingIOError):
            notified.recv(1024)


def test_the_first_connection_to_a_socket_of_systemds_starts_the_registry_and_is_answered(tmp_path: Path) -> None:
    program = require_program("systemd-socket-activate")
    port = free_port()
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump(configuration(tmp_path / "root", 1, "secret")))

    def start() -> subprocess.Popen[bytes]:
        command = [program, f"--listen=127.0.0.1:{port}", *ours().command, str(config)]
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment())

    process = start()
    try:
        wait_until("the socket is there", lambda: is_open(port))
        # This connection starts the registry, and is answered.
        assert Api("127.0.0.1", port).get("/v2/").status == 200
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_the_registry_serves_where_memory_may_not_be_both_written_and_executed(
    start_server: StartServer, tmp_path: Path
) -> None:
    authority = Authority.create(tmp_path / "authority")
    pair = authority.issue("server")
    settings = {"http": {"tls": {"certificate": str(pair.certificate), "key": str(pair.key)}}}
    under_test = ours()
    restricted = Flavour("restricted", (sys.executable, "-c", DENY_WRITE_EXECUTE, *under_test.command))
    server = start_server(restricted, settings=settings, tls=authority.trusting_client())
    if "not known to the kernel" in server.log:
        missing("PR_SET_MDWE of Linux 6.3")

    digest = server.api.push_blob("systemd/restricted", b"content")
    assert server.api.blob("systemd/restricted", digest).body == b"content"


def is_open(port: int) -> bool:
    """Look without connecting: a connection would start the registry."""
    listening = f":{port:04X} 00000000:0000 0A"
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123  a file of the kernel's
        return any(listening in line for line in table)
