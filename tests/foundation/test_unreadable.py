from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from registry.config import ConfigurationError
from registry.config.loading import load
from registry.config.remote import Redis, RedisTLS
from registry.config.values import TLS
from registry.foundation.files import FileError, WatchedFile
from registry.redis.connecting import connector
from registry.server.tls.context import server_context
from tests.drivers.filesystem.test_rights import unprivileged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")

READERS = [
    lambda path: load(path, {}),
    lambda path: server_context(TLS(certificate=path, key=path)),
    lambda path: server_context(TLS(certificate="/etc/passwd", key=path)),
    lambda path: server_context(TLS(certificate="/dev/null", key="/dev/null", clientcas=(path,))),
    lambda path: connector(Redis(addrs=("a:1",), tls=RedisTLS(key=path))),
    lambda path: WatchedFile(path, bytes).current(),
]


@pytest.fixture
def file() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        directory = Path(name) / "some certs"
        directory.mkdir(mode=0o755)
        file = directory / "k.pem"
        file.touch(mode=0o600)
        yield file


def refusal(read: Callable[[str], object], path: Path) -> str:
    with unprivileged(), pytest.raises((ConfigurationError, FileError)) as raised:
        read(str(path))
    return str(raised.value)


@pytest.mark.parametrize("read", READERS)
def test_whoever_cannot_read_a_file_is_told_who_may_not_and_what_to_type(
    file: Path, read: Callable[[str], object]
) -> None:
    line = refusal(read, file)

    assert f"{file}: " in line
    assert f"Permission denied; user 65534 may not read {file}: run as root `chgrp 65534 " in line
    assert line.endswith("`, or in a container start as root (--user 0)")


@pytest.mark.parametrize(("mode", "group"), [(0o600, 0), (0o600, 65534), (0o640, 0)])
@pytest.mark.parametrize("directory", [0o755, 0o700])
def test_what_is_to_be_typed_lets_it_be_read(file: Path, mode: int, group: int, directory: int) -> None:
    file.chmod(mode)
    os.chown(file, 0, group)
    file.parent.chmod(directory)
    for _ in range(2 if directory == 0o700 else 1):
        command = re.findall("`(.*)`", refusal(READERS[-1], file))
        subprocess.run(command[0], shell=True, check=True)

    with unprivileged():
        assert WatchedFile(str(file), bytes).current() == b""


def test_a_file_of_ones_own_takes_another_mode_and_no_other_group(file: Path) -> None:
    file.chmod(0)
    os.chown(file, 65534, 65534)

    assert f"may not read {file}: run as root `chmod u+r '{file}'`" in refusal(READERS[-1], file)


def test_what_is_not_a_matter_of_rights_gets_no_such_advice(file: Path) -> None:
    assert refusal(READERS[-1], file.with_name("missing")).endswith("/missing: No such file or directory")
