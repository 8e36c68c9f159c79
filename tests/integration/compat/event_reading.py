"""Programs that read events with the packages of the Go registries: the one in the folder ``events_reading``."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.clients import require_program, run

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_SECONDS = 60


def build_reader(program: Path) -> Path:
    """Build it as `program`."""
    run(require_program("go"), "build", "-o", program, ".", cwd=Path(__file__).with_name("events_reading"))
    return program


def read_again(program: Path, envelopes: Sequence[str], *, release: int) -> list[str]:
    """Return of each envelope what the Go registry of this release would have sent, or why it cannot be read."""
    asked = [{"release": release, "envelope": base64.b64encode(each.encode()).decode()} for each in envelopes]
    lines = "".join(f"{json.dumps(each)}\n" for each in asked).encode()
    told = subprocess.run([program], input=lines, stdout=subprocess.PIPE, check=True, timeout=READ_SECONDS).stdout
    answers = [json.loads(line) for line in told.splitlines()]
    return [each.get("error") or base64.b64decode(each["envelope"]).decode() for each in answers]
