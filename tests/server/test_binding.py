"""An address that cannot be listened on, at the start and when the configuration is read again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from registry.config import ConfigurationError
from registry.config.values import HTTP
from registry.server import binding
from tests.serving import Serving, free_port, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WITHOUT_CAPABILITIES: Final = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def refusal(directory: Path, http: dict[str, Any], before: Sequence[str] = ()) -> str:
    """Return the one line that a server says of its `http` section before it ends."""
    path = directory / "config.yml"
    configuration = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": f"{directory}/root"}}}
    path.write_text(yaml.safe_dump({**configuration, "http": {"secret": "x", **http}}))
    command = [*before, sys.executable, "-m", "registry", "serve", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    (line,) = (each for each in ended.stderr.splitlines() if "using the certificate" not in each)
    assert ended.returncode == 1
    place = re.search(rf"{re.escape(str(path))}:[0-9]+: ", line)
    assert place
    return line.replace(place[0], "", 1)


def test_a_port_in_use_is_one_line_with_the_way_out(tmp_path: Path, taken: int) -> None:
    assert refusal(tmp_path, {"addr": f"127.0.0.1:{taken}"}) == (
        f"configuration error: http.addr: cannot listen on 127.0.0.1:{taken}: another program listens there;"
        " end it, or set http.addr (REGISTRY_HTTP_ADDR) to another one"
    )


def test_a_port_in_use_by_one_family_is_in_use_for_all_addresses(tmp_path: Path, taken: int) -> None:
    assert f"cannot listen on :{taken}: another program" in refusal(tmp_path, {"addr": f":{taken}"})


def test_a_debug_port_in_use_is_one_line_with_the_way_out(tmp_path: Path, taken: int) -> None:
    assert refusal(tmp_path, {"addr": "127.0.0.1:0", "debug": {"addr": f"127.0.0.1:{taken}"}}) == (
        f"configuration error: http.debug.addr: cannot listen on 127.0.0.1:{taken}: another program listens there;"
        " end it, or set http.debug.addr (REGISTRY_HTTP_DEBUG_ADDR) to another one"
    )


def test_a_port_for_challenges_in_use_is_one_line_with_the_way_out(tmp_path: Path, taken: int) -> None:
    asked = {"cachefile": f"{tmp_path}/acme", "hosts": ["a.example"], "httpaddr": f"127.0.0.1:{taken}"}
    line = refusal(tmp_path, {"addr": "127.0.0.1:0", "tls": {"letsencrypt": asked}})

    assert line.startswith(f"configuration error: http.tls.letsencrypt.httpaddr: cannot listen on 127.0.0.1:{taken}: ")
    assert "(REGISTRY_HTTP_TLS_LETSENCRYPT_HTTPADDR)" in line


def test_an_address_that_is_another_machines_is_one_line(tmp_path: Path) -> None:
    line = refusal(tmp_path, {"addr": "192.0.2.1:5000"})

    assert "cannot listen on 192.0.2.1:5000: this machine has no such address; set http.addr" in line


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root may drop its capabilities")
def test_a_port_that_needs_a_right_is_one_line_that_names_the_right(tmp_path: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if not first:
        pytest.skip("every port is free for everybody here")

    line = refusal(tmp_path, {"addr": f"127.0.0.1:{first - 1}"}, WITHOUT_CAPABILITIES)

    assert f"user 0 may not listen on a port below {first}; set http.addr" in line
    assert "or give it the right (root, CAP_NET_BIND_SERVICE, " in line


@pytest.mark.parametrize(("path", "reason"), [("none/x", "No such file or directory"), ("x" * 200, "path too long")])
def test_a_path_where_there_can_be_no_socket_is_one_line(tmp_path: Path, path: str, reason: str) -> None:
    line = refusal(tmp_path, {"addr": f"{tmp_path}/{path}", "net": "unix"})

    assert line.startswith(f"configuration error: http.addr: cannot listen on {tmp_path}/{path}: ")
    assert reason in line


def test_a_socket_on_which_another_program_listens_stays_its_own(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        line = refusal(tmp_path, {"addr": str(path), "net": "unix"})

        assert f"cannot listen on {path}: another program listens there; end it, or set http.addr" in line
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_socket_that_a_server_before_has_left_is_replaced_and_everybody_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
    address = binding.address_of(HTTP(addr=str(path), net="unix"))

    bound = binding.bind(address)
    binding.listen(bound, address)

    assert path.stat().st_mode & 0o777 == 0o777
    assert binding.name_of(bound) == str(path)
    binding.close(bound)
    assert not path.exists()


def test_a_port_that_is_given_up_in_a_moment_is_waited_for_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = binding.tcp_address(f"127.0.0.1:{other.getsockname()[1]}", "http.addr")
        with pytest.raises(ConfigurationError, match="another program listens there"):
            binding.bind(address)
        threading.Timer(0.3, other.close).start()

        binding.close(binding.bind(address, patient=True))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (":0", "[::]:" if socket.has_dualstack_ipv6() else "0.0.0.0:"),
        ("127.0.0.1:0", "127.0.0.1:"),
        ("localhost:0", "127.0.0.1:"),
        ("[::1]:0", "[::1]:"),
    ],
)
def test_an_address_is_told_as_the_go_registry_spells_it(text: str, name: str) -> None:
    try:
        bound = binding.bind(binding.tcp_address(text, "http.addr"))
    except ConfigurationError:
        pytest.skip("this machine has no such address")

    assert binding.name_of(bound).startswith(name)
    assert binding.name_of(bound) == f"{name}{bound.getsockname()[1]}"
    binding.close(bound)


def reread(server: Serving, addr: str) -> None:
    path = server.stderr.with_name("config.yml")
    configuration = yaml.safe_load(path.read_text())
    configuration["http"]["addr"] = addr
    path.write_text(yaml.safe_dump(configuration))
    server.process.send_signal(signal.SIGHUP)


def test_a_server_goes_on_where_it_listens_if_it_cannot_listen_where_it_is_told_to(tmp_path: Path, taken: int) -> None:
    with serving(tmp_path) as server:
        reread(server, f"127.0.0.1:{taken}")

        wait_until("it says so", lambda: re.search(r"stays in force: \S+:[0-9]+: http\.addr: cannot", server.log()))
        assert server.get("/v2/").status == 200


def test_a_server_moves_to_another_address_when_it_is_told_to(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = free_port()
        reread(server, f"127.0.0.1:{port}")

        wait_until("it says so", lambda: f'msg="listening on 127.0.0.1:{port}"' in server.log())
        moved = Serving(server.process, port, server.debug_port, server.stdout, server.stderr)
        wait_until("it serves there", lambda: moved.get("/v2/").status == 200)

        def is_gone() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", server.port)) != 0

        wait_until("the old workers have ended", is_gone)
        assert "Traceback" not in server.log()
