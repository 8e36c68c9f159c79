"""The Makefile: what it lists, and what it tells newcomers to type."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DESCRIBED = re.findall(r"^([^\s:#]+):.*## (.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)


def make(*arguments: str, **environ: str) -> str:
    return subprocess.run(
        ["make", "-C", PROJECT, "--no-print-directory", *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_make_alone_lists_every_target_that_is_described() -> None:
    assert {"run", "test", "test-s3"} <= {name for name, _ in DESCRIBED}
    column = 7 + max(len(name) for name, _ in DESCRIBED) + 1
    assert make().splitlines() == [f"{f'  make {name}':<{column}} {text}" for name, text in DESCRIBED]


@pytest.mark.parametrize(
    ("addr", "reached"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("registry.example:80", "registry.example:80"),
        (":5001", "localhost:5001"),
        ("0.0.0.0:5001", "localhost:5001"),
        ("[::]:5001", "localhost:5001"),
    ],
)
def test_the_next_steps_name_an_address_that_clients_can_use(addr: str, reached: str) -> None:
    # -n prints what would be executed.
    said = make("-n", "run", f"ADDR={addr}")
    assert f"docker push {reached}/alpine" in said
    assert f"podman push --tls-verify=false alpine {reached}/alpine" in said
    assert f"skopeo copy --dest-tls-verify=false docker://alpine docker://{reached}/alpine" in said


def test_what_the_registry_s_own_variables_say_counts_unless_make_s_are_given() -> None:
    asked = {"REGISTRY_HTTP_ADDR": "127.0.0.1:5955", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "elsewhere"}
    served = 'REGISTRY_HTTP_ADDR="{}" REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="{}"'

    assert served.format("127.0.0.1:5955", "elsewhere") in make("-n", "run", **asked)
    assert served.format(":1", "here") in make("-n", "run", "ADDR=:1", "DATA=here", **asked)
    assert served.format("127.0.0.1:5000", "data") in make("-n", "run")


def test_an_address_is_tried_before_it_is_told_what_to_type_next() -> None:
    said = make("-n", "run", "ADDR=:5001")
    assert 0 < said.index('deploy/address.py ":5001"') < said.index("Next")


def asked(address: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "deploy/address.py"), address]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("5942", "it has no port"), ("127.0.0.1:99999", "at most 65535"), ("192.0.2.1:5000", "Cannot assign")],
)
def test_an_address_that_is_none_is_one_line_with_the_way_out_in_make_s_terms(address: str, reason: str) -> None:
    done = asked(address)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"cannot listen on ADDR={address}: .*{reason}.*; try: make run ADDR=127.0.0.1:50\d\d\n", done.stderr
    )


def test_a_port_in_use_is_told_and_another_one_is_named_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = asked(f"127.0.0.1:{taken.getsockname()[1]}")
    assert "Address already in use; try: make run ADDR=" in done.stderr
    assert asked(done.stderr.rpartition("ADDR=")[2].strip()).returncode == 0


def test_an_address_that_can_be_had_and_a_socket_are_let_through() -> None:
    assert asked("127.0.0.1:0").returncode == 0
    assert asked("/run/registry.sock", REGISTRY_HTTP_NET="unix").returncode == 0
