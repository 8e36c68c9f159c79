from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIGURATION = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "{address}", net: {net}}}
"""


SERVE = ("-m", "registry", "serve")
WITHOUT_LIBCRYPTO = """
from registry.cli import main
from registry.storage import hashing
hashing._LAYOUTS.clear()
main()
"""


def start(
    directory: Path,
    *,
    root: Path | None = None,
    address: str = "127.0.0.1:0",
    net: str = "tcp",
    more: str = "",
    serve: Sequence[str] = SERVE,
) -> str:
    """Return what ``registry serve`` says before it gives up."""
    path = directory / "config.yml"
    path.write_text(CONFIGURATION.format(root=root or directory / "root", address=address, net=net) + more)
    command = [sys.executable, *serve, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    return ended.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "abc", "no-such-host.invalid:5000", ":-1", "[::1", "::1:5000"])
def test_address_that_cannot_be_listened_on_is_one_line(tmp_path: Path, address: str) -> None:
    lines = [line for line in start(tmp_path, address=address).splitlines() if "secret" not in line]

    assert len(lines) == 1
    assert lines[0].startswith(
        f"configuration error: {tmp_path}/config.yml:3: http.addr: '{address}' is not a HOST:PORT to listen on: "
    )


def test_unwritable_root_is_one_line(tmp_path: Path) -> None:
    obstacle = tmp_path / "file"
    obstacle.touch()

    (line,) = start(tmp_path, root=obstacle / "root").splitlines()

    where = f"{tmp_path}/config.yml:2: storage.filesystem"
    assert line.startswith(f"configuration error: {where}: filesystem: cannot create rootdirectory ")


def test_file_in_place_of_the_socket_is_one_line_and_stays(tmp_path: Path) -> None:
    obstacle = tmp_path / "socket"
    obstacle.write_text("precious")

    line = start(tmp_path, address=str(obstacle), net="unix").splitlines()[-1]

    assert line == f"configuration error: {tmp_path}/config.yml:3: http.addr: {obstacle} exists and is not a socket"
    assert obstacle.read_text() == "precious"


def test_wrong_option_of_a_middleware_is_one_line(tmp_path: Path) -> None:
    more = "middleware: {storage: [{name: redirect, options: {baseurl: cdn.example}}]}\n"

    (line,) = start(tmp_path, more=more).splitlines()

    assert line.endswith(
        "middleware.storage[0].options: baseurl: must be http(s)://HOST[:PORT][/PATH], not 'cdn.example'"
    )


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ("redis: {addrs: ['redis://u:a-secret@h:1']}", "3: redis.addrs[0]: must be HOST:PORT or the path of a socket"),
        ("redis: {password: a-secret}", "2: storage.cache.blobdescriptor: redis needs redis.addrs"),
        (
            "redis: {addrs: ['a:1'], password: a-secret, tls: {rootcas: [/nowhere]}}",
            "3: redis.tls.rootcas[0]: /nowhere: No such file or directory",
        ),
    ],
)
def test_redis_that_cannot_be_is_one_line(tmp_path: Path, sections: str, line: str) -> None:
    path = tmp_path / "config.yml"
    storage = f"filesystem: {{rootdirectory: {tmp_path}/root}}, cache: {{blobdescriptor: redis}}"
    path.write_text(f"version: 0.1\nstorage: {{{storage}}}\n{sections}\n")
    command = [sys.executable, "-m", "registry", "serve", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, f"configuration error: {path}:{line}\n")


@pytest.mark.parametrize(("serve", "said"), [(SERVE, 0), (("-c", WITHOUT_LIBCRYPTO, "serve"), 1)])
def test_the_log_says_at_the_start_when_uploads_will_be_read_back(
    tmp_path: Path, serve: Sequence[str], said: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        debug = f"127.0.0.1:{taken.getsockname()[1]}"
        lines = start(tmp_path, net=f"tcp, debug: {{addr: '{debug}'}}", serve=serve)

    for algorithm in ("sha256", "sha512"):
        assert lines.count(f"the state of {algorithm} cannot be carried from one request to the next") == said
