"""What an operator types to install an extra.

The project is on no package index yet, and whoever takes its name there first owns it. So nobody is told to install
it by name, but from its source: the record of the installation tells where that is (PEP 610).
"""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from typing import Any, Final
from urllib.parse import unquote, urlsplit

DISTRIBUTION: Final = "container-image-registry"
"""The name in setup.cfg, and how the program introduces itself to services and in its version."""

_SOMEWHERE: Final = "/path/to/the/source"


def installing(extra: str, distribution: str = DISTRIBUTION) -> str:
    """Return the command that installs `extra` of `distribution`, a plugin's or our own, beside what runs now."""
    record = _record(distribution)
    source = _path(record) or (_SOMEWHERE if distribution == DISTRIBUTION else distribution)
    option = "--editable " if record.get("dir_info", {}).get("editable") else ""
    return f"{shlex.quote(sys.executable)} -m pip install {option}{shlex.quote(f'{source}[{extra}]')}"


def _record(distribution: str) -> dict[str, Any]:
    """Return where `distribution` was installed from; nothing if that was an index, or it is not installed."""
    for found in metadata.distributions(name=distribution):
        # Where a checkout is on the way of imports it is found, too; it was not installed, and has other files.
        if found.read_text("METADATA") is not None:
            record: dict[str, Any] = json.loads(found.read_text("direct_url.json") or "{}")
            return record
    return {}


def _path(record: dict[str, Any]) -> str:
    url = urlsplit(record.get("url", ""))
    return unquote(url.path) if url.scheme == "file" else ""
