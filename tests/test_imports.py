from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="its extra is not installed")

ROOT = Path(__file__).parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages as they are and their contracts, to be changed by a test."""
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for package in ("registry", "drivers", "auth"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def broken_contracts(copy: Path) -> list[str]:
    # A process of its own: what is installed here would be looked at instead of the copy.
    program = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True))"
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts" in found.stdout, found.stdout + found.stderr
    return [line.partition(" BROKEN")[0] for line in found.stdout.splitlines() if " BROKEN" in line]


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("drivers/flat.py", "from registry.config import errors", "Plugins stand on the ground floor"),
        ("auth/headers.py", "import registry.plugins", "Plugins stand on the ground floor"),
        ("registry/foundation/durations.py", "import registry.config.errors", "Imports go one way"),
        ("registry/foundation/durations.py", "import drivers.base", "The ground floor and the specifications"),
        ("registry/storage/paths.py", "import registry.handlers.body", "Imports go one way"),
        ("registry/archive/plan.py", "import registry.copying.copy", "Imports go one way"),
        ("registry/brand_new_room.py", "", "Imports go one way"),
        ("auth/tokens/jws.py", "import auth.controllers.token", "Imports in auth go one way"),
        ("drivers/pending.py", "import drivers.s3.bucket", "Imports in drivers go one way"),
        ("drivers/calls/caller.py", "import drivers.s3.bucket", "Imports in drivers go one way"),
        ("registry/plugins.py", "import drivers.s3.bucket", "The registry knows plugins by their contracts"),
        ("registry/handlers/base.py", "import auth.rules.ruleset", "The registry knows plugins by their contracts"),
        ("registry/handlers/blobs.py", "import registry.storage.blobs", "Views and commands use repositories"),
        ("registry/server/worker.py", "import flask", "Only the app, the handlers and the pages speak Flask"),
        ("registry/foundation/challenges.py", "import urllib3", "Only the client of HTTP speaks urllib3"),
        ("auth/tokens/jws.py", "import urllib3.exceptions", "Only the client of HTTP speaks urllib3"),
    ],
)
def test_an_import_that_is_not_allowed_breaks_a_contract(copy: Path, module: str, line: str, contract: str) -> None:
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    assert any(name.startswith(contract) for name in broken_contracts(copy))
