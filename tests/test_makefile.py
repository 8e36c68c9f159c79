"""The Makefile: what it lists, and what it tells newcomers to type."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DESCRIBED = re.findall(r"^([^\s:#]+):.*## (.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)


def make(*arguments: str) -> str:
    return subprocess.run(
        ["make", "-C", PROJECT, "--no-print-directory", *arguments], capture_output=True, text=True, check=True
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
