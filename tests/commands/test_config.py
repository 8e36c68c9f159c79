from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.commands.refused import FOURTEEN, MORE
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from tests.commands.refused import Refused

REFUSED = FOURTEEN | MORE
MANY = """
import json, os, signal, sys
from registry.cli import main
import registry.server.master, registry.server.trial

for order in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        for number, name in enumerate(("stdout", "stderr"), 1):
            os.dup2(os.open(f"{order['results']}.{name}", os.O_WRONLY | os.O_CREAT), number)
        signal.alarm(60)
        os.environ.update(order["environ"])
        sys.path[:0] = filter(None, [order["environ"].get("PYTHONPATH")])
        sys.argv = ["registry", *order["arguments"]]
        main()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    open(f"{order['results']}.status", "w").write(str(status))
"""
"""Runs commands, each in a process of its own that need not load the program again."""

Tree = dict[str, tuple[int, int, bytes]]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory that the configurations name."""
    directory = tmp_path_factory.mktemp("there")
    authority = trustme.CA()
    for name in ("tls", "other"):
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        issued.cert_chain_pems[0].write_to_path(str(directory / f"{name}.crt"))
    key = load_pem_private_key((directory / "tls.key").read_bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"a"))
    (directory / "locked.key").write_bytes(locked)
    (directory / "garbage").write_text("garbage\n")
    (directory / "htpasswd").touch()
    (directory / "rules.yml").write_text("- a\n")
    (directory / "directory").mkdir()
    os.mkfifo(directory / "pipe")
    (directory / "loop").symlink_to("loop")
    (directory / "without").mkdir()
    (directory / "without" / "botocore.py").write_text("raise ImportError('no botocore here')\n")
    return directory


def tree(directory: Path) -> Tree:
    """Return mode, time of the last change and content of all that is in `directory`."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns if path.is_file() else 0,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(directory.rglob("*"))
    }


def write(there: Path, refused: Refused, path: Path) -> dict[str, str]:
    """Write the configuration to `path`, and return the variables that belong to it."""
    path.write_text(refused.text.replace("{there}", str(there)))
    return {name: value.replace("{there}", str(there)) for name, value in refused.environ.items()}


@pytest.fixture(scope="module")
def results(there: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with what ``config check`` and ``serve`` have said of each of REFUSED."""
    directory = tmp_path_factory.mktemp("refused")
    before = tree(there)
    for command in (("config", "check"), ("serve",)):
        orders: list[dict[str, object]] = []
        for number, refused in enumerate(REFUSED.values()):
            path = directory / f"{number}.yml"
            environ = write(there, refused, path)
            result = str(directory / f"{number}.{command[0]}")
            orders.append({"arguments": [*command, str(path)], "environ": environ, "results": result})
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "AWS_"))}
        environ["PYTHONDONTWRITEBYTECODE"] = "1"  # next to the botocore that cannot be imported
        subprocess.run(
            [sys.executable, "-c", MANY], input=json.dumps(orders), text=True, env=environ, check=True, timeout=300
        )
        if command == ("config", "check"):
            assert tree(there) == before
    return directory


@pytest.mark.parametrize("name", REFUSED)
def test_config_check_and_serve_refuse_with_the_same_line_that_names_the_line_of_the_file(
    name: str, there: Path, results: Path
) -> None:
    number, refused = list(REFUSED).index(name), REFUSED[name]
    said = {}
    for command in ("config", "serve"):
        assert (results / f"{number}.{command}.status").read_text() == "1"
        assert (results / f"{number}.{command}.stdout").read_text() == ""
        lines = (results / f"{number}.{command}.stderr").read_text().splitlines()
        said[command] = [line for line in lines if line.startswith("configuration error: ")]
        assert "Traceback (most recent call last):" not in lines
        assert not [line for line in lines if "level=error" in line or line.startswith("warning: cannot use")]
    assert said["config"] == said["serve"]
    file = f"{results / str(number)}.yml"
    place = {0: "", -1: f"{file}: "}.get(refused.line, f"{file}:{refused.line}: ")
    expected = refused.said.replace("{there}", str(there)).replace("{{", "{").replace("}}", "}")
    assert len(said["config"]) == 1
    assert said["config"][0].startswith(f"configuration error: {place}{expected}")


def check(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "registry", "config", "check", str(path)],
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("overlay", "made"),
    [
        ({}, ["root"]),
        ({"auth": {"htpasswd": {"realm": "r", "path": "HERE/htpasswd"}}}, ["root", "htpasswd"]),
        (
            {
                "auth": {"local": {"htpasswd": "HERE/users", "rules": []}},
                "health": {"storagedriver": {"enabled": True}},
            },
            ["root", "token-key.pem", "refresh-tokens"],
        ),
    ],
)
def test_config_check_says_ok_beside_a_server_and_before_it_and_leaves_nothing_behind(
    tmp_path: Path, overlay: dict[str, object], made: list[str]
) -> None:
    (tmp_path / "users").touch()
    path = tmp_path / "config.yml"
    with serving(tmp_path, json.loads(json.dumps(overlay).replace("HERE", str(tmp_path)))):
        beside = check(path)
    assert (beside.returncode, beside.stdout) == (0, "ok\n"), beside.stderr
    for name in made:
        (shutil.rmtree if (tmp_path / name).is_dir() else Path.unlink)(tmp_path / name)
    before = tree(tmp_path)

    done = check(path)

    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert f"note: {tmp_path}/root does not exist: it is made at the start\n" in done.stderr
    assert "warning" not in done.stderr
    assert tree(tmp_path) == before


def test_config_check_says_until_when_a_certificate_is_good_and_removes_no_socket(there: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    tls = {"certificate": f"{there}/tls.crt", "key": f"{there}/tls.key"}
    http = {"net": "unix", "addr": f"{tmp_path}/socket", "tls": tls}
    path.write_text(json.dumps({"version": 0.1, "storage": {"inmemory": None}, "http": http}))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "socket"))

    done = check(path)

    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert f"note: using the certificate {there}/tls.crt, good until " in done.stderr
    assert (tmp_path / "socket").is_socket()


@pytest.mark.parametrize(
    ("syslog", "missing"),
    [
        ("udp://nowhere.invalid", "nowhere.invalid: "),
        ("tcp://nowhere.invalid:601", "nowhere.invalid: "),
        ("unix://{there}/none", "{there}/none: No such file or directory"),
        ("unix://{there}/garbage", "{there}/garbage is not a socket"),
        ("udp://127.0.0.1", ""),
        ("unix://{there}/socket", ""),
    ],
)
def test_config_check_warns_of_a_syslog_that_is_not_there(
    there: Path, tmp_path: Path, syslog: str, missing: str
) -> None:
    path = tmp_path / "config.yml"
    section = {"enabled": True, "syslog": syslog.format(there=there)}
    path.write_text(json.dumps({"version": 0.1, "storage": {"inmemory": None}, "audit": section}, indent=1))
    with socket.socket(socket.AF_UNIX) as listener, suppress(OSError):
        listener.bind(str(there / "socket"))

    done = check(path)

    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    if missing:
        (warning,) = warnings
        assert f": audit.syslog: {missing.format(there=there)}" in warning
        assert warning.endswith("; the server starts, and the audit log waits for it")
        assert warning.startswith(f"warning: {path}:8: ")
    else:
        assert warnings == []


def test_a_syslog_that_is_not_there_stops_no_start(tmp_path: Path) -> None:
    with serving(tmp_path, {"audit": {"enabled": True, "syslog": f"unix://{tmp_path}/none"}}) as server:
        digest = f"sha256:{sha256(b'').hexdigest()}"
        assert server.request("POST", f"/v2/team/app/blobs/uploads/?digest={digest}", b"").status == 201
        wait_until("it says so", lambda: f"the syslog unix://{tmp_path}/none does not take" in server.log())


def test_config_check_says_all_that_is_wrong_at_once_and_warns_of_what_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /proc/nowhere\n    maxthread: 1\n"
        "http:\n  addr: localhost\n  adress: x\nauth:\n  silly: {realm: r}\n"
    )

    done = check(path)

    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(": ")[::2] for line in done.stderr.replace(f"{path}:", "").splitlines()] == [
        ("warning", "8: http.adress: unknown key, ignored (is addr meant?)"),
        ("warning", "5: storage.filesystem.maxthread: unknown, ignored (is maxthreads meant?)"),
        ("configuration error", "10: auth.silly: service: is missing"),
        ("configuration error", "7: http.addr: 'localhost' is not a HOST:PORT to listen on: it has no port"),
    ]
