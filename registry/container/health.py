"""The health check of the image: where the server listens is remembered at its start, so that asking it costs little.

The check runs every few seconds, and to read the configuration takes several times as long as the question.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from registry.server.probe import Target, ask

if TYPE_CHECKING:
    from registry.config.values import HTTP

_MEMORY: Final = "/dev/shm"  # noqa: S108  the kernel's own
_CONFIGURATION: Final = "configuration"


def place() -> Path:
    """Return the file in which this container remembers: others may share the memory, but not the file system."""
    return Path(_MEMORY) / f"registry-health-{Path('/proc/self/ns/mnt').stat().st_ino}"


def remember(file: Path, path: str, section: HTTP) -> None:
    """Write into `file` that the configuration at `path` is served, and where its `section` says that it listens."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):  # without it, the check reads the configuration each time
        unfinished.unlink(missing_ok=True)
        with unfinished.open("x") as writing:
            json.dump({_CONFIGURATION: path, **asdict(Target.of(section))}, writing)
        unfinished.replace(file)


def is_healthy(file: Path) -> bool:
    """Tell whether the server answers where it listens according to `file`."""
    facts = _remembered(file)
    facts.pop(_CONFIGURATION, None)
    try:
        return not ask(Target(**facts))
    except TypeError:
        return False


def configuration_path(file: Path) -> str | None:
    """Return the configuration that is served according to `file`, or None if that is not known."""
    return _remembered(file).get(_CONFIGURATION)


def _remembered(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
