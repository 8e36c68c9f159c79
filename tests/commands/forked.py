"""Runs commands of the registry, each in a process of its own, which does not have to load the program again."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 60
PARENT = f"""
import json, os, signal, sys
import registry.__main__, registry.cli, registry.services
import drivers.filesystem.driver, registry.publishing, registry.storage.repository

list(registry.cli.commands.commands.values())  # loads them

orders, statuses = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w")
for line in orders:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=statuses, flush=True)
else:
    sys.exit()
os.close(orders.fileno())
os.close(statuses.fileno())
for number, name in enumerate(("stdin", "stdout", "stderr")):
    os.dup2(os.open(f"{{order['files']}}/{{name}}", os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT), number)
signal.alarm({SECONDS})
os.chdir(order["directory"])
os.environ.update(order["environ"])
sys.argv = ["registry", *order["arguments"]]
registry.__main__.main()
"""
"""As good as ``python -m registry``: a process that was forked goes on behind the loop, and ends as any does."""


@dataclass(frozen=True, slots=True)
class _Parent:
    """A process that has loaded the program, and ends when `orders` is closed."""

    process: subprocess.Popen[bytes]
    orders: BinaryIO
    statuses: BinaryIO

    def run(self, arguments: Sequence[str], files: Path, environ: dict[str, str]) -> int:
        order = {"arguments": arguments, "files": str(files), "environ": environ, "directory": str(Path.cwd())}
        self.orders.write(json.dumps(order).encode() + b"\n")
        self.orders.flush()
        return int(self.statuses.readline())

    def end(self) -> None:
        self.orders.close()
        self.process.wait()
        self.statuses.close()


@cache
def _parent() -> _Parent:
    """Return the parent of all commands that this process runs."""
    theirs, orders = os.pipe()
    statuses, told = os.pipe()
    command = [sys.executable, "-c", PARENT, str(theirs), str(told)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={}, pass_fds=[theirs, told])
    os.close(theirs)
    os.close(told)
    parent = _Parent(process, os.fdopen(orders, "wb"), os.fdopen(statuses, "rb"))
    atexit.register(parent.end)
    return parent


def run_forked(arguments: Sequence[str], stdin: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``registry`` with `arguments` and no variables but `environ`, of which none is one of Python's."""
    with tempfile.TemporaryDirectory() as name:
        files = Path(name)
        (files / "stdin").write_text(stdin)
        status = _parent().run(arguments, files, environ)
        assert status != -14, f"it took {SECONDS} s"
        output, errors = ((files / each).read_text() for each in ("stdout", "stderr"))
    return subprocess.CompletedProcess(list(arguments), status, output, errors)
